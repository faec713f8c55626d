from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare
from bltvs_neuro.rsa.inference.ceiling import (
    average_rdms,
    nan_mean,
    noise_ceiling,
    scale_for_pooling,
    session_reliability,
    spearman_brown,
)

from . import reference

N = 12
IDS = [f"s{i}" for i in range(N)]


def group(n: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.gamma(2, 1, (1, 66)) + rng.gamma(2, 1, (n, 66))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_ceiling_is_rsatoolboxs(similarity):
    data = group()
    for subjects in (["a", "b", "c", "d", "e"], ["a", "a", "b", "b", "c"]):
        ours = noise_ceiling(make_rdms(data, IDS, metric="m", subject=subjects), similarity)
        np.testing.assert_allclose(ours[:2], reference.noise_ceiling(data, similarity, subjects), atol=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_ceiling_with_a_missing_stimulus_is_rsatoolboxs(similarity):
    data = group()
    i, j = np.triu_indices(N, 1)
    data[:, (i == 2) | (j == 2)] = np.nan
    ours = noise_ceiling(make_rdms(data, IDS, metric="m", subject=list("abcde")), similarity)
    np.testing.assert_allclose(ours[:2], reference.noise_ceiling(data, similarity, list("abcde")), atol=1e-12)


def test_ceiling_of_one_subject_is_undefined():
    ours = noise_ceiling(make_rdms(group(2), IDS, metric="m", subject=["a", "a"]))
    assert np.isnan(ours.lower)
    assert np.isnan(ours.upper)


@pytest.mark.parametrize(
    ("similarity", "lower", "upper"),
    [
        ("pearson", 0.3944, 0.6804),
        ("spearman", 0.3723, 0.6657),
        ("tau-a", 0.2539, 0.4767),
        ("corr_cov", 0.4298, 0.6958),
        ("cosine_cov", 0.6647, 0.8173),
    ],
)
def test_ceilings_of_the_92_objects(human_it, similarity, lower, upper):
    ours = noise_ceiling(average_rdms(human_it, over="session"), similarity)
    np.testing.assert_allclose(ours[:2], (lower, upper), atol=5e-5)
    assert ours.subjects == ("BE", "KO", "SN", "TI")


def test_session_reliability_of_the_92_objects(human_it):
    ours = session_reliability(human_it)
    np.testing.assert_allclose(ours.values, [0.2906, 0.0985, 0.3981, 0.1185], atol=5e-5)
    np.testing.assert_allclose(ours.attrs["mean"], 0.2264, atol=5e-5)


@pytest.mark.parametrize(("similarity", "value"), [("pearson", 0.4912), ("spearman", 0.4389), ("tau-a", 0.3040)])
def test_monkey_it_is_like_human_it(human_it, monkey_it, similarity, value):
    mean = average_rdms(human_it, over=("session", "subject"))
    np.testing.assert_allclose(compare(monkey_it, mean, similarity).values, value, atol=5e-5)


def test_models_of_the_92_objects(human_it, models92, behaviour92):
    mean = average_rdms(human_it, over=("session", "subject"))
    scores = dict(zip(models92["name"].values, compare(models92, mean, "spearman").values[:, 0], strict=True))
    wanted = {"animacy": 0.5882, "FaceBodyManmadeNatobj": 0.4053, "HMAX": 0.2217, "V1": 0.0393, "Silhouette": 0.1247}
    found = {k: next(v for name, v in scores.items() if str(name).lower().startswith(k.lower())) for k in wanted}
    for name, value in wanted.items():
        assert abs(found[name] - value) < 5e-5, name
    behaviour = average_rdms(behaviour92, over="subject")
    np.testing.assert_allclose(compare(behaviour, mean, "spearman").values, 0.3924, atol=5e-5)


def test_animacy_exceeds_the_ceiling_by_its_ties_alone(human_it, models92):
    subjects = average_rdms(human_it, over="session")
    animacy = models92[[str(n).lower().startswith("animacy") for n in models92["name"].values]]
    spearman, rho_a = (float(compare(animacy, subjects, s).mean()) for s in ("spearman", "rho-a"))
    np.testing.assert_allclose((spearman, rho_a), (0.386, 0.3345), atol=5e-4)
    assert spearman > noise_ceiling(subjects, "spearman").lower > rho_a


def test_average_keeps_what_tells_rdms_apart():
    rdms = make_rdms(group(4), IDS, metric="m", subject=["a", "a", "b", "b"], session=[1, 2, 1, 2], roi="IT")
    mean = average_rdms(rdms)
    assert mean["subject"].values.tolist() == ["a", "b"]
    assert "session" not in mean.coords
    np.testing.assert_allclose(mean.values[1], rdms.values[2:].mean(axis=0))
    assert mean.attrs["metric"] == "m"


def test_reliability_says_what_is_missing():
    rdms = make_rdms(group(3), IDS, metric="m", subject=["a", "a", "b"], session=[1, 2, 1])
    with pytest.raises(DataError, match="subject b has one session only"):
        session_reliability(rdms)
    with pytest.raises(DataError, match="needs the coordinate 'run'"):
        session_reliability(rdms, unit="run")
    np.testing.assert_allclose(spearman_brown(0.5, 2), 2 / 3)


def test_a_mean_over_rdms_is_of_what_is_there():
    found = nan_mean(np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]]))
    np.testing.assert_array_equal(found, [2, 5, np.nan])


@pytest.mark.parametrize(("similarity", "flat"), [("pearson", 3.0), ("corr_cov", 3.0), ("cosine", 0.0)])
def test_an_rdm_that_does_not_vary_is_no_part_of_a_pool(similarity, flat):
    data = group(4)
    with_flat = np.concatenate([data, np.full((1, data.shape[1]), flat)])
    ours = noise_ceiling(make_rdms(with_flat, IDS, metric="m"), similarity)
    others = noise_ceiling(make_rdms(data, IDS, metric="m"), similarity)
    np.testing.assert_allclose(ours.lower_per_subject, [*others.lower_per_subject, np.nan])
    np.testing.assert_allclose(ours.upper_per_subject, [*others.upper_per_subject, np.nan])


def test_rdms_have_a_mean_square_of_one_before_they_are_pooled():
    vectors = np.array([[1.0, 7.0, 4.0, np.nan]])
    cosine, pearson = (scale_for_pooling(vectors, SIMILARITIES[name]) for name in ("cosine", "pearson"))
    np.testing.assert_allclose(cosine, vectors / np.sqrt(66 / 3))
    np.testing.assert_allclose(pearson, np.array([[-3.0, 3.0, 0.0, np.nan]]) / np.sqrt(18 / 3))
    np.testing.assert_array_equal(scale_for_pooling(vectors, SIMILARITIES["spearman"]), [[1, 3, 2, np.nan]])
