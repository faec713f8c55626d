"""Solvers at their smallest sizes, in small units and without a choice of options."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from bltvs_neuro.encoding.solvers.backend import Backend
from bltvs_neuro.encoding.solvers.banded import dirichlet_gammas, fit_banded, fit_banded_hyper_gradient
from bltvs_neuro.encoding.solvers.estimators import Ridge
from bltvs_neuro.encoding.solvers.ols import fit_ols
from bltvs_neuro.encoding.solvers.pls import fit_pls
from bltvs_neuro.encoding.solvers.ridge import (
    PrecisionWarning,
    RidgeSearch,
    _against_float64,
    about_mean,
    check_blocks,
    count_edges,
    fit_ridge,
)
from bltvs_neuro.encoding.solvers.spectrum import feature_spectrum, gram_spectrum
from bltvs_neuro.errors import SpecError
from bltvs_neuro.features.grams import centre_train, gram


def test_two_rows_span_one_direction() -> None:
    """Rows 1 and -1: the centred Gram is (1, -1; -1, 1), of eigenvalue 2 along (1, -1)."""
    found = gram_spectrum(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    np.testing.assert_allclose(found.values, [2])
    np.testing.assert_allclose(np.abs(found.vectors), np.full((2, 1), np.sqrt(0.5)))
    assert found.vectors[0, 0] * found.vectors[1, 0] < 0
    with pytest.raises(SpecError, match="at least 2 training rows; got 1"):
        gram_spectrum(np.ones((1, 1)))


@pytest.mark.parametrize("p", [4, 9, 10, 30])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_decomposition_follows_the_unit(p: int, unit: float) -> None:
    x = np.random.default_rng(0).standard_normal((10, p))
    values = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[: min(p, 9)] ** 2
    found = feature_spectrum(x * unit)
    np.testing.assert_allclose(found.values[::-1][: len(values)] / unit**2, values, rtol=1e-9)
    np.testing.assert_allclose(found.vectors.sum(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-7, 1e7])
def test_components_do_not_depend_on_the_unit(unit: float) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 6)), rng.standard_normal((20, 3)) + 4
    expected = PLSRegression(2, scale=False, tol=1e-15, max_iter=5000).fit(x, y).predict(x)
    found = fit_pls(feature_spectrum(x * unit), y, 2)
    k = gram(x * unit)
    np.testing.assert_allclose(found.predict(centre_train(k, np.arange(20))), expected, atol=1e-6)


def test_least_squares_needs_three_rows_more_than_features() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 4)), rng.standard_normal((7, 2)) + 3
    found = fit_ols(x, y)
    design = np.column_stack([np.ones(7), x])
    np.testing.assert_allclose(x @ found.weights + found.intercept, design @ np.linalg.lstsq(design, y, rcond=None)[0])
    with pytest.raises(SpecError, match=r"rows - 2 \(4\); got 4"):
        fit_ols(x[:6], y[:6])


@pytest.mark.parametrize("p", [3, 30])
def test_the_intercept_of_one_target_is_a_number(p: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, p)) + 2, rng.standard_normal(12) + 5
    fit = Ridge(alphas=[2.0], on_edge="ignore").fit(x, y)
    centred = x - x.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + 2 * np.eye(p), centred.T @ (y - y.mean()))
    np.testing.assert_allclose(fit.coef_, weights, rtol=1e-4, atol=1e-5)
    assert isinstance(fit.intercept_, float)
    assert fit.intercept_ == pytest.approx(y.mean() - x.mean(axis=0) @ weights, abs=1e-4)
    np.testing.assert_allclose(fit.predict(x), x @ fit.coef_ + fit.intercept_, atol=1e-6)


def test_shares_without_a_choice() -> None:
    found = dirichlet_gammas(3)
    assert found.shape == (100, 3)
    np.testing.assert_array_equal(found, dirichlet_gammas(3, 100, concentration=(0.1, 1.0), seed=0))
    np.testing.assert_array_equal(dirichlet_gammas(2, 3), [[0.5, 0.5], [1, 0], [0, 1]])


def test_the_first_of_equal_candidates_is_kept_and_100_are_drawn_of_seed_0() -> None:
    rng = np.random.default_rng(0)
    k = [centre_train(gram(rng.standard_normal((12, 5))), np.arange(12)) for _ in range(2)]
    y = rng.standard_normal((12, 3))
    twice = fit_banded(
        [k[0], k[0]], y, [1.0, 10.0], RidgeSearch(on_edge="ignore"), gammas=np.array([[1.0, 0.0], [0.0, 1.0]])
    )
    np.testing.assert_array_equal(twice.gammas, [[1, 1, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    "gammas", [[[1.5, -0.5]], [[0.5, 0.25, 0.25]], [0.5, 0.5], [[0.5, 0.4]]], ids=["negative", "three", "flat", "0.9"]
)
def test_shares_that_are_none_are_refused(gammas: list) -> None:
    with pytest.raises(SpecError, match=r"\(candidates, 2\), are not negative and sum to one"):
        fit_banded([np.eye(6), np.eye(6)], np.zeros((6, 1)), [1.0], gammas=np.array(gammas))


@pytest.mark.parametrize("max_iter", [100, 1000])  # the second stops early
def test_the_gradient_descent_gives_the_ridge_of_its_shares_and_alpha(max_iter: int) -> None:
    """The dual weights solve (sum of share * Gram + alpha) dual = y about its mean; the loss is that of the held-out rows."""
    rng = np.random.default_rng(0)
    k = [centre_train(gram(rng.standard_normal((20, 8))), np.arange(20)) for _ in range(2)]
    y = rng.standard_normal((20, 4)) + 3
    blocks = [np.arange(0, 10), np.arange(10, 20)]
    fit = fit_banded_hyper_gradient(k, y, folds=blocks, max_iter=max_iter)
    np.testing.assert_allclose(fit.gammas.sum(axis=0), 1)
    for t in range(4):
        total = fit.gammas[0, t] * k[0] + fit.gammas[1, t] * k[1]
        np.testing.assert_allclose(
            (total + fit.alpha[t] * np.eye(20)) @ fit.dual[:, t], y[:, t] - y[:, t].mean(), atol=1e-3
        )
        errors = []
        for block in blocks:
            rest = np.setdiff1d(np.arange(20), block)
            dual = np.linalg.solve(
                total[np.ix_(rest, rest)] + fit.alpha[t] * np.eye(10), (y[:, t] - y[:, t].mean())[rest]
            )
            errors.append(((y[:, t] - y[:, t].mean())[block] - total[np.ix_(block, rest)] @ dual) ** 2)
        np.testing.assert_allclose(fit.loss[t], np.mean(errors), rtol=1e-3)


def test_leaving_one_of_many_rows_out_is_the_refit() -> None:
    """More rows than a block of leverages: the residual over 1 minus the leverage, from the hat matrix."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((260, 4)), rng.standard_normal((260, 2))
    fit = fit_ridge(feature_spectrum(x), y, [3.0], RidgeSearch(by="loo", dtype="float64", on_edge="ignore"))
    centred = x - x.mean(axis=0)
    hat = centred @ np.linalg.solve(centred.T @ centred + 3 * np.eye(4), centred.T) + 1 / 260
    residual = (y - hat @ y) / (1 - np.diag(hat))[:, None]
    np.testing.assert_allclose(fit.loss, (residual**2).mean(axis=0))


@pytest.mark.parametrize("alphas", [[3.0], [3.0, 1e9]])
def test_shares_are_chosen_by_the_held_out_blocks_also_with_one_alpha(alphas: list) -> None:
    """Rows come in pairs of one stimulus; only blocks that keep these together see that the second band is noise."""
    rng = np.random.default_rng(1)
    stimulus = np.repeat(np.arange(12), 2)
    signal, noise = rng.standard_normal((12, 3))[stimulus], rng.standard_normal((12, 200))[stimulus]
    y = signal @ rng.standard_normal((3, 2)) + rng.standard_normal((12, 2))[stimulus]
    k = [centre_train(gram(x), np.arange(24)) for x in (signal, noise)]
    blocks = [np.flatnonzero(stimulus % 4 == i) for i in range(4)]
    gammas = np.array([[1.0, 0.0], [0.0, 1.0]])
    fit = fit_banded(k, y, alphas, RidgeSearch("kfold", blocks, dtype="float64", on_edge="ignore"), gammas=gammas)

    def loss(x: np.ndarray) -> np.ndarray:
        errors = []
        for block in blocks:
            rest = np.setdiff1d(np.arange(24), block)
            centred, mean = x[rest] - x[rest].mean(axis=0), y[rest].mean(axis=0)
            dual = np.linalg.solve(centred @ centred.T + 3 * np.eye(len(rest)), y[rest] - mean)
            errors.append(((y[block] - mean - (x[block] - x[rest].mean(axis=0)) @ centred.T @ dual) ** 2).mean(axis=0))
        return np.mean(errors, axis=0)

    np.testing.assert_array_equal(fit.gammas, [[1, 1], [0, 0]])
    np.testing.assert_allclose(fit.loss, loss(signal))
    assert (loss(noise) > loss(signal)).all()


def test_two_rows_are_enough_for_a_ridge() -> None:
    """Features and targets are 1 and -1 about their means: the weight is 2 / (2 + 1)."""
    fit = Ridge(alphas=[1.0], on_edge="ignore").fit([[0.0], [2.0]], [1.0, 3.0])
    np.testing.assert_allclose(fit.coef_, [2 / 3], atol=1e-6)
    np.testing.assert_allclose(fit.predict([[1.0], [4.0]]), [2, 4], atol=1e-6)


@pytest.mark.parametrize(
    ("values", "grid", "edges"),
    [
        ([1.0], [1.0], (0, 0)),  # a single alpha has no edges
        (
            [1.0],
            [0.0011, 0.5, 20.0],
            (2, 0),
        ),  # 1 / 1.0011 is kept of the direction: less than 0.999; 1 / 21 at the other
        ([1.0], [0.0009, 0.5, 18.0], (0, 3)),  # 1 / 1.0009; 1 / 19 is more than 0.05
        ([1.0, 1e-13], [0.0009, 0.5, 20.0], (0, 0)),  # a direction that no feature reaches
        ([1.0, 0.5], [0.0006, 0.5, 28.0], (2, 3)),  # the least kept direction counts below, the sum above
        ([1e-14], [1e-14, 1.0], (2, 0)),  # small units
        ([0.0], [1e-3, 1.0], (0, 0)),
    ],
)
def test_edges_that_bind(values: list[float], grid: list[float], edges: tuple[int, int]) -> None:
    """Two targets chose the smallest alpha, three the largest, two neither."""
    last = len(grid) - 1
    position = np.array([0, 0, last, last, last, 1, 1]) if last > 1 else np.array([0, 0])
    assert tuple(count_edges(position, np.array(grid), np.array(values))) == edges


def test_targets_about_their_mean_keep_their_precision() -> None:
    targets = np.array([[1, 5], [2, 7]])
    for dtype, kept in ((np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)):
        y, mean = about_mean(targets.astype(dtype))
        assert (y.dtype, mean.dtype) == (kept, np.float64)
        assert y.tolist() == [[-0.5, -1], [0.5, 1]] and mean.tolist() == [1.5, 6]


def test_two_blocks_are_enough() -> None:
    assert [block.tolist() for block in check_blocks([[0, 2], [1]], 3)] == [[0, 2], [1]]
    with pytest.raises(SpecError, match="2 or more held-out blocks"):
        check_blocks([[0, 1, 2]], 3)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_how_far_float32_is_off(scale: float) -> None:
    """Outputs that are 0.5 % of the largest too large in one place are told so, whatever the unit."""
    x = np.random.default_rng(0).standard_normal((8, 3))
    y = scale * (np.random.default_rng(1).standard_normal((8, 2)) + 5)
    spectrum, alpha = feature_spectrum(x), np.array([1.0, 2.0])
    hat = spectrum.vectors @ (spectrum.vectors.T @ (y - y.mean(axis=0)) / (spectrum.values[:, None] + alpha))
    out = hat.copy()
    out[3, 1] += 0.005 * np.abs(hat).max()
    arguments = (spectrum, y, alpha, {"dual": spectrum.vectors}, {"dual": out}, "float32", Backend())
    with pytest.warns(PrecisionWarning, match="by 5.0e-03"):
        assert _against_float64(*arguments) == pytest.approx(0.005)
