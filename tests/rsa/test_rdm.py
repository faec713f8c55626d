from __future__ import annotations

import logging
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.select import Select
from bltvs_neuro.features.tiles import unit_blocks
from bltvs_neuro.neural import select_stimuli
from bltvs_neuro.neural.align import rdm_stimulus_ids
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.options import Run
from bltvs_neuro.rsa.rdms.compute import compute_rdms
from bltvs_neuro.rsa.rdms.metrics import METRICS
from bltvs_neuro.stats import noise_precision

RNG = np.random.default_rng(1)
N, P = 12, 30
IDS = [f"s{i:02d}" for i in range(N)]


def patterns(offset: float = 2.0) -> np.ndarray:
    return RNG.normal(offset, 1, (N, P))


def site(n_steps: int = 3, status=("constant", "active", "active"), dtype=np.float32, seed=0) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(size=(N, n_steps, 4, 3, 5)).astype(dtype)
    values[:, np.array(status) == "constant"] = 1.5
    return xr.DataArray(
        values,
        dims=("stimulus", "timestep", "channel", "y", "x"),
        coords={"stimulus_id": ("stimulus", IDS), "timestep": range(n_steps), "status": ("timestep", list(status))},
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "transform"),
    [
        ("correlation", "correlation", lambda d: d),
        ("sqeuclidean", "euclidean", lambda d: d),
        ("euclidean", "euclidean", np.sqrt),
    ],
)
@pytest.mark.parametrize("memory", [2**28, 8 * N * 3 * 7])
def test_metrics_are_rsatoolboxs(ours, theirs, transform, memory):
    x = patterns()
    expected = transform(calc_rdm(Dataset(x.copy()), method=theirs).dissimilarities)
    np.testing.assert_allclose(
        compute_rdms(x, stimulus_ids=IDS, metric=ours, run=Run(memory=8 * (memory))), expected, atol=1e-12
    )


def test_cosine_is_scipys():
    x = patterns()
    np.testing.assert_allclose(
        compute_rdms(x, stimulus_ids=IDS, metric="cosine").values[0], pdist(x, "cosine"), atol=1e-13
    )


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("memory", [2**28, 8 * N * 3 * 7])
def test_mahalanobis_is_rsatoolboxs(kind, memory):
    x = patterns()
    precision = noise_precision(RNG.normal(size=(80, P)) @ RNG.normal(size=(P, P)), kind)
    full = np.diag(precision) if kind == "diag" else precision
    expected = calc_rdm(Dataset(x.copy()), method="mahalanobis", noise=full).dissimilarities
    ours = compute_rdms(
        x, stimulus_ids=IDS, metric="mahalanobis", noise_precision=precision, run=Run(memory=8 * (memory))
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


def presentations(seed=0, runs=4, unbalanced=True):
    rng = np.random.default_rng(seed)
    rows = [(s, r) for r in range(runs) for s in IDS]
    if unbalanced:
        rows += [(IDS[3], 1), (IDS[3], 1), (IDS[7], 2)]
    rng.shuffle(rows)
    ids, run = zip(*rows, strict=True)
    x = rng.gamma(2.0, 1.0, (len(rows), P))
    responses = make_responses(x, ids, neuroid_coords={"voxel": np.arange(P)}, run=np.array(run))
    dataset = Dataset(x.copy(), obs_descriptors={"stim": list(ids), "run": [int(r) for r in run]})
    return responses, dataset


def in_order(ours: xr.DataArray) -> np.ndarray:
    from bltvs_neuro.neural.align import select_stimuli

    return select_stimuli(ours, IDS).values


@pytest.mark.parametrize("noise", ["none", "diag", "full"])
@pytest.mark.parametrize("memory", [2**28, 5000])
def test_crossnobis_is_rsatoolboxs_also_unbalanced(noise, memory):
    responses, dataset = presentations()
    precision = None if noise == "none" else noise_precision(RNG.normal(size=(80, P)), noise)
    full = np.diag(precision) if noise == "diag" else precision
    expected = calc_rdm(dataset, method="crossnobis", descriptor="stim", cv_descriptor="run", noise=full)
    ours = compute_rdms(
        responses, metric="crossnobis", folds="run", noise_precision=precision, run=Run(memory=8 * (memory))
    )
    np.testing.assert_allclose(in_order(ours), expected.dissimilarities, rtol=1e-10, atol=1e-12)


def test_cv_euclidean_is_crossnobis_without_noise_and_unbiased():
    responses, _ = presentations()
    a = compute_rdms(responses, metric="cv_euclidean", folds="run")
    b = compute_rdms(responses, metric="crossnobis", folds=responses["run"].values)
    np.testing.assert_array_equal(a.values, b.values)
    rng = np.random.default_rng(5)
    means = [
        compute_rdms(
            rng.normal(size=(40, 60)),
            stimulus_ids=[f"s{i}" for i in range(10)] * 4,
            metric="cv_euclidean",
            folds=np.repeat(range(4), 10),
        ).values.mean()
        for _ in range(60)
    ]
    assert abs(np.mean(means)) < 3 * np.std(means) / np.sqrt(60)


def test_poisson_is_rsatoolboxs():
    responses, dataset = presentations()
    expected = calc_rdm(dataset, method="poisson", descriptor="stim").dissimilarities
    np.testing.assert_allclose(
        in_order(compute_rdms(responses, metric="poisson", run=Run(memory=72000))), expected, atol=1e-12
    )
    with pytest.raises(DataError, match="negative values"):
        compute_rdms(patterns(0), stimulus_ids=IDS, metric="poisson")


def test_poisson_cv_is_the_mean_over_folds_of_which_rsatoolbox_keeps_the_last():
    responses, dataset = presentations(unbalanced=False)
    folds = []
    for last in range(4):
        relabelled = [10 if r == last else r for r in dataset.obs_descriptors["run"]]
        again = Dataset(
            dataset.measurements.copy(), obs_descriptors={"stim": dataset.obs_descriptors["stim"], "run": relabelled}
        )
        folds.append(calc_rdm(again, method="poisson_cv", descriptor="stim", cv_descriptor="run").dissimilarities)
    ours = compute_rdms(responses, metric="poisson_cv", folds="run", run=Run(memory=56000))
    np.testing.assert_allclose(in_order(ours), np.mean(folds, axis=0), atol=1e-12)


def test_repeats_are_averaged_per_stimulus():
    responses, dataset = presentations()
    expected = calc_rdm(dataset, method="correlation", descriptor="stim").dissimilarities
    np.testing.assert_allclose(in_order(compute_rdms(responses)), expected, atol=1e-12)


def test_large_offsets_do_not_cancel():
    x = RNG.normal(size=(N, 500))
    for metric in ("correlation", "sqeuclidean"):
        near = compute_rdms(x, stimulus_ids=IDS, metric=metric).values
        far = compute_rdms(x + 1000000.0, stimulus_ids=IDS, metric=metric, run=Run(memory=8 * (8 * N * 3 * 50))).values
        np.testing.assert_allclose(far, near, rtol=1e-8)
    # float32 data with a large mean: rsatoolbox computes in float32 and goes negative
    y = (x * 1e-3 + 100).astype(np.float32)
    exact = compute_rdms(y.astype(np.float64), stimulus_ids=IDS, metric="sqeuclidean").values
    ours = compute_rdms(y, stimulus_ids=IDS, metric="sqeuclidean").values
    assert (ours >= 0).all()
    np.testing.assert_allclose(ours, exact, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_small_dtypes_are_summed_in_float64(dtype):
    x = (RNG.normal(size=(N, 400)) * 40).clip(-120, 120).astype(dtype)
    expected = compute_rdms(x.astype(np.float64), stimulus_ids=IDS).values
    np.testing.assert_array_equal(compute_rdms(x, stimulus_ids=IDS).values, expected)


def test_constant_pattern_is_nan_and_logged(caplog):
    x = patterns()
    x[4] = 0.1
    with caplog.at_level(logging.WARNING):
        rdms = compute_rdms(x, stimulus_ids=IDS)
    assert "1 patterns without variance" in caplog.text
    assert "s04" in caplog.text
    bad = (rdms["stimulus_a"].values == "s04") | (rdms["stimulus_b"].values == "s04")
    np.testing.assert_array_equal(np.isnan(rdms.values[0]), bad)


def test_values_that_are_not_finite_raise_with_the_site():
    array = site()
    array.values[2, 1, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match=r"V1/bu@1 holds values that are not finite in 1 of 12 rows \(rows 2\)"):
        compute_rdms({"V1/bu": array})


def test_store_gives_one_labelled_rdm_per_site_and_active_timestep(caplog):
    acts = {"V1/bu": site(), "V1/td": site(status=("active", "constant", "active"), seed=1)}
    with caplog.at_level(logging.INFO):
        rdms = compute_rdms(acts, metric="sqeuclidean", run=Run(memory=16000))
    assert rdms["name"].values.tolist() == ["V1/bu@1", "V1/bu@2", "V1/td@0", "V1/td@2"]
    assert rdms["timestep"].values.tolist() == [1, 2, 0, 2]
    assert rdms["stream"].values.tolist() == ["bu", "bu", "td", "td"]
    assert "V1/bu@0, V1/td@1 are constant over stimuli: left out" in caplog.text
    x = acts["V1/td"].values[:, 2].reshape(N, -1).astype(np.float64)
    np.testing.assert_allclose(rdms.values[3], pdist(x, "sqeuclidean") / x.shape[1], rtol=1e-12)
    assert rdm_stimulus_ids(rdms) == tuple(IDS)


def test_constant_site_asked_for_by_name_raises():
    acts = {"V1/bu": site(), "V2/td": site(status=("constant",) * 3)}
    with pytest.raises(
        SpecError, match="'V2/td' is the same for every stimulus at timesteps 0, 1, 2; active are V2/td at none"
    ):
        compute_rdms(acts, sites=["V2/td"])
    with pytest.raises(
        SpecError, match="'V1/bu' is the same for every stimulus at timesteps 0; active are V1/bu at 1, 2"
    ):
        compute_rdms(acts, sites=Select("V1/bu", timesteps="0:2"))
    assert compute_rdms(acts, sites=Select(timesteps="0:2"))["timestep"].values.tolist() == [1]
    with pytest.raises(SpecError, match="unknown area 'V9'"):
        compute_rdms(acts, sites=["V9/bu"])


def test_mean_over_timesteps_averages_active_activations():
    array = site(dtype=np.float64)
    ours = compute_rdms({"V1/bu": array}, combine="mean_timesteps", run=Run(memory=12000))
    x = array.values[:, 1:].mean(axis=1).reshape(N, -1)
    np.testing.assert_allclose(ours.values, compute_rdms(x, stimulus_ids=IDS).values, atol=1e-13)
    assert "timestep" not in ours.coords


def test_streams_side_by_side():
    acts = {
        "V1/bu": site(dtype=np.float64),
        "V1/td": site(status=("active",) * 3, seed=2, dtype=np.float64),
        "V2/bu": site(),
    }
    ours = compute_rdms(acts, combine="concat_streams", run=Run(memory=12000))
    assert ours["name"].values.tolist() == ["V1/bu+td@1", "V1/bu+td@2"]
    x = np.concatenate([acts[k].values[:, 1].reshape(N, -1) for k in ("V1/bu", "V1/td")], axis=1)
    np.testing.assert_allclose(ours.values[0], compute_rdms(x, stimulus_ids=IDS).values[0], atol=1e-13)


def test_responses_by_roi_and_time():
    x = RNG.normal(size=(N, 6, 4))
    r = make_responses(x, IDS, neuroid_coords={"roi": ["V1"] * 3 + ["IT"] * 3}, time=[0.0, 0.1, 0.2, 0.3])
    ours = compute_rdms(r, by=("roi",))
    assert ours.shape[0] == 8
    chosen = ours.values[(ours["roi"].values == "IT") & (ours["time"].values == 0.2)]
    np.testing.assert_allclose(chosen, compute_rdms(x[:, 3:, 2], stimulus_ids=IDS).values, atol=1e-13)
    with pytest.raises(SpecError, match="unknown neuroid coordinate 'area'"):
        compute_rdms(r, by=("area",))


def test_stores_whose_sites_disagree_on_stimuli_raise():
    other = site(seed=3).isel(stimulus=slice(None, None, -1))
    with pytest.raises(DataError, match="other stimuli, or another order"):
        compute_rdms({"V1/bu": site(), "V2/bu": other})


def test_wrong_requests_say_what_to_do():
    x = patterns()
    with pytest.raises(SpecError, match=r"unknown metric 'corelation' \(did you mean 'correlation'\?\)"):
        compute_rdms(x, stimulus_ids=IDS, metric="corelation")
    with pytest.raises(
        SpecError, match=r"folds= is for cross-validated metrics \(cv_euclidean, .*\); 'correlation' is none"
    ):
        compute_rdms(x, stimulus_ids=IDS, folds=[0] * N)
    with pytest.raises(SpecError, match="pass stimulus_ids="):
        compute_rdms(x)
    with pytest.raises(SpecError, match="cross-validated: pass folds="):
        compute_rdms(x, stimulus_ids=IDS, metric="crossnobis")
    with pytest.raises(SpecError, match="at least 2 folds"):
        compute_rdms(x, stimulus_ids=IDS, metric="crossnobis", folds=[0] * N)
    with pytest.raises(DataError, match="missing: s01 in fold 1"):
        compute_rdms(
            x[:5], stimulus_ids=["s00", "s01", "s00", "s02", "s02"], metric="crossnobis", folds=[0, 0, 1, 0, 1]
        )
    with pytest.raises(SpecError, match="takes no noise precision; mahalanobis and crossnobis do"):
        compute_rdms(x, stimulus_ids=IDS, noise_precision=np.ones(P))
    with pytest.raises(SpecError, match=r"shape \(30,\) for a diagonal or \(30, 30\); got \(4,\)"):
        compute_rdms(x, stimulus_ids=IDS, metric="mahalanobis", noise_precision=np.ones(4))


def test_unit_blocks_cover_every_unit_once():
    for shape in [(7,), (3, 4), (2, 5, 6)]:
        for most in (1, 3, 4, 30, 1000):
            seen = np.zeros(shape, int)
            for block in unit_blocks(shape, most):
                seen[block] += 1
                assert seen[block].size <= most
            assert (seen == 1).all()


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_memory_stays_bounded_for_a_wide_site(metric):
    x = np.zeros((50, 100_000), np.float32)
    x[:] = RNG.normal(size=x.shape).astype(np.float32)
    tracemalloc.start()
    compute_rdms(x, stimulus_ids=[f"s{i}" for i in range(50)], metric=metric, run=Run(memory=8 * (2**21)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 2**20, f"peak {peak / 2**20:.1f} MiB"  # a full float64 copy takes 38 MiB


def test_every_metric_has_a_formula():
    assert all(m.formula for m in METRICS.values())


def test_balanced_crossnobis_is_the_general_one_in_any_order_of_rows(monkeypatch):
    from bltvs_neuro.rsa.rdms.presentations import Folds

    rng = np.random.default_rng(0)
    n, runs = 7, 3
    x = 50 + rng.normal(size=(n * runs, 700))
    ids, run = np.tile([f"s{i}" for i in range(n)], runs), np.repeat(np.arange(runs), n)
    order = rng.permutation(n * runs)
    fast = [
        compute_rdms(x[o], metric="crossnobis", stimulus_ids=ids[o], folds=run[o], run=Run(memory=8 * (m)))
        for o, m in ((np.arange(n * runs), 2**28), (np.arange(n * runs), 5000))
    ]
    moved = compute_rdms(x[order], metric="crossnobis", stimulus_ids=ids[order], folds=run[order])
    monkeypatch.setattr(Folds, "n_per_cell", 0)
    slow = compute_rdms(x, metric="crossnobis", stimulus_ids=ids, folds=run)
    for found in (*fast, select_stimuli(moved, [f"s{i}" for i in range(n)])):
        np.testing.assert_allclose(found.values, slow.values, atol=1e-12)
