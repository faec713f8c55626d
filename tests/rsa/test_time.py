from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.similarity import compare_vectors
from bltvs_neuro.rsa.inference.ceiling import noise_ceiling
from bltvs_neuro.rsa.time import peak_latency, time_matrix

N, K = 10, 8
P = N * (N - 1) // 2
IDS = [f"s{i}" for i in range(N)]
TIMES = np.arange(12) * 0.02


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
    found = time_matrix(models, brain, similarity="spearman")
    assert found.values.dims == ("site", "timestep", "time", "subject")
    assert np.isnan(found.values.sel(site="IT/bu", timestep=0)).all()
    pick = (brain["subject"].values == "S3") & np.isclose(brain["time"].values, TIMES[4])
    expected = compare_vectors(models.values[1:2], brain.values[pick], "spearman")[0, 0]
    np.testing.assert_allclose(found.values.sel(site="V1/bu", timestep=1, subject="S3").values[4], expected)
    at = brain[np.isclose(brain["time"].values, TIMES[4])]
    np.testing.assert_allclose(found.ceiling[:, 4], noise_ceiling(at, "spearman")[:2], atol=1e-12)


def test_latencies_and_clusters_lie_where_the_signal_is():
    found = time_matrix(*movie())
    peaks = peak_latency(found, n_samples=300).set_index("site")
    assert abs(peaks.loc["V1/bu", "latency"] - 0.06) <= 0.0201
    assert abs(peaks.loc["IT/bu", "latency"] - 0.16) <= 0.0201
    assert (peaks["ci_low"] <= peaks["latency"]).all()
    assert (peaks["ci_high"] >= peaks["latency"]).all()
    test = found.cluster_test("V1/bu", n_permutations=256)
    assert test.exact
    assert test.p_values[0] <= 2 / 256
    assert test.statistic.shape == (2, 12)
    best = np.argwhere(test.labels == 1)[:, 1]
    assert TIMES[best].min() >= 0.0
    assert 3 in best
    assert found.cluster_test("IT/bu").statistic.shape == (1, 12)
    with pytest.raises(SpecError, match="unknown site 'V4/bu'; valid: V1/bu, IT/bu"):
        found.cluster_test("V4/bu")


def test_reductions_of_timesteps():
    found = time_matrix(*movie())
    x = found.values.sel(site="V1/bu").mean("subject")
    for reduce, curve in (("best_timestep", x.max("timestep")), ("mean_timestep", x.mean("timestep"))):
        row = peak_latency(found, reduce=reduce, n_samples=20).set_index("site").loc["V1/bu"]
        assert row["latency"] == TIMES[int(curve.argmax())]
        np.testing.assert_allclose(row["peak"], curve.max())


def test_one_subject_has_a_peak_but_no_interval():
    models, brain = movie()
    row = peak_latency(time_matrix(models, brain[brain["subject"].values == "S0"]), n_samples=10).iloc[0]
    assert np.isfinite(row["latency"])
    assert np.isnan(row["ci_low"])


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
    found = time_matrix(models, noisy)
    none = peak_latency(found, n_samples=0)
    assert none[["ci_low", "ci_high"]].isna().all(axis=None)
    for confidence in (0.5, 0.95):
        row = peak_latency(found, n_samples=200, confidence=confidence).iloc[0]
        ends = np.quantile(row["samples"], [(1 - confidence) / 2, (1 + confidence) / 2])
        np.testing.assert_allclose([row["ci_low"], row["ci_high"]], ends)
