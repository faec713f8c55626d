"""Decompositions in float32: used where they change nothing, and noticed where they would."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding import solvers
from bltvs_neuro.encoding.backend import Backend
from bltvs_neuro.encoding.folds import Fold
from bltvs_neuro.encoding.gram import centre_both, centre_cross, centre_train, gram
from bltvs_neuro.encoding.score import pearson, pearson_and_r2, r2
from bltvs_neuro.encoding.solvers import SOLVERS, Features, Options
from bltvs_neuro.encoding.spectrum import gram_spectrum

from .reference import simulate_regression

FOLD = Fold(np.arange(60), np.arange(60, 75))


def predict(x: np.ndarray, y: np.ndarray, dtype: str, device: str | None = None, alphas=None):
    options = Options(alphas, "gcv", 1, 5, 5, dtype, 0, 2**24, Backend(device))
    return SOLVERS["ridge"](Features([gram(x)], None), FOLD, y, None, options)


@pytest.fixture
def decomposed(monkeypatch) -> list[str]:
    """Types of the decompositions made."""
    seen: list[str] = []

    def watched(k, backend, *, dtype="float64"):
        seen.append(dtype)
        return gram_spectrum(k, backend, dtype=dtype)

    monkeypatch.setattr(solvers, "gram_spectrum", watched)
    return seen


@pytest.mark.parametrize("device", [None, "cpu"])
def test_float32_chooses_and_predicts_as_float64(decomposed, device) -> None:
    if device:
        pytest.importorskip("torch")
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
    got = pearson_and_r2(truth, guess)
    for mine, theirs in zip(got, (pearson(truth, guess), r2(truth, guess)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-9)
