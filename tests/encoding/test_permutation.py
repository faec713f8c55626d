"""p values of encoding against fits of permuted responses, and their size on noise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA

from bltvs_neuro.encoding import OLS, PLS, BandedRidge, Permutations, Ridge, fit_encoding
from bltvs_neuro.encoding.sweep import permutation
from bltvs_neuro.encoding.sweep.orders import Orders
from bltvs_neuro.errors import DataError
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.options import Run
from tests.calibration.encoding_families import DESIGNS, any_rejected

N, T = 24, 6


def names(n: int) -> list[str]:
    return [f"s{i:03d}" for i in range(n)]


def features(rng: np.random.Generator, n: int, p: int, steps: int = 1) -> dict[str, xr.DataArray]:
    coords = {"stimulus_id": ("stimulus", names(n)), "timestep": np.arange(steps)}
    values = rng.standard_normal((n, steps, p)).astype(np.float32)
    return {"V1/bu": xr.DataArray(values, dims=("stimulus", "timestep", "unit"), coords=coords)}


def responses(values: np.ndarray, shown: list[str]) -> xr.DataArray:
    return make_responses(values, shown, neuroid_coords={})


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        (Ridge(on_edge="ignore"), {}),
        (Ridge(by="kfold", on_edge="ignore", inner_folds=3), {"transform": "zscore"}),
        (Ridge(on_edge="ignore"), {"transform": PCA(3)}),
        (BandedRidge(bands="timestep", candidates=4, on_edge="ignore"), {}),
        (PLS(2), {}),
        (OLS(), {}),
    ],
    ids=["ridge", "kfold", "transformer", "banded", "pls", "ols"],
)
def test_p_values_are_those_of_fits_to_permuted_responses(monkeypatch, solver, options) -> None:
    rng = np.random.default_rng(0)
    acts = features(rng, N, 5, steps=2 if isinstance(solver, BandedRidge) else 1)
    y = 0.7 * acts["V1/bu"].values[:, 0] @ rng.standard_normal((5, T)) * np.linspace(0, 1, T) + rng.standard_normal(
        (N, T)
    )
    shared = {"solver": solver, "cv": Folds(3), "run": Run(seed=3, dtype="float64"), **options}
    found = fit_encoding(acts, responses(y, names(N)), n_permutations=30, **shared)
    monkeypatch.setattr(permutation, "ENOUGH", 31)
    every = fit_encoding(acts, responses(y, names(N)), n_permutations=30, **shared)
    orders = Orders(np.arange(N), 3)
    reached = np.array(
        [
            fit_encoding(acts, responses(y[orders.draw()], names(N)), **shared)["r"].values[0]
            >= found["r"].values[0] - 1e-6
            for _ in range(30)
        ]
    )
    np.testing.assert_array_equal(every["p_value"].values[0], (1 + reached.sum(axis=0)) / 31)
    stopped = reached.sum(axis=0) >= 20
    last = (reached.cumsum(axis=0) >= 20).argmax(axis=0) + 1
    expected = np.where(stopped, 20 / last, (1 + reached.sum(axis=0)) / 31)
    np.testing.assert_array_equal(found["p_value"].values[0], expected)


@pytest.mark.parametrize("solver", [Ridge(on_edge="ignore"), PLS(2)])
def test_family_wise_p_values_are_those_of_the_largest_score_of_refits(solver) -> None:
    rng = np.random.default_rng(0)
    acts = features(rng, N, 5, steps=2)
    y = acts["V1/bu"].values[:, 0] @ rng.standard_normal((5, T)) * np.linspace(0, 1, T) + rng.standard_normal((N, T))
    shared = {"solver": solver, "cv": Folds(3), "run": Run(seed=3, dtype="float64")}
    found = fit_encoding(acts, responses(y, names(N)), n_permutations=Permutations(30, fwer=True), **shared)
    orders = Orders(np.arange(N), 3)
    every = np.array(
        [fit_encoding(acts, responses(y[orders.draw()], names(N)), **shared)["r"].values for _ in range(30)]
    )
    observed = found["r"].values - 1e-6
    reached = (every.max(axis=(1, 2))[:, None, None] >= observed).sum(axis=0)
    np.testing.assert_allclose(found["p_fwer"].values, (1 + reached) / 31)
    np.testing.assert_allclose(found["p_value"].values, (1 + (every >= observed).sum(axis=0)) / 31)
    assert (found["p_fwer"] >= found["p_value"]).all()
    assert found.to_frame()["family"].unique().tolist() == [f"2 feature spaces x {T} targets"]
    assert found.to_frame()["correction"].unique().tolist() == ["q_value: fdr; p_fwer: largest r of each permutation"]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_family_wise_errors_on_noise(number) -> None:
    """40 held-out data sets: any error in .05 of them, and three standard errors more."""
    errors = [any_rejected(DESIGNS[number], seed) for seed in range(60_000, 60_040)]
    assert np.mean(errors) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 40)


def test_batches_of_permutations_change_nothing() -> None:
    rng = np.random.default_rng(1)
    acts, y = features(rng, N, 40), rng.standard_normal((N, T))
    y[:, 0] += 3 * acts["V1/bu"].values[:, 0, 0]
    some, all_at_once = (
        fit_encoding(
            acts,
            responses(y, names(N)),
            solver=Ridge(on_edge="ignore"),
            cv=Folds(3),
            n_permutations=60,
            run=Run(memory=m),
        )["p_value"].values
        for m in ("64KiB", "2GiB")
    )
    np.testing.assert_array_equal(some, all_at_once)


@pytest.mark.parametrize(
    ("n", "p", "solver"), [(40, 100, Ridge(on_edge="ignore")), (60, 20, Ridge(by="loo", on_edge="ignore"))]
)
def test_the_size_on_noise_is_nominal(n, p, solver) -> None:
    """Twice the nominal size before: predictions that are kept and shuffled vary half as much as scores of noise do."""
    p_values = []
    for seed in range(8):
        rng = np.random.default_rng([n, seed])
        acts, y = features(rng, n, p), rng.standard_normal((n, 200))
        fit = fit_encoding(acts, responses(y, names(n)), solver=solver, n_permutations=199, run=Run(seed=seed))
        p_values.append(fit["p_value"].values[0])
    share = [(np.array(p_values) <= alpha).mean() for alpha in (0.05, 0.01)]
    # 1600 voxels; those of one set of features depend on each other a little
    assert abs(share[0] - 0.05) < 0.017 and share[1] < 0.018


def test_signal_has_the_smallest_p_value_and_repeats_are_not_counted_as_stimuli() -> None:
    rng = np.random.default_rng(2)
    acts = features(rng, N, 5)
    x = acts["V1/bu"].values[:, 0]
    repeats = np.repeat(np.arange(N), rng.integers(1, 4, N))  # unbalanced
    y = np.concatenate([x[:, :2], rng.standard_normal((N, 300))], axis=1)[repeats]
    y += 0.1 * rng.standard_normal(y.shape)
    fit = fit_encoding(
        acts, responses(y, [names(N)[i] for i in repeats]), solver=Ridge(on_edge="ignore"),
        cv=Folds(4, repetitions="single"), n_permutations=99,
    )  # fmt: skip
    p_value = fit["p_value"].values[0]
    assert (p_value[:2] == 0.01).all()
    assert (p_value[2:] <= 0.05).mean() < 0.1


def test_groups_change_places_whole_and_only_with_their_size() -> None:
    groups = np.array([0, 1, 1, 2, 2, 3, 4, 4, 4])
    orders = Orders(groups, 0)
    drawn = np.array([orders.draw() for _ in range(200)])
    assert (np.sort(drawn, axis=1) == np.arange(9)).all()
    assert set(map(tuple, drawn[:, [0, 5]])) == {(0, 5), (5, 0)}
    assert set(map(tuple, drawn[:, 1:5])) == {(1, 2, 3, 4), (3, 4, 1, 2)}
    assert (drawn[:, 6:] == [6, 7, 8]).all()
    with pytest.raises(DataError, match=r"no two of the 3 groups.*repetitions='average'"):
        Orders(np.array([0, 1, 1, 2, 2, 2]), 0)
