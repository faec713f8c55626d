"""Nothing printed lies outside of the range of its similarity, or rests on fewer than one degree of freedom unsaid."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from bltvs_neuro.errors import DataError
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa import RsaResult, compare_rdms, time_matrix
from bltvs_neuro.rsa.comparing.commonality import commonality
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES
from bltvs_neuro.rsa.inference.ceiling import noise_ceiling
from bltvs_neuro.rsa.inference.limits import bounded_interval
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.stats import t_interval
from bltvs_neuro.training.evaluation.evaluate import _intervals


def design(seed: int, subjects: int, stimuli: int, models: int = 3, *, tied: bool = False, noise: float = 1.0):
    """Model RDMs, the first of which is related to the subjects', and subjects'."""
    rng = np.random.default_rng(seed)
    pairs = stimuli * (stimuli - 1) // 2
    truth = rng.random(pairs)
    brain = np.abs(truth + noise * rng.standard_normal((subjects, pairs)))
    x = np.concatenate([truth[None], rng.random((models - 1, pairs))])
    ids = [f"s{i}" for i in range(stimuli)]
    x = np.round(2 * x) if tied else x
    x[:, 0] += 0.5  # no model is constant
    return make_rdms(x, ids, metric="", name=list("abcdef")[:models]), make_rdms(
        brain, ids, metric="", subject=[f"p{i}" for i in range(subjects)]
    )


def check(result) -> None:
    frame, data = result.to_frame(), result.dataset
    for name in ("score", "ci_low", "ci_high", "ceiling_lower", "ceiling_upper"):
        values = frame[name].to_numpy()
        assert ((np.abs(values) <= 1 + 1e-9) | np.isnan(values)).all(), name
    for name in ("p_zero", "p_zero_corrected", "p_below_ceiling", "p_pairwise", "p_pairwise_corrected"):
        values = data[name].values
        assert (((values >= 0) & (values <= 1)) | np.isnan(values)).all(), name
    assert not (frame["ceiling_lower"] > frame["ceiling_upper"] + 1e-9).any()
    missing = frame["ci_low"].isna() | frame["ci_high"].isna()
    assert (missing == (frame["reason"] != "")).all()
    assert (frame["dof"][~missing] >= 1).all() and np.isfinite(frame["se"][~missing]).all()
    if result.provenance["options"]["test"] == "t":
        assert np.isnan(data["p_pairwise"].values[data["dof_pairwise"].values < 1]).all()
        assert frame["p_zero"][frame["zero_dof"] < 1].isna().all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(2, 5), st.integers(5, 12), st.sampled_from(list(SIMILARITIES)), st.booleans(),
    st.sampled_from([0.05, 1.0, 20.0]),
)  # fmt: skip
def test_small_designs(seed, subjects, stimuli, similarity, tied, noise) -> None:
    models, brain = design(seed, subjects, stimuli, tied=tied, noise=noise)
    check(compare_rdms(models, brain, similarity=similarity, inference=Inference(bootstrap=5)))


@pytest.mark.parametrize("over", ["stimuli", "subjects", "both"])
@pytest.mark.parametrize("variance", ["jackknife", "bootstrap"])
def test_every_way_to_a_variance(over, variance) -> None:
    for seed in range(8):
        models, brain = design(seed, 3, 8)
        check(
            compare_rdms(
                models, brain, similarity="spearman", inference=Inference(bootstrap=20, variance=variance, over=over)
            )
        )


def test_below_one_degree_of_freedom_there_is_a_reason_and_nothing_else() -> None:
    """Widths came to 1e151."""
    assert sps.t.ppf(0.975, 0.01) > 1e60
    low, high = t_interval([0.3, 0.3, 0.3], 0.1, [0.01, 1.0, np.nan])
    assert (
        np.isnan(low[[0, 2]]).all()
        and np.isnan(high[[0, 2]]).all()
        and high[1] == pytest.approx(0.3 + 1.2706, abs=1e-3)
    )
    found = 0
    for seed in range(60):
        models, brain = design(seed, 3, 5, noise=0.3)
        frame = compare_rdms(
            models, brain, similarity="pearson", inference=Inference(bootstrap=0, variance="jackknife", over="stimuli")
        ).to_frame()
        few = frame[frame["dof"] < 1]
        found += len(few)
        assert few["reason"].str.contains("degrees of freedom, fewer than 1; use more stimuli or subjects").all()
        assert few[["ci_low", "ci_high"]].isna().all(axis=None)
    assert found


def test_intervals_end_at_the_range_and_say_so() -> None:
    low, high, cut = bounded_interval([0.9, 0.1], [0.2, 0.01], [5, 5], 0.95)
    assert high[0] == 1 and cut.tolist() == [True, False]
    np.testing.assert_allclose([low[0], high[1]], [0.9 - 2.5706 * 0.2, 0.1 + 2.5706 * 0.01], atol=1e-4)
    models, brain = design(0, 3, 6, noise=0.02)
    result = compare_rdms(
        models, brain, similarity="pearson", inference=Inference(bootstrap=0, variance="jackknife", over="stimuli")
    )
    frame = result.to_frame()
    assert frame["ci_cut"].dtype == bool and (frame["ci_high"][frame["ci_cut"]] == 1).any()
    assert "within -1 to 1" in result.provenance["interval"]


def test_a_model_that_does_not_vary_has_a_reason_and_no_numbers(tmp_path) -> None:
    models, brain = design(0, 4, 8)
    values = models.values.copy()
    values[1] = 0.5
    result = compare_rdms(models.copy(data=values), brain, similarity="corr_cov", inference=Inference(bootstrap=10))
    check(result)
    result.save(tmp_path / "r.nc")
    frame = RsaResult.load(tmp_path / "r.nc").to_frame().set_index("model")
    assert frame.loc["b", "reason"] == "its similarity is undefined: the RDM does not vary"
    assert np.isnan(frame.loc["b", ["score", "p_zero", "p_below_ceiling"]].astype(float)).all()
    assert frame.loc[["a", "c"], "reason"].tolist() == ["", ""]
    others = compare_rdms(
        models.isel(rdm=[0, 2]), brain, similarity="corr_cov", inference=Inference(bootstrap=10, correction="none")
    ).to_frame()
    np.testing.assert_allclose(frame.loc[["a", "c"], "score"], others["score"])
    assert set(result.best()["model"]) <= {"a", "c"}
    for options in ({"test": "sign_flip"}, {"variance": "bootstrap"}):
        check(
            compare_rdms(
                models.copy(data=values), brain, similarity="corr_cov", inference=Inference(bootstrap=10, **options)
            )
        )
    assert (
        result.plot_models()
        and compare_rdms(models.copy(data=values), brain, similarity="tau-a").to_frame()["score"][1] == 0
    )


def test_a_subject_that_does_not_vary_is_named() -> None:
    models, brain = design(0, 3, 8)
    values = brain.values.copy()
    values[2] = 0.7
    with pytest.raises(DataError, match="the RDM of subject p2 does not vary, so that no pearson with it is defined"):
        compare_rdms(
            models,
            brain.copy(data=values),
            similarity="pearson",
            inference=Inference(bootstrap=0, variance="jackknife"),
        )
    assert np.isfinite(
        compare_rdms(
            models, brain.copy(data=values), similarity="tau-a", inference=Inference(bootstrap=0, variance="jackknife")
        ).to_frame()["score"]
    ).all()


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_the_upper_ceiling_is_never_below_the_lower(similarity) -> None:
    for seed in range(15):
        _, brain = design(seed, 2 + seed % 3, 4, noise=5.0)
        found = noise_ceiling(brain, similarity)
        assert -1 <= found.lower <= found.upper <= 1 + 1e-9


def test_shares_of_variance_stay_in_their_range() -> None:
    for seed in range(5):
        models, brain = design(seed, 2, 8, models=2, noise=0.1)
        found = commonality(
            {"x": models.isel(rdm=[0]), "y": models.isel(rdm=[1])}, brain, inference=Inference(bootstrap=50)
        ).table
        assert (found[["r2", "ci_low", "ci_high"]].abs() <= 1).all(axis=None)
        assert found["p_zero"].between(0, 1).all()


def test_a_peak_is_not_where_nothing_is_defined() -> None:
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(6)]
    models = make_rdms(rng.random((1, 15)), ids, metric="", name=["m"], area=["V1"], stream=["bu"], timestep=[0])
    values = rng.random((6, 15))
    values[[0, 3]] = 1.0  # both subjects at the first time
    brain = make_rdms(values, ids, metric="", subject=["p0"] * 3 + ["p1"] * 3, time=[0.0, 0.1, 0.2] * 2)
    options = Inference(bootstrap=20, n_permutations=5)
    row = time_matrix(models, brain, similarity="pearson", inference=options).peaks().iloc[0]
    assert row["latency"] in (0.1, 0.2) and 0.1 <= row["ci_low"] <= row["ci_high"] and np.isfinite(row["peak"])
    flat = brain.copy(data=np.ones((6, 15)))
    assert np.isnan(time_matrix(models, flat, similarity="pearson", inference=options).peaks().iloc[0]["latency"])


def test_one_picture_has_no_interval() -> None:
    low, high, gain = _intervals(np.array([[True, False]]), 50, np.random.default_rng(0))
    assert np.isnan([*low, *high, *gain]).all()
    low, high, gain = _intervals(np.array([[True, False], [True, True]]), 50, np.random.default_rng(0))
    assert (low >= 0).all() and (high <= 100).all() and -100 <= gain[0] <= gain[1] <= 100


def test_one_model_one_subject_one_roi() -> None:
    models, brain = design(0, 1, 8, models=1)
    brain = brain.assign_coords(roi=("rdm", ["V1"]))
    result = compare_rdms(models, brain, similarity="spearman", inference=Inference(bootstrap=10))
    check(result)
    assert isinstance(result.dataset, xr.Dataset) and result.plot_models() and len(result.best()) == 1
    assert np.isnan(result.to_frame()["p_below_ceiling"]).all() and len(result.pairs_frame()) == 0
