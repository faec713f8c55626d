from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.options import Run
from bltvs_neuro.rsa.comparing.similarity import compare_vectors
from bltvs_neuro.rsa.comparing.weighted_ranks import expanded_scores
from bltvs_neuro.rsa.inference.ceiling import noise_ceiling
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.inference.tests import stimulus_orders
from bltvs_neuro.rsa.time import time_matrix
from bltvs_neuro.stats import bootstrap_counts

N, K = 10, 8
P = N * (N - 1) // 2
IDS = [f"s{i}" for i in range(N)]
TIMES = np.arange(12) * 0.02
QUICK = Inference(bootstrap=20, n_permutations=20)


def movie(seed: int = 0) -> tuple[xr.DataArray, xr.DataArray]:
    """Two areas whose RDMs appear in the brain around 60 and 160 ms."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(2, 1, (2, P))
    step = np.stack([base[a] + rng.normal(0, 0.5, P) for a in (0, 0, 1)])
    models = make_rdms(step, IDS, metric="m", area=["V1", "V1", "IT"], stream="bu", timestep=[0, 1, 1])
    rows, subject, time = [], [], []
    for s in range(K):
        for t in TIMES:
            signal = np.exp(-(((t - 0.06) / 0.03) ** 2)) * base[0] + np.exp(-(((t - 0.16) / 0.03) ** 2)) * base[1]
            rows.append(3 + signal + rng.normal(0, 1, P))
            subject.append(f"S{s}")
            time.append(t)
    order = rng.permutation(len(rows))
    brain = make_rdms(
        np.array(rows)[order], IDS, metric="m", subject=np.array(subject)[order], time=np.array(time)[order]
    )
    return models, brain


def test_matrix_holds_each_comparison_at_its_place():
    models, brain = movie()
    found = time_matrix(models, brain, similarity="spearman", inference=QUICK)
    assert found.values.dims == ("site", "timestep", "time", "subject")
    assert np.isnan(found.values.sel(site="IT/bu", timestep=0)).all()
    pick = (brain["subject"].values == "S3") & np.isclose(brain["time"].values, TIMES[4])
    expected = compare_vectors(models.values[1:2], brain.values[pick], "spearman")[0, 0]
    np.testing.assert_allclose(found.values.sel(site="V1/bu", timestep=1, subject="S3").values[4], expected)
    at = brain[np.isclose(brain["time"].values, TIMES[4])]
    np.testing.assert_allclose(found.ceiling[:, 4], noise_ceiling(at, "spearman")[:2], atol=1e-12)


@pytest.mark.parametrize("test", ["labels", "sign_flip"])
def test_latencies_and_clusters_lie_where_the_signal_is(test):
    found = time_matrix(*movie(), inference=Inference(time_test=test, n_permutations=256, bootstrap=100))
    peaks = found.peaks().set_index("site")
    assert abs(peaks.loc["V1/bu", "latency"] - 0.06) <= 0.0201
    assert abs(peaks.loc["IT/bu", "latency"] - 0.16) <= 0.0201
    assert (peaks["ci_low"] <= peaks["latency"]).all()
    assert (peaks["ci_high"] >= peaks["latency"]).all()
    clusters = found.clusters()
    assert clusters["site"].iloc[0] in ("V1/bu", "IT/bu")
    for site, at in (("V1/bu", 0.06), ("IT/bu", 0.16)):
        best = clusters[clusters["site"] == site].iloc[0]
        assert best["p"] <= best["p_corrected"] <= 3 / 256
        assert best["time_from"] <= at + 1e-9 <= best["time_to"] + 2e-9
    assert set(clusters["test"]) == {test}
    assert not found.significant().sel(site="IT/bu", timestep=0).any()  # not active then
    assert found.significant().sel(site="V1/bu").values.any()
    assert np.isnan(found["statistic"].sel(site="IT/bu", timestep=0)).all()


def test_a_permutation_of_stimuli_is_what_comparing_shuffled_rdms_gives():
    models, brain = movie()
    found = time_matrix(models, brain, similarity="corr_cov", inference=Inference(n_permutations=40, bootstrap=0))
    at = brain[np.isclose(brain["time"].values, TIMES[4])].values
    null = []
    for order in stimulus_orders(N, 40, 0):
        square = squareform_all(at)[:, order][:, :, order]
        i, j = np.triu_indices(N, 1)
        null.append(compare_vectors(models.values[1:2], square[:, i, j], "corr_cov").mean())
    expected = (null[0] - np.mean(null)) / np.std(null)
    np.testing.assert_allclose(found["statistic"].sel(site="V1/bu", timestep=1)[4], expected)


def squareform_all(vectors: np.ndarray) -> np.ndarray:
    return np.stack([squareform(v) for v in vectors])


def test_categories_of_one_size_change_places_as_wholes():
    orders = stimulus_orders(12, 30, 1, np.repeat(np.arange(6), 2))
    np.testing.assert_array_equal(orders[0], np.arange(12))
    pairs = np.sort(orders.reshape(30, 6, 2) // 2, axis=2)
    assert (pairs[:, :, 0] == pairs[:, :, 1]).all()
    assert len(np.unique(pairs[:, :, 0], axis=0)) > 20
    uneven = stimulus_orders(17, 20, 1, np.repeat(np.arange(6), [2, 2, 2, 2, 2, 7]))
    assert (np.sort(uneven[:, 10:]) == np.arange(10, 17)).all()
    with pytest.raises(SpecError, match="is possible in 6 ways, and a test needs 100"):
        stimulus_orders(11, 20, 1, np.repeat(np.arange(4), [2, 2, 2, 5]))


def test_reductions_of_timesteps():
    for peak_of in ("best_timestep", "mean_timestep"):
        found = time_matrix(*movie(), peak_of=peak_of, inference=QUICK)
        x = found.values.sel(site="V1/bu").mean("subject")
        curve = x.max("timestep") if peak_of == "best_timestep" else x.mean("timestep")
        row = found.peaks().set_index("site").loc["V1/bu"]
        assert row["latency"] == TIMES[int(np.argmax(curve.values))]
        np.testing.assert_allclose(row["peak"], curve.max())


def test_one_subject_is_tested_and_timed_over_stimuli():
    models, brain = movie()
    one = brain[brain["subject"].values == "S0"]
    found = time_matrix(models, one, inference=QUICK)
    row = found.peaks().iloc[0]
    assert row["ci_low"] <= row["latency"] <= row["ci_high"]
    assert row["generalises_to"] == "these subjects, new stimuli of the same categories"
    with pytest.raises(SpecError, match="one subject has no signs to flip"):
        time_matrix(models, one, inference=Inference(time_test="sign_flip"))
    with pytest.raises(SpecError, match="one subject cannot be resampled"):
        time_matrix(models, one, inference=Inference(over="subjects", n_permutations=2))


@pytest.mark.parametrize("over", ["both", "subjects", "stimuli"])
def test_samples_of_latencies_are_those_of_sampled_rdms(over):
    models, brain = movie()
    options = Inference(over=over, bootstrap=5, n_permutations=2)
    found = time_matrix(models, brain, inference=options, run=Run(seed=4))
    rng = np.random.default_rng(4)
    w, v = bootstrap_counts(N, 5, rng), bootstrap_counts(K, 5, rng)
    w, v = (w if over != "subjects" else np.ones_like(w)), (v if over != "stimuli" else np.ones_like(v))
    for s in range(5):
        curve = []
        for t in TIMES:
            at = np.isclose(brain["time"], t)
            rows = [np.flatnonzero(at & (brain["subject"].values == x))[0] for x in found["subject"].values]
            none = np.ones((1, 0, K), int)
            scores = expanded_scores(models.values, brain.values[rows], "pearson", w[s : s + 1], none).scores[0]
            curve.append(scores @ v[s] / K)
        curve = np.array(curve).T  # (model, time)
        expected = TIMES[curve[:2].max(axis=0).argmax()], TIMES[curve[2].argmax()]
        np.testing.assert_allclose(found["latency_samples"].values[s], expected)


def test_skewed_subjects_are_warned_about(caplog):
    models, brain = movie()
    flip = Inference(time_test="sign_flip", n_permutations=20, bootstrap=0)
    time_matrix(models, brain, inference=flip)
    assert "skewed" not in caplog.text
    one, values = brain["subject"].values == "S2", brain.values.copy()
    values[one] += 20 * models.values[0]
    time_matrix(models, brain.copy(data=values), inference=flip)
    assert "scores of the 8 subjects are skewed" in caplog.text


def test_gaps_and_missing_labels_raise():
    models, brain = movie()
    with pytest.raises(DataError, match=r"has no RDM at .* s; 1 such gaps"):
        time_matrix(models, brain[1:])
    with pytest.raises(DataError, match="several RDMs at"):
        time_matrix(models, xr.concat([brain, brain[:1]], dim="rdm"))
    with pytest.raises(DataError, match="missing: time"):
        time_matrix(models, brain.drop_vars("time"))


def test_latencies_without_samples_have_no_interval_and_confidence_sets_its_width():
    models, brain = movie()
    noisy = brain.copy(data=brain.values + np.random.default_rng(0).normal(0, 3 * brain.values.std(), brain.shape))
    none = time_matrix(models, noisy, inference=Inference(bootstrap=0, n_permutations=2)).peaks()
    assert none[["ci_low", "ci_high"]].isna().all(axis=None)
    for confidence in (0.5, 0.95):
        options = Inference(bootstrap=200, confidence=confidence, n_permutations=2)
        found = time_matrix(models, noisy, inference=options)
        ends = np.quantile(found["latency_samples"][:, 0], [(1 - confidence) / 2, (1 + confidence) / 2])
        np.testing.assert_allclose(found.peaks().iloc[0][["ci_low", "ci_high"]].astype(float), ends)


def test_missing_dissimilarities_are_refused_or_dropped():
    models, brain = movie()
    holes = brain.values.copy()
    holes[3, 0] = np.nan
    with pytest.raises(DataError, match="1 dissimilarities are missing"):
        time_matrix(models, brain.copy(data=holes), inference=QUICK)
    found = time_matrix(models, brain.copy(data=holes), missing="drop", inference=QUICK)
    assert np.isfinite(found["similarity"].sel(site="V1/bu")).all()
