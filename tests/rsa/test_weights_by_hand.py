"""Weighted models, partial correlations and whitening against loops over stimuli, subjects and pairs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.regression import fit_weights, partial_correlation, weighted_model
from bltvs_neuro.rsa.comparing.similarity import compare_vectors
from bltvs_neuro.rsa.comparing.whitening import check_sigma, whiten

from . import reference

RNG = np.random.default_rng(0)


def rdms(values: np.ndarray):
    n = len(squareform(values[0]))
    return make_rdms(values, [f"s{i:02}" for i in range(n)], metric="m")


def unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors - vectors.mean(axis=-1, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def within(vectors: np.ndarray, stimuli: np.ndarray) -> np.ndarray:
    return np.stack([squareform(squareform(v)[np.ix_(stimuli, stimuli)]) for v in vectors])


@pytest.mark.parametrize(("stimulus_folds", "subject_folds"), [(3, 2), (2, None), (1, None), (3, 1), (1, 1)])
def test_a_weighted_model_is_scored_on_what_was_left_out(stimulus_folds, subject_folds):
    n, k, seed = 14, 4, 5
    x = RNG.gamma(2, 1, (3, n * (n - 1) // 2))
    y = np.array([1.0, 2.0, 0.0]) @ x + RNG.normal(0, 2, (k, x.shape[1]))
    found = weighted_model(
        rdms(x), rdms(y), similarity="pearson", stimulus_folds=stimulus_folds, subject_folds=subject_folds, seed=seed
    )
    rng, groups = np.random.default_rng(seed), subject_folds or k
    stimulus = rng.permutation(np.arange(n) % stimulus_folds)
    subject = rng.permutation(np.arange(k) % groups)
    scores, ceilings = [], []
    for i in range(stimulus_folds):
        test = np.flatnonzero(stimulus == i)
        train = test if stimulus_folds == 1 else np.flatnonzero(stimulus != i)
        for j in range(groups):
            others = y if groups == 1 else y[subject != j]
            weights, _ = nnls((c := within(x, train)).T - c.mean(axis=1), unit(within(others, train)).mean(axis=0))
            weights /= np.linalg.norm(weights)
            np.testing.assert_allclose(found.fold_weights[i, j], weights, atol=1e-10)
            held = unit(within(y[subject == j], test))
            scores.append((held @ unit(weights @ within(x, test))).mean())
            ceilings.append((held @ unit(within(unit(others).mean(axis=0)[None], test)[0])).mean())
    np.testing.assert_allclose(found.fold_scores.ravel(), scores)
    np.testing.assert_allclose(found.score, np.mean(scores))
    np.testing.assert_allclose(found.ceiling_lower, np.nan if groups == 1 else np.mean(ceilings))


def test_models_unlike_the_subjects_get_no_weight_and_score_zero():
    x = RNG.gamma(2, 1, (1, 66))
    found = weighted_model(rdms(x), rdms(np.repeat(10 - x, 3, axis=0)), similarity="pearson", stimulus_folds=2)
    assert (found.weights == 0).all()
    np.testing.assert_array_equal(found.fold_scores, np.zeros((2, 3)))


def test_without_a_choice_there_are_five_folds_of_stimuli_and_one_for_each_subject():
    x, y = RNG.gamma(2, 1, (2, 210)), RNG.gamma(2, 1, (3, 210))
    found = weighted_model(rdms(x), rdms(y))
    said = weighted_model(rdms(x), rdms(y), similarity="corr_cov", stimulus_folds=5, subject_folds=3, seed=0)
    np.testing.assert_array_equal(found.fold_scores, said.fold_scores)
    assert found.fold_scores.shape == (5, 3)


@pytest.mark.parametrize("similarity", ["cosine", "pearson"])
def test_weights_are_of_the_pairs_that_all_have(similarity):
    x = RNG.gamma(2, 1, (2, 28))
    y = np.array([1.0, 2.0]) @ x + RNG.gamma(2, 1, (3, 28))
    x[0, 3] = y[1, 7] = np.nan
    kept = ~np.isin(np.arange(28), [3, 7])
    left, right = x[:, kept], y[:, kept]
    if similarity == "pearson":
        left, right = left - left.mean(axis=1, keepdims=True), right - right.mean(axis=1, keepdims=True)
    expected, _ = nnls(left.T, (right / np.linalg.norm(right, axis=1, keepdims=True)).mean(axis=0))
    assert (expected > 0).all()
    np.testing.assert_allclose(fit_weights(x, y, similarity), expected / np.linalg.norm(expected), atol=1e-10)


def test_two_pairs_are_enough_for_weights():
    np.testing.assert_allclose(fit_weights(np.array([[0.0, 1, np.nan]]), np.array([[3.0, 5, 1]]), "pearson"), [1])
    with pytest.raises(DataError, match="fewer than 2 pairs"):
        fit_weights(np.array([[0.0, np.nan, np.nan]]), np.array([[3.0, 5, 1]]), "pearson")


@pytest.mark.parametrize("unit_of", ["models", "brain", "control"])
def test_partial_correlations_do_not_depend_on_the_unit(unit_of):
    given = {name: RNG.gamma(2, 1, (2, 45)) for name in ("models", "brain", "control")}
    scaled = given | {unit_of: given[unit_of] * 1e-13}
    expected, found = (partial_correlation(*(rdms(v) for v in x.values()))["r_subject"].values for x in (given, scaled))
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("sigma", ["none", "vector", "matrix"])
def test_plain_products_of_whitened_rdms_are_those_of_the_definition(sigma):
    """a' V^-1 b with V formed, not its value up to a factor."""
    n = 6
    root = RNG.normal(size=(n, n))
    full = {"none": np.eye(n), "vector": np.diag([1.0, 2, 3, 0.5, 1, 1]), "matrix": root @ root.T / n}[sigma]
    given = {"none": None, "vector": np.diag(full), "matrix": full}[sigma]
    a, b = RNG.gamma(2, 1, (2, 3, 15))
    every = np.ones(15, dtype=bool)
    expected = a @ np.linalg.solve(reference.entry_covariance(n, full), b.T)
    np.testing.assert_allclose(whiten(a, every, given) @ whiten(b, every, given).T, expected, atol=1e-10)


def test_whitened_products_of_the_pairs_that_are_there():
    a, b = RNG.gamma(2, 1, (2, 3, 15))
    there = ~np.isin(np.arange(15), [2, 9, 14])
    v = reference.entry_covariance(6, np.eye(6))[np.ix_(there, there)]
    expected = a[:, there] @ np.linalg.solve(v, b[:, there].T)
    for filled in (0.0, 7.0, np.nan):
        x, y = (np.where(there, values, filled) for values in (a, b))
        np.testing.assert_allclose(whiten(x, there) @ whiten(y, there).T, expected, atol=1e-10)


@pytest.mark.parametrize("unit_of", [1e-6, 1.0, 1e6])
def test_a_covariance_of_stimuli_is_symmetric_finite_and_positive_in_any_unit(unit_of):
    good = np.array([[2.0, 0.5, 0], [0.5, 1.0, 0], [0, 0, 0.5]]) * unit_of
    np.testing.assert_array_equal(check_sigma(good, 3), good)
    np.testing.assert_array_equal(check_sigma(np.array([0.5, 0.25, 0.125]) * unit_of, 3)[1], [0, 0.25 * unit_of, 0])
    skew, unknown = good.copy(), good.copy()
    skew[0, 1] *= 1.01
    unknown[2, 2] = np.nan
    for wrong in (skew, unknown):
        with pytest.raises(DataError, match="not a symmetric matrix of finite values"):
            check_sigma(wrong, 3)
    for diagonal in ([1.0, 0.0, 1.0], [-1.0, 2.0, 3.0]):
        with pytest.raises(DataError, match="not positive definite"):
            check_sigma(np.array(diagonal) * unit_of, 3)


def test_two_pairs_are_compared():
    """Of pairs (1, 2) and (3, 5) the correlation is 1; a pair more that one lacks does not count."""
    found = compare_vectors(np.array([[1.0, 2.0, np.nan]]), np.array([[3.0, 5.0, 0.0], [5.0, 3.0, 9.0]]), "pearson")
    np.testing.assert_allclose(found, [[1.0, -1.0]])
