from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as sps

from bltvs_neuro.neural.condensed import condensed_to_square
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare_vectors
from bltvs_neuro.rsa.inference.influence import influence, prepare

N = 9
P = N * (N - 1) // 2


def world() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = np.stack([rng.gamma(2, 1, P), rng.integers(0, 3, P).astype(float)])
    return x, np.stack([x[0] + rng.gamma(2, 1, P), rng.integers(0, 4, P).astype(float)])


def weighted(x: np.ndarray, y: np.ndarray, w: np.ndarray, name: str) -> float:
    """The similarity with pair weights, straight from its definition."""
    kind = SIMILARITIES[name]
    if kind.family == "order":
        signs = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
        return float(w @ signs @ w / (w.sum() ** 2 - (w**2).sum()))
    if kind.family == "rank":
        x, y = (0.5 * np.sign(v[:, None] - v) @ w for v in (x, y))
    elif kind.centered:
        x, y = x - w @ x / w.sum(), y - w @ y / w.sum()
    if not kind.tie_corrected:
        return float(12 * (w @ (x * y)) / w.sum() ** 3)
    return float((w @ (x * y)) / np.sqrt((w @ x**2) * (w @ y**2)))


@pytest.mark.parametrize("similarity", [s for s, kind in SIMILARITIES.items() if not kind.whitened])
def test_influence_is_the_derivative_with_respect_to_a_pairs_weight(similarity):
    x, y = world()
    kind = SIMILARITIES[similarity]
    px, py = prepare(x, kind), prepare(y, kind)
    for s in range(2):
        g, score = influence(px, py.one(s), kind)
        np.testing.assert_allclose(score, compare_vectors(x, y, similarity)[:, s], atol=1e-12)
        for m in range(2):
            step = 1e-5
            slopes = np.array(
                [
                    weighted(x[m], y[s], 1 + step * e, similarity) - weighted(x[m], y[s], 1 - step * e, similarity)
                    for e in np.eye(P)
                ]
            ) / (2 * step)
            # tau-a and rho-a are not quite of degree 0 in the weights: pairs of a pair with itself
            np.testing.assert_allclose(g[m], P * (slopes - slopes.mean()), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("similarity", ["cosine_cov", "corr_cov"])
def test_whitened_influence_sums_to_that_of_a_stimulus(similarity):
    """The derivative with respect to a stimulus' weight, where each keeps its place on the diagonal once."""
    x, y = world()
    kind = SIMILARITIES[similarity]
    g, score = influence(prepare(x, kind), prepare(y, kind).one(0), kind)
    np.testing.assert_allclose(score, compare_vectors(x, y, similarity)[:, 0], atol=1e-12)
    np.testing.assert_allclose(g.mean(axis=1), 0, atol=1e-12)
    h = np.eye(N) - 1 / N
    centre = (lambda v: v - v.mean()) if kind.centered else (lambda v: v)
    a, b = (-0.5 * h @ condensed_to_square(centre(v)[None])[0] @ h for v in (x[0], y[0]))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    t = a * b - score[0] / 2 * (a**2 + b**2)
    sums = condensed_to_square(g[:1])[0].sum(axis=1) / P
    diagonal = np.diag(t)
    np.testing.assert_allclose(sums, 2 * t.sum(axis=1) - diagonal + (diagonal.sum() - diagonal) / (N - 1), atol=1e-12)


def test_tau_counts_are_scipys():
    x, y = world()
    kind = SIMILARITIES["tau-a"]
    _, score = influence(prepare(x, kind), prepare(y, kind).one(0), kind)
    tau = sps.kendalltau(x[0], y[0]).statistic  # no ties here: a = b
    np.testing.assert_allclose(score[0], tau, atol=1e-12)
