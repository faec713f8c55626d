"""Decompositions in float32: used where they change nothing, and noticed where they would."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from bltvs_neuro.encoding.scores.score import pearson_and_r2, read_truth
from bltvs_neuro.encoding.solvers import fold_fits as solvers
from bltvs_neuro.encoding.solvers.backend import Backend
from bltvs_neuro.encoding.solvers.estimators import Ridge
from bltvs_neuro.encoding.solvers.fold_fits import FITS, Features, FoldTargets, Settings
from bltvs_neuro.encoding.solvers.ridge import Edges, RidgeFit, about_mean
from bltvs_neuro.encoding.solvers.spectrum import gram_spectrum
from bltvs_neuro.features.folds import Fold
from bltvs_neuro.features.grams import centre_both, centre_cross, centre_train, gram

from .reference import simulate_regression

FOLD = Fold(np.arange(60), np.arange(60, 75))


def predict(x: np.ndarray, y: np.ndarray, dtype: str, device="cpu", alphas=None):
    settings = Settings(Ridge(alphas), "gcv", dtype, 0, 2**24, Backend(device))
    targets = FoldTargets(*about_mean(y[FOLD.train]), read_truth(y[FOLD.test]))
    return FITS[Ridge](Features([gram(x)], None), FOLD, targets, None, settings)


def closed_form_gcv(x: np.ndarray, y: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Generalised cross-validation of each column of y at its own alpha, from the hat matrix."""
    n, x = len(x), x - x.mean(axis=0)
    out = []
    for target, a in zip((y - y.mean(axis=0)).T, alpha, strict=True):
        hat = np.linalg.solve(x @ x.T + a * np.eye(n), x @ x.T) + 1 / n
        out.append(n * ((target - hat @ target) ** 2).sum() / (n - np.trace(hat)) ** 2)
    return np.array(out)


def test_one_comparison_with_float64_serves_the_folds_of_a_space(monkeypatch) -> None:
    compared: list[float] = []
    real = solvers._exact_enough

    def watched(gram, fold, centred, spectrum, fit, backend):
        compared.append(fit.alpha.min() / spectrum.values.max())
        return real(gram, fold, centred, spectrum, fit, backend)

    monkeypatch.setattr(solvers, "_exact_enough", watched)
    x, y, x_test = simulate_regression(60, 200, 20)
    every, rows = np.vstack([x, x_test]), np.vstack([y, np.zeros((15, 20))]).astype(np.float32)
    k = gram(every)
    rough = solvers.RoughGram(k)
    targets = FoldTargets(*about_mean(rows[FOLD.train]), read_truth(rows[FOLD.test]))
    for alpha in (1.0, 0.6, 10.0, 0.3):  # compared at the first, and at the first below its half
        settings = Settings(Ridge([alpha]), "gcv", "float32", 0, 2**24, Backend())
        FITS[Ridge](Features([k], None, rough), FOLD, targets, None, settings)
    largest = np.linalg.eigvalsh(centre_train(k, FOLD.train))[-1]
    np.testing.assert_allclose(np.array(compared) * largest, [1.0, 0.3], rtol=1e-4)


@pytest.fixture
def decomposed(monkeypatch) -> list[str]:
    """Types of the decompositions made."""
    seen: list[str] = []

    def watched(k, backend, *, dtype="float64"):
        seen.append(dtype)
        return gram_spectrum(k, backend, dtype=dtype)

    monkeypatch.setattr(solvers, "gram_spectrum", watched)
    return seen


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_float32_chooses_and_predicts_as_float64(decomposed, device) -> None:
    if device == "torch":
        device = pytest.importorskip("torch").device("cpu")
    x, y, x_test = simulate_regression(60, 200, 100)
    every = np.vstack([x, x_test])
    rows = np.vstack([y, np.zeros((15, 100))]).astype(np.float32)
    exact, fast = predict(every, rows, "float64"), predict(every, rows, "float32", device)
    assert decomposed == ["float64", "float32"]
    np.testing.assert_allclose(fast.prediction, exact.prediction, rtol=0, atol=1e-4)
    differ = fast.alpha != exact.alpha
    assert differ.mean() <= 0.05
    # only where everything is shrunk to nothing, and the loss is as flat as float32 can tell
    assert (np.minimum(fast.alpha, exact.alpha)[differ] > 1e4 * every[:60].var(axis=0).sum()).all()
    chosen = [closed_form_gcv(x, y[:, differ], some.alpha[differ]) for some in (fast, exact)]
    np.testing.assert_allclose(*chosen, rtol=1e-6)


def test_where_float32_is_not_enough_float64_takes_over(decomposed) -> None:
    # one dimension 1e8 times the others: their eigenvalues drown in the rounding of the first
    x, _, x_test = simulate_regression(60, 200, 1)
    every = np.vstack([x, x_test])
    y = (every[:, 1:6] @ np.ones((5, 3))).astype(np.float32)
    every[:, 0] *= 1e4
    alphas = np.logspace(-2, 6, 17)
    exact, fast = predict(every, y, "float64", alphas=alphas), predict(every, y, "float32", alphas=alphas)
    assert decomposed == ["float64", "float32", "float64"]
    np.testing.assert_array_equal(fast.alpha, exact.alpha)


def test_predictions_that_are_off_are_noticed(decomposed, monkeypatch) -> None:
    monkeypatch.setattr(solvers, "FLOAT32_MARGIN", 0.0)  # only the comparison with float64 is left
    x, _, x_test = simulate_regression(60, 200, 1)
    every = np.vstack([x, x_test])
    y = (every[:, 1:6] @ np.ones((5, 3))).astype(np.float32)
    every[:, 0] *= 1e4
    fast = predict(every, y, "float32", alphas=np.array([1.0]))
    assert decomposed == ["float32", "float64"]
    np.testing.assert_allclose(
        fast.prediction, predict(every, y, "float64", alphas=np.array([1.0])).prediction, atol=1e-3
    )


def test_what_is_worked_out_together_equals_what_is_worked_out_apart() -> None:
    rng = np.random.default_rng(0)
    k = gram(rng.standard_normal((75, 20)) + 3)
    train, test = centre_both(k, FOLD.train, FOLD.test)
    np.testing.assert_allclose(train, centre_train(k, FOLD.train), rtol=0, atol=1e-12)
    np.testing.assert_allclose(test, centre_cross(k, FOLD.test, FOLD.train), rtol=0, atol=1e-12)
    truth = rng.standard_normal((30, 6)).astype(np.float32) + 100
    guess = truth + rng.standard_normal((30, 6)).astype(np.float32)
    truth[:, 0], guess[:, 1], guess[:, 2] = 5, 5, truth[:, 2]
    r, explained = pearson_and_r2(read_truth(truth), guess)
    exact, other = truth.astype(np.float64), guess.astype(np.float64)
    theirs = [np.corrcoef(exact[:, j], other[:, j])[0, 1] for j in range(2, 6)]
    np.testing.assert_allclose(r, [np.nan, 0, *theirs], rtol=0, atol=1e-9)
    scores = r2_score(exact[:, 1:], other[:, 1:], multioutput="raw_values")
    np.testing.assert_allclose(explained, [np.nan, *scores], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("off", "enough"), [(0.9e-4, True), (1.1e-4, False)])
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_how_far_predictions_may_be_off(off: float, enough: bool, scale: float) -> None:
    """One prediction of one of five targets, all of which are compared, in shares of the largest prediction."""
    x, y, x_test = simulate_regression(60, 200, 5)
    k = gram(np.vstack([x, x_test]))
    y = scale * (y - y.mean(axis=0))
    block, cross = centre_both(k, FOLD.train, FOLD.test)
    spectrum, alpha = gram_spectrum(block), np.full(5, 50.0)
    prediction = cross @ np.linalg.solve(block + 50 * np.eye(60), y)
    prediction[7, 3] += off * np.abs(prediction).max()
    fit = RidgeFit(alpha, np.zeros(5, int), np.zeros((1, 5)), np.zeros(5), {"prediction": prediction}, Edges(0, 0), 0.0)
    assert solvers._exact_enough(k, FOLD, y, spectrum, fit, Backend()) is enough


def test_bands_are_scaled_to_a_variance_of_one_per_training_row() -> None:
    rng = np.random.default_rng(0)
    bands = [3 * rng.standard_normal((75, 20)) + 5, rng.standard_normal((75, 8)), np.ones((75, 2))]
    features = Features([gram(x) for x in bands], None)
    variances = [float(x[FOLD.train].var(axis=0).sum()) for x in bands]
    for k, expected in zip(features.grams, variances, strict=True):
        assert solvers._variance(k, FOLD.train) == pytest.approx(expected, abs=1e-9)
    trains, crosses = solvers.scaled_bands(features, FOLD)
    for train, cross, x, variance in zip(trains, crosses, bands, variances, strict=True):
        middle = x[FOLD.train].mean(axis=0)
        inside, outside = x[FOLD.train] - middle, x[FOLD.test] - middle
        np.testing.assert_allclose(train, inside @ inside.T / (variance or 1), atol=1e-5)
        np.testing.assert_allclose(cross, outside @ inside.T / (variance or 1), atol=1e-5)
