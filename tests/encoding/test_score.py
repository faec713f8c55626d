from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from bltvs_neuro.encoding.scores.score import pearson, permutation_test, r2, split_r2
from bltvs_neuro.errors import DataError, SpecError


def test_scores_equal_numpy_and_scikit_learn_at_any_scale() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((50, 6)), rng.standard_normal((50, 6)) * 1e-3 + 5
    np.testing.assert_allclose(pearson(y, p), [np.corrcoef(y[:, j], p[:, j])[0, 1] for j in range(6)], atol=1e-12)
    np.testing.assert_allclose(r2(y, p), r2_score(y, p, multioutput="raw_values"), atol=1e-12)
    np.testing.assert_allclose(pearson(y * 1e-9, p), pearson(y, p), atol=1e-12)


def test_constant_prediction_scores_zero_and_constant_truth_nan() -> None:
    y = np.column_stack([np.arange(6.0), np.full(6, 0.1)])
    p = np.column_stack([np.full(6, 1 / 3), np.arange(6.0)])
    assert pearson(y, p)[0] == 0
    assert np.isnan(pearson(y, p)[1])
    assert np.isnan(r2(y, p)[1])
    assert np.isnan(split_r2(y, p[None])[0, 1])


def test_pooling_predictions_over_folds_is_biased_and_scoring_per_fold_is_not() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((40, 500))
    # a large alpha predicts the training mean: pooled over leave-one-out folds that correlates at -1
    loo = (y.sum(axis=0) - y) / 39
    np.testing.assert_allclose(pearson(y, loo), -1, atol=1e-10)
    tests = np.split(rng.permutation(40), 5)
    x = rng.standard_normal((40, 30))
    pooled, per_fold = np.empty_like(y), []
    for test in tests:
        train = np.setdiff1d(np.arange(40), test)
        weights = np.linalg.solve(
            x[train].T @ x[train] + 300 * np.eye(30), x[train].T @ (y[train] - y[train].mean(axis=0))
        )
        pooled[test] = x[test] @ weights + y[train].mean(axis=0)
        per_fold.append(pearson(y[test], pooled[test]))
    error = np.std(np.mean(per_fold, axis=0)) / np.sqrt(500)
    assert pearson(y, pooled).mean() < -0.03
    assert abs(np.mean(per_fold)) < 4 * error


def test_permutation_p_is_uniform_on_noise_and_small_for_signal() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((60, 400)), rng.standard_normal((60, 400))
    p[:, :20] += 2 * y[:, :20]
    folds = np.split(np.arange(60), 3)
    test = permutation_test(y, p, folds, n_permutations=199, seed=1)
    assert (test.p_value[:20] == 1 / 200).all()
    noise = test.p_value[20:]
    assert abs((noise <= 0.05).mean() - 0.05) < 0.04
    assert abs(noise.mean() - 0.5) < 0.06
    again = permutation_test(y, p, folds, n_permutations=199, seed=1)
    np.testing.assert_array_equal(test.p_value, again.p_value)


def test_permutation_equals_an_explicit_shuffle_for_both_kinds_of_group() -> None:
    # three groups have six orders: the p value counts those that reach the observed r
    from itertools import permutations

    rng = np.random.default_rng(0)
    y = rng.standard_normal((6, 3))
    groups = np.array([2, 0, 1, 0, 2, 1])
    rows = [np.flatnonzero(groups == g) for g in range(3)]
    for p in (rng.standard_normal((3, 3))[groups], rng.standard_normal((6, 3))):
        observed = pearson(y, p)
        reached = np.zeros(3)
        for order in permutations(range(3)):
            moved = p.copy()
            for at, source in zip(range(3), order, strict=True):
                moved[rows[at]] = p[rows[source]]
            reached += pearson(y, moved) >= observed - 1e-6
        test = permutation_test(y, p, [np.arange(6)], groups=groups, n_permutations=3000, seed=0)
        np.testing.assert_allclose(test.p_value, reached / 6, atol=0.04)


def test_ignoring_repeats_would_be_too_sure() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(15), 6)
    y = rng.standard_normal((15, 300))[groups] + 0.1 * rng.standard_normal((90, 300))
    p = rng.standard_normal((15, 300))[groups]
    honest = permutation_test(y, p, [np.arange(90)], groups=groups, n_permutations=200)
    sure = permutation_test(y, p, [np.arange(90)], n_permutations=200)
    assert (honest.p_value <= 0.05).mean() < 0.1
    assert (sure.p_value <= 0.05).mean() > 0.2


def test_what_cannot_be_exchanged_is_an_error() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((5, 2)), rng.standard_normal((5, 2))
    with pytest.raises(DataError, match="2 to 3 rows and predictions that differ within them"):
        permutation_test(y, p, [np.arange(5)], groups=[0, 0, 1, 1, 1])
    with pytest.raises(DataError, match="at least 2 groups in every test fold"):
        permutation_test(y, p, [np.arange(4), np.array([4])])
    with pytest.raises(SpecError, match="have one shape"):
        pearson(y, p[:4])
    with pytest.raises(SpecError, match="parts have shape"):
        split_r2(y, p)
