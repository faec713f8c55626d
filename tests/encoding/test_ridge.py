from __future__ import annotations

import warnings

import numpy as np
import pytest
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV as HimalayaRidgeCV
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold

from bltvs_neuro.encoding.solvers.backend import Backend
from bltvs_neuro.encoding.solvers.ridge import GridEdgeWarning, PrecisionWarning, RidgeSearch, fit_ridge
from bltvs_neuro.encoding.solvers.spectrum import Spectrum, feature_spectrum, gram_spectrum
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.grams import centre_cross, centre_train, gram

from .reference import gcv_loss, kfold_loss, ridge_refit, simulate_regression

SHAPES = [(60, 200), (60, 60), (60, 20)]
GRID = np.logspace(-2, 4, 13)


def blocks_of(n: int, k: int = 5) -> list[np.ndarray]:
    return [test for _, test in KFold(k).split(np.zeros((n, 1)))]


def predict(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, alphas, *, gram_first: bool = True, **options):
    """Predictions and fit, through the Gram or through features."""
    n = len(x)
    k = gram(np.vstack([x, x_test]))
    train, test = np.arange(n), np.arange(n, n + len(x_test))
    spectrum = gram_spectrum(centre_train(k, train)) if gram_first else feature_spectrum(x)
    options = {"dtype": "float64", "on_edge": "ignore", **options}
    readouts = {"p": centre_cross(k, test, train) @ spectrum.vectors}
    fit = fit_ridge(spectrum, y, alphas, RidgeSearch(**options), readouts=readouts)
    return fit.outputs["p"] + fit.mean, fit


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("gram_first", [True, False])
def test_one_alpha_equals_closed_form_and_scikit_learn(n: int, p: int, gram_first: bool) -> None:
    x, y, x_test = simulate_regression(n, p, 7, shift=3.0)
    for alpha in (0.1, 10.0, 1e3):
        got, _ = predict(x, y, x_test, [alpha], gram_first=gram_first)
        np.testing.assert_allclose(got, ridge_refit(x, y, x_test, alpha), rtol=0, atol=1e-10)
        np.testing.assert_allclose(got, Ridge(alpha).fit(x, y).predict(x_test), rtol=0, atol=1e-10)


def test_dual_equals_primal_and_gives_the_weights() -> None:
    x, y, x_test = simulate_regression(60, 20, 7)
    dual, fit = predict(x, y, x_test, GRID)
    primal, fit_p = predict(x, y, x_test, GRID, gram_first=False)
    np.testing.assert_allclose(dual, primal, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(fit.alpha, fit_p.alpha)
    spectrum = feature_spectrum(x)
    weights = fit_ridge(
        spectrum,
        y,
        [3.0],
        RidgeSearch(dtype="float64"),
        readouts={"w": spectrum.coefficients(), "dual": spectrum.vectors},
    ).outputs
    np.testing.assert_allclose(weights["w"], Ridge(3.0).fit(x, y).coef_.T, rtol=0, atol=1e-13)
    with pytest.raises(SpecError, match="made from a Gram"):
        gram_spectrum(x @ x.T).coefficients()


def test_scaling_features_is_scaling_alpha_and_doubling_them_is_halving_it() -> None:
    x, y, x_test = simulate_regression(60, 200, 7)
    base, _ = predict(x, y, x_test, [8.0])
    scaled, _ = predict(3 * x, y, 3 * x_test, [72.0])
    doubled, _ = predict(np.hstack([x, x]), y, np.hstack([x_test, x_test]), [16.0])
    np.testing.assert_allclose(scaled, base, rtol=0, atol=1e-13)
    np.testing.assert_allclose(doubled, base, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("gram_first", [True, False])
def test_criteria_equal_explicit_refits(n: int, p: int, gram_first: bool) -> None:
    x, y, x_test = simulate_regression(n, p, 9, shift=2.0)
    rng = np.random.default_rng(0)
    uneven = np.split(rng.permutation(n), [5, 17, 40])
    for alpha in (0.3, 30.0):
        grid = [alpha, alpha * 1.001]  # two, so that a choice is made
        for by, blocks, reference in (
            ("gcv", None, lambda a: gcv_loss(x, y, a)),
            ("loo", None, lambda a: kfold_loss(x, y, a, list(np.arange(n)[:, None]))),
            ("kfold", uneven, lambda a: kfold_loss(x, y, a, uneven)),
        ):
            _, fit = predict(x, y, x_test, grid, by=by, folds=blocks, gram_first=gram_first)
            expected = np.minimum(reference(grid[0]), reference(grid[1]))
            np.testing.assert_allclose(fit.loss, expected, rtol=1e-11, err_msg=by)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_leave_one_out_equals_scikit_learn(n: int, p: int) -> None:
    x, y, x_test = simulate_regression(n, p, 40, shift=1.0)
    model = RidgeCV(GRID, alpha_per_target=True).fit(x, y)
    got, fit = predict(x, y, x_test, GRID, by="loo")
    np.testing.assert_allclose(fit.alpha, model.alpha_)
    np.testing.assert_allclose(got, model.predict(x_test), rtol=0, atol=1e-10)
    np.testing.assert_allclose(-fit.loss, model.best_score_, rtol=1e-8)


@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_kfold_equals_himalaya(n: int, p: int) -> None:
    x, y, x_test = simulate_regression(n, p, 40)
    got, fit = predict(x, y, x_test, GRID, by="kfold", folds=blocks_of(n))
    options = {"alphas": GRID, "cv": KFold(5), "fit_intercept": True}
    for model in (KernelRidgeCV(**options, warn=False), HimalayaRidgeCV(**options)):
        model.fit(x, y)
        np.testing.assert_allclose(fit.alpha, model.best_alphas_)
        np.testing.assert_allclose(got, model.predict(x_test), rtol=0, atol=1e-7)


@pytest.mark.parametrize("by", ["loo", "kfold"])
@pytest.mark.parametrize(("n", "p"), [(60, 200), (60, 60), (100, 100), (60, 20)])
def test_the_window_chooses_what_all_alphas_would(by, n: int, p: int) -> None:
    x, y, x_test = simulate_regression(n, p, 300, seed=1)
    folds = blocks_of(n)
    _, all_alphas = predict(x, y, x_test, GRID, by=by, folds=folds, window=None)
    _, windowed = predict(x, y, x_test, GRID, by=by, folds=folds)
    differ = np.flatnonzero(windowed.position != all_alphas.position)
    assert len(differ) <= {"loo": 0, "kfold": 1}[by]
    for target in differ:
        # the window ends in a local minimum; what all alphas have beyond it is a second one, which GCV does not see
        i = int(windowed.position[target])
        around = [kfold_loss(x, y[:, [target]], alpha, folds)[0] for alpha in GRID[max(0, i - 1) : i + 2]]
        assert min(around) == pytest.approx(windowed.loss[target], rel=1e-10)
        assert windowed.loss[target] > all_alphas.loss[target]
    same = windowed.position == all_alphas.position
    np.testing.assert_allclose(windowed.loss[same], all_alphas.loss[same], rtol=1e-12)


@pytest.mark.parametrize("by", ["gcv", "loo", "kfold"])
@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_float32_and_batches_agree_with_float64(by, n: int, p: int) -> None:
    x, y, x_test = simulate_regression(n, p, 100)
    exact, fit = predict(x, y, x_test, GRID, by=by, folds=blocks_of(n))
    got, fit32 = predict(
        x, y.astype(np.float32), x_test, GRID, by=by, folds=blocks_of(n), dtype="float32", batch_bytes=1
    )
    assert got.dtype == np.float32 or got.dtype == np.float64
    assert fit32.discrepancy < 1e-5
    same = fit.position == fit32.position
    assert same.mean() >= 0.98  # ties at float32's precision may fall either way
    np.testing.assert_allclose(got[:, same], exact[:, same], rtol=0, atol=1e-5)


@pytest.mark.parametrize("by", ["gcv", "loo", "kfold"])
@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_torch_takes_the_same_path(by, n: int, p: int) -> None:
    torch = pytest.importorskip("torch")
    x, y, x_test = simulate_regression(n, p, 30)
    backend = Backend(torch.device("cpu"))
    mine, _ = predict(x, y, x_test, GRID, by=by, folds=blocks_of(n))
    k = gram(np.vstack([x, x_test]))
    train, test = np.arange(n), np.arange(n, n + 15)
    spectrum = gram_spectrum(centre_train(k, train), backend) if p >= n else feature_spectrum(x, backend)
    assert isinstance(spectrum, Spectrum)
    cross = backend.array(centre_cross(k, test, train), "float64") @ spectrum.vectors
    fit = fit_ridge(
        spectrum,
        y,
        GRID,
        RidgeSearch(by, blocks_of(n), dtype="float64", backend=backend, on_edge="ignore"),
        readouts={"p": cross},
    )
    np.testing.assert_allclose(fit.outputs["p"] + fit.mean, mine, rtol=0, atol=1e-10)


def test_an_unknown_device_is_an_error() -> None:
    with pytest.raises(SpecError, match="'cuda:99' is not here|unknown device 'cuda:99'"):
        Backend("cuda:99")


def test_constant_features_predict_the_mean() -> None:
    _, y, _ = simulate_regression(20, 3, 4)
    for x in (np.ones((20, 3)), np.ones((20, 50))):
        for by in ("gcv", "loo", "kfold"):
            got, fit = predict(x, y, np.ones((15, x.shape[1])), GRID, by=by, folds=blocks_of(20), gram_first=False)
            np.testing.assert_allclose(got, np.broadcast_to(y.mean(axis=0), got.shape), atol=1e-12)
            assert np.isfinite(fit.loss).all()


def test_ols_test_r2_follows_the_formula() -> None:
    # random features: expected test R2 of least squares is 1 - (1 - q)(1 + (p + 1) / (n - p - 2)), q the true R2
    rng = np.random.default_rng(0)
    n, p, q, scores = 60, 15, 0.5, []
    for _ in range(60):
        x = rng.standard_normal((n + 2000, p))
        y = x @ rng.standard_normal((p, 10))
        y = y / np.sqrt((y**2).mean(axis=0)) * np.sqrt(q) + np.sqrt(1 - q) * rng.standard_normal(y.shape)
        got, _ = predict(x[:n], y[:n], x[n:], [1e-8])
        scores.append(1 - ((y[n:] - got) ** 2).mean(axis=0) / y[n:].var(axis=0))
    expected = 1 - (1 - q) * (1 + (p + 1) / (n - p - 2))
    assert abs(np.mean(scores) - expected) < 4 * np.std(scores) / np.sqrt(600) + 0.005


def test_the_grids_edge_warns_with_numbers_and_only_where_it_binds() -> None:
    x, y, x_test = simulate_regression(60, 200, 10, noise=0.01)
    with pytest.warns(GridEdgeWarning, match=r"10 of 10 targets chose the smallest alpha \(1e\+03\).*on_edge='ignore'"):
        predict(x, y, x_test, [1e3, 1e4], on_edge="warn")
    noise = np.random.default_rng(0).standard_normal((60, 10))
    with pytest.warns(GridEdgeWarning, match="chose the largest alpha"):
        predict(x, noise, x_test, [1e-3, 1e-2], on_edge="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(x, y, x_test, [1e3, 1e4], on_edge="ignore")
        predict(x, noise, x_test, np.logspace(0, 8, 20), on_edge="warn")  # shrunk to nothing: a wider grid is no use


def test_float32_that_is_not_enough_warns() -> None:
    x, _, _ = simulate_regression(60, 60, 10)
    x[:, 0] *= 1e4
    x[:, 1:] *= 1e-3
    spectrum = gram_spectrum(x @ x.T)
    options = {"readouts": {"dual": spectrum.vectors}}
    with pytest.warns(PrecisionWarning, match="use dtype='float64'"):
        fit = fit_ridge(spectrum, x[:, :1], [1e-9], **options)
    assert fit.discrepancy > 1e-3
    assert np.isnan(fit_ridge(spectrum, x[:, :1], [1e-9], RidgeSearch(dtype="float64"), **options).discrepancy)


def test_bad_arguments_say_what_is_wrong() -> None:
    x, y, x_test = simulate_regression(20, 5, 3)
    for alphas in ([], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [np.nan]):
        with pytest.raises(SpecError, match="positive, finite and ascending"):
            predict(x, y, x_test, alphas)
    with pytest.raises(SpecError, match=r"unknown way to choose alpha 'kfolds'.*did you mean 'kfold'"):
        predict(x, y, x_test, GRID, by="kfolds")
    for folds in (None, [np.arange(20)], [np.arange(10), np.arange(9, 20)]):
        with pytest.raises(SpecError, match="each of the 20 rows in exactly one"):
            predict(x, y, x_test, GRID, by="kfold", folds=folds)
    with pytest.raises(SpecError, match=r"targets have shape.*with 20 rows; got \(19, 3\)"):
        predict(x, y[:19], x_test, GRID)
    y[3, 1] = np.nan
    with pytest.raises(DataError, match="1 target is NaN or infinite"):
        predict(x, y, x_test, GRID)
