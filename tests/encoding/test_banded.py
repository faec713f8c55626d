from __future__ import annotations

import numpy as np
import pytest
from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search
from himalaya.scoring import r2_score_split
from sklearn.model_selection import KFold

from bltvs_neuro.encoding.scores.score import r2, split_r2
from bltvs_neuro.encoding.solvers.banded import dirichlet_gammas, fit_banded, fit_banded_hyper_gradient
from bltvs_neuro.encoding.solvers.ridge import GridEdgeWarning, RidgeSearch
from bltvs_neuro.errors import SpecError
from bltvs_neuro.features.grams import centre_cross, centre_train, gram

from .reference import gcv_loss, ridge_refit

GRID = np.logspace(-1, 4, 11)
N, WIDTHS = 60, (30, 90, 10)


@pytest.fixture(scope="module")
def data():
    """Three bands; targets 0-9 use the first, 10-19 the second, 20-29 both, 30-39 none."""
    rng = np.random.default_rng(0)
    bands = [rng.standard_normal((N + 40, p)) / np.sqrt(p) for p in WIDTHS]
    signal = np.zeros((N + 40, 40))
    for band, targets in ((0, slice(0, 10)), (1, slice(10, 20)), (0, slice(20, 30)), (1, slice(20, 30))):
        signal[:, targets] += bands[band] @ rng.standard_normal((WIDTHS[band], 10))
    y = signal + 0.5 * rng.standard_normal(signal.shape)
    train, test = np.arange(N), np.arange(N, N + 40)
    ks = [gram(b) for b in bands]
    return bands, y, [centre_train(k, train) for k in ks], [centre_cross(k, test, train) for k in ks]


def test_one_candidate_is_ridge_on_scaled_bands(data) -> None:
    bands, y, ks, crosses = data
    share = np.array([0.2, 0.5, 0.3])
    fit = fit_banded(ks, y[:N], [2.0], RidgeSearch(dtype="float64"), gammas=share[None])
    x = np.hstack([np.sqrt(g) * b for g, b in zip(share, bands, strict=True)])
    parts = fit.parts(crosses)
    np.testing.assert_allclose(parts.sum(axis=0) + fit.mean, ridge_refit(x[:N], y[:N], x[N:], 2.0), atol=1e-11)
    np.testing.assert_allclose(fit.loss, gcv_loss(x[:N], y[:N], 2.0), rtol=1e-10)


def test_the_best_candidate_and_alpha_of_all_is_chosen(data) -> None:
    bands, y, ks, _ = data
    gammas = dirichlet_gammas(3, 12, seed=1)
    fit = fit_banded(ks, y[:N], GRID, RidgeSearch(dtype="float64", on_edge="ignore"), gammas=gammas)
    losses = np.array(
        [
            [gcv_loss(np.hstack([np.sqrt(g) * b[:N] for g, b in zip(row, bands, strict=True)]), y[:N], a) for a in GRID]
            for row in gammas
        ]
    )
    np.testing.assert_allclose(fit.loss, losses.min(axis=(0, 1)), rtol=1e-10)
    best = losses.reshape(-1, 40).argmin(axis=0)
    np.testing.assert_array_equal(fit.gammas, gammas[best // len(GRID)].T)
    np.testing.assert_array_equal(fit.alpha, GRID[best % len(GRID)])


def test_kfold_search_equals_himalaya(data) -> None:
    _, y, ks, crosses = data
    gammas = dirichlet_gammas(3, 15, seed=2)
    blocks = [test for _, test in KFold(5).split(ks[0])]
    fit = fit_banded(
        ks, y[:N], GRID, RidgeSearch(by="kfold", folds=blocks, dtype="float64", on_edge="ignore"), gammas=gammas
    )
    deltas, dual, _, intercept = solve_multiple_kernel_ridge_random_search(
        np.stack(ks),
        y[:N],
        n_iter=gammas,
        alphas=GRID,
        cv=KFold(5),
        return_weights="dual",
        progress_bar=False,
        fit_intercept=True,
    )
    theirs = np.einsum("bt,bmn,nt->mt", np.exp(deltas), np.stack(crosses), dual) + intercept
    np.testing.assert_allclose(fit.parts(crosses).sum(axis=0) + fit.mean, theirs, atol=1e-6)


def test_product_measure_parts_sum_to_the_joint_r2_and_equal_himalaya(data) -> None:
    _, y, ks, crosses = data
    fit = fit_banded(ks, y[:N], GRID, RidgeSearch(dtype="float64", on_edge="ignore"), gammas=dirichlet_gammas(3, 20))
    parts = fit.parts(crosses)
    truth = y[N:] - y[N:].mean(axis=0)
    parts = parts - parts.mean(axis=1, keepdims=True)
    split = split_r2(truth, parts)
    np.testing.assert_allclose(split.sum(axis=0), r2(truth, parts.sum(axis=0)), rtol=0, atol=1e-13)
    np.testing.assert_allclose(split, r2_score_split(truth, parts), atol=1e-12)


@pytest.mark.parametrize("solver", ["random", "hyper-gradient"])
def test_the_right_band_is_found(data, solver: str) -> None:
    _, y, ks, crosses = data
    if solver == "random":
        fit = fit_banded(ks, y[:N], GRID, RidgeSearch(on_edge="ignore"), gammas=dirichlet_gammas(3, 50))
    else:
        blocks = [test for _, test in KFold(5).split(ks[0])]
        fit = fit_banded_hyper_gradient(ks, y[:N], folds=blocks, max_iter=30)
    parts = fit.parts(crosses)
    split = split_r2(y[N:], parts + (fit.mean / 3)[None, None, :])
    assert fit.gammas.sum(axis=0) == pytest.approx(np.ones(40), abs=1e-5)
    assert split[0, :10].mean() > 0.3 > 0.1 > abs(split[1, :10].mean())
    assert split[1, 10:20].mean() > 0.1 > abs(split[0, 10:20].mean())
    # the third band gets a share by chance only: a cost, like that of bands of its shape made of other noise
    cost = []
    for band in np.random.default_rng(5).standard_normal((20, N + 40, WIDTHS[2])) / np.sqrt(WIDTHS[2]):
        k = gram(band)
        third, cross = centre_train(k, np.arange(N)), centre_cross(k, np.arange(N, N + 40), np.arange(N))
        other = fit_banded([*ks[:2], third], y[:N], GRID, RidgeSearch(on_edge="ignore"), gammas=dirichlet_gammas(3, 50))
        parts = other.parts([*crosses[:2], cross])
        cost.append(split_r2(y[N:], parts + (other.mean / 3)[None, None, :])[2, :30].mean())
    assert min(cost) < split[2, :30].mean() < max(cost)


def test_batches_and_float32_change_nothing(data) -> None:
    _, y, ks, crosses = data
    gammas = dirichlet_gammas(3, 10)
    a = fit_banded(ks, y[:N], GRID, RidgeSearch(dtype="float64", on_edge="ignore"), gammas=gammas)
    b = fit_banded(ks, y[:N], GRID, RidgeSearch(dtype="float32", batch_bytes=1, on_edge="ignore"), gammas=gammas)
    same = (a.gammas == b.gammas).all(axis=0) & (a.alpha == b.alpha)
    assert same.mean() > 0.8  # near-equal candidates may swap at float32's precision, at the same loss
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-5)
    np.testing.assert_allclose(a.parts(crosses)[..., same], b.parts(crosses)[..., same], atol=1e-5)


def test_candidates_sum_to_one_and_hold_each_band_alone() -> None:
    gammas = dirichlet_gammas(4, 30, seed=3)
    assert gammas.shape == (30, 4)
    np.testing.assert_allclose(gammas.sum(axis=1), 1)
    np.testing.assert_array_equal(gammas[1:5], np.eye(4))
    assert not np.array_equal(gammas, dirichlet_gammas(4, 30, seed=4))
    assert dirichlet_gammas(1).tolist() == [[1.0]]


def test_bad_arguments(data) -> None:
    _, y, ks, _ = data
    with pytest.raises(SpecError, match="4 bands need n_iter of at least 5"):
        dirichlet_gammas(4, 3)
    with pytest.raises(SpecError, match="sum to one in each row"):
        fit_banded(ks, y[:N], GRID, gammas=np.ones((2, 3)))
    with pytest.raises(SpecError, match="Grams of one shape"):
        fit_banded([ks[0], ks[1][:-1]], y[:N], GRID, gammas=dirichlet_gammas(2, 5))
    with pytest.warns(GridEdgeWarning, match="smallest alpha"):
        fit_banded(ks, y[:N], [1e3, 1e4], gammas=dirichlet_gammas(3, 5))
