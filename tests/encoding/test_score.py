from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from bltvs_neuro.encoding.scores.score import pearson, r2, split_r2
from bltvs_neuro.errors import SpecError


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


def test_arrays_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((5, 2)), rng.standard_normal((5, 2))
    with pytest.raises(SpecError, match="have one shape"):
        pearson(y, p[:4])
    with pytest.raises(SpecError, match="parts have shape"):
        split_r2(y, p)
