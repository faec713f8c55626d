"""The jackknife of every contrast (models, differences, noise ceilings), each worked out by itself from comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as sps

from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare_vectors
from bltvs_neuro.rsa.inference import jackknife
from bltvs_neuro.rsa.inference.ceiling import ceiling_of_vectors, scale_for_pooling
from bltvs_neuro.rsa.inference.influence import influence, prepare
from bltvs_neuro.stats.pairs import pair_variance, unit_sums

from .simulate import draw

N = 8
M = 3


def world(k: int, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    return draw(np.random.default_rng(3), n_stimuli=n, n_subjects=k, noise=1.0)


def bounds(data: np.ndarray, similarity: str) -> np.ndarray:
    """Per subject left out (none at first) the lower and upper ceiling: (k + 1, 2)."""
    k = len(data)
    kept = [np.arange(k), *(np.delete(np.arange(k), s) for s in range(k))]
    found = [ceiling_of_vectors(data[s], similarity, np.arange(len(s)), tuple(map(str, s))) for s in kept]
    return np.array([[f.lower_per_subject.mean(), f.upper_per_subject.mean()] for f in found])


def columns(models: np.ndarray, data: np.ndarray, similarity: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean scores with ceilings, (columns,), and their values per subject, (columns, k)."""
    k, scores, ceilings = len(data), compare_vectors(models, data, similarity), bounds(data, similarity)
    pseudo = k * ceilings[0] - (k - 1) * ceilings[1:]
    return np.concatenate([scores.mean(axis=1), ceilings[0]]), np.concatenate([scores, pseudo.T])


@pytest.mark.parametrize(("similarity", "k"), [("pearson", 5), ("pearson", 3), ("tau-a", 4)])
def test_every_contrast_by_itself(similarity, k, monkeypatch):
    models, data = world(k)
    monkeypatch.setattr(jackknife, "_surplus", lambda gram, sums, n: np.zeros_like(gram))
    found = jackknife.jackknife_rsa(models, data, similarity)
    i, j = np.triu_indices(N, 1)
    mean, each = columns(models, data, similarity)
    left = [columns(models[:, kept], data[:, kept], similarity) for kept in ((i != s) & (j != s) for s in range(N))]
    means, subjects = (N - 1) * (mean - [a for a, _ in left]), (N - 1) * (each - [b for _, b in left])

    def by_hand(contrast: np.ndarray) -> tuple[float, float]:
        x, own = means @ contrast, contrast @ each
        rest = np.einsum("c,ncs->ns", contrast, subjects)
        rest = rest - rest.mean(axis=1, keepdims=True)
        rest = rest - rest.mean(axis=0)
        over_stimuli = ((x - x.mean()) ** 2).sum() / (N * (N - 1))
        over_subjects = own.var(ddof=1) / k
        both = (rest**2).sum() / (N * (N - 1) * k * (k - 1))
        variance = max(over_stimuli + over_subjects - both, over_stimuli / 2, over_subjects / 2)
        tail = max(sps.kurtosis(x, bias=False), 0) / (2 * N)
        unsure = over_stimuli**2 * (1 / (N - 1) + tail) + over_subjects**2 / (k - 1) + both**2 / ((N - 1) * (k - 1))
        return variance, max(variance**2 / unsure, min(k - 1, 3))

    unit = np.eye(M + 2)
    for c in range(M):
        np.testing.assert_allclose([found.variance[c], found.dof[c]], by_hand(unit[c]))
        for d in range(M):
            if c != d:
                expected = by_hand(unit[c] - unit[d])
                np.testing.assert_allclose([found.difference_variance[c, d], found.difference_dof[c, d]], expected)
        for d in range(2):
            expected = by_hand(unit[c] - unit[M + d])
            got = found.ceiling_difference_variance[c, d], found.ceiling_difference_dof[c, d]
            np.testing.assert_allclose(got, expected)
    for d in range(2):
        np.testing.assert_allclose([found.ceiling_variance[d], found.ceiling_dof[d]], by_hand(unit[M + d]))


@pytest.mark.parametrize(("over", "usual"), [("both", N - 1), ("stimuli", N - 1), ("subjects", 4 - 1)])
def test_a_model_differs_from_itself_with_the_usual_degrees(over, usual):
    found = jackknife.jackknife_rsa(*world(4), "pearson", over=over)
    np.testing.assert_array_equal(np.diag(found.difference_dof), usual)
    assert (np.diag(found.difference_variance) < 1e-300).all()


def test_the_smallest_designs_have_every_variance():
    for k, over in ((3, "both"), (2, "stimuli")):
        found = jackknife.jackknife_rsa(*world(k, n=5), "pearson", over=over)
        for values in (found.variance, found.ceiling_variance, found.ceiling_difference_variance):
            assert np.isfinite(values).all() and (values > 0).all()


def test_the_surplus_is_taken_off_the_jackknife():
    models, data = world(1, n=12)
    i, j = np.triu_indices(12, 1)
    score = compare_vectors(models, data, "pearson")[:, 0]
    kept = [(i != s) & (j != s) for s in range(12)]
    pseudo = 11 * (score - [compare_vectors(models[:, x], data[:, x], "pearson")[:, 0] for x in kept])
    own = ((pseudo - pseudo.mean(axis=0)) ** 2).sum(axis=0) / (12 * 11)
    kind = SIMILARITIES["pearson"]
    g = influence(prepare(models, kind), prepare(data, kind).one(0), kind)[0]
    found = [pair_variance(x[None] @ x[None].T, (r := unit_sums(x[None], 12)) @ r.T, 12) for x in g]
    surplus = np.array([f.sums[0, 0] - f.units[0, 0] - f.rest[0, 0] for f in found])
    assert (surplus > 0).all()
    expected = np.maximum(own - surplus, 0)
    result = jackknife.jackknife_rsa(models, data, "pearson", over="stimuli")
    np.testing.assert_allclose(result.variance, np.maximum(expected, (own - surplus) / 2))


def test_surpluses_are_taken_off_stimuli_and_off_the_interaction(monkeypatch):
    """V = (A - a) + subjects - (I - b / (k (k - 1))), a and b the surpluses of the mean and of deviations from it."""
    k = 5
    models, data = world(k)
    kind = SIMILARITIES["pearson"]
    draws = np.concatenate([np.ones((1, k), int), 1 - np.eye(k, dtype=int)])
    found = [pair_variance(*profile, N) for profile in jackknife._profiles(models, data, kind, draws)]
    a, b = (np.diag(f.sums - f.units - f.rest) for f in found)
    taken = jackknife.jackknife_rsa(models, data, "pearson")
    monkeypatch.setattr(jackknife, "_surplus", lambda gram, sums, n: np.zeros_like(gram))
    whole = jackknife.jackknife_rsa(models, data, "pearson")
    change = np.concatenate([taken.variance - whole.variance, taken.ceiling_variance - whole.ceiling_variance])
    expected = b / (k * (k - 1)) - a
    same = np.isclose(change, expected, rtol=1e-6, atol=1e-15)
    assert same[:M].sum() >= 2  # a variance that is kept at half of one part tells nothing


@pytest.mark.parametrize("k", [3, 4])
def test_influences_of_the_mean_and_of_deviations_from_it(k):
    models, data = world(k)
    kind = SIMILARITIES["pearson"]
    draws = np.concatenate([np.ones((1, k), int), 1 - np.eye(k, dtype=int)])
    left, right = prepare(models, kind), prepare(data, kind)
    ready = scale_for_pooling(data, kind)

    def of_ceilings(members: list[int]) -> np.ndarray:
        lower, upper = [], []
        for s in members:
            others = ready[[o for o in members if o != s]].mean(axis=0)
            lower.append(influence(prepare(others[None], kind), right.one(s), kind)[0][0])
            upper.append(influence(prepare(ready[members].mean(axis=0)[None], kind), right.one(s), kind)[0][0])
        return np.array([np.mean(lower, axis=0), np.mean(upper, axis=0)])

    whole = of_ceilings(list(range(k)))
    own = np.array(
        [
            np.concatenate(
                [
                    influence(left, right.one(s), kind)[0],
                    k * whole - (k - 1) * of_ceilings([o for o in range(k) if o != s]),
                ]
            )
            for s in range(k)
        ]
    )  # (subject, columns, pairs)
    mean, rest = own.mean(axis=0), own - own.mean(axis=0)
    of_mean, of_rest = jackknife._profiles(models, data, kind, draws)
    np.testing.assert_allclose(of_mean[0], mean @ mean.T, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(of_mean[1], unit_sums(mean, N) @ unit_sums(mean, N).T, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(of_rest[0], sum(x @ x.T for x in rest), rtol=1e-9, atol=1e-15)
    sums = [unit_sums(x, N) for x in rest]
    np.testing.assert_allclose(of_rest[1], sum(x @ x.T for x in sums), rtol=1e-9, atol=1e-15)
