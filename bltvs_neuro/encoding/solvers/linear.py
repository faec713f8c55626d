"""What the scikit-learn faces share: input checks, weights or dual coefficients, inner folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ...errors import SpecError, argument
from ...features.folds import group_folds


class Linear(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """What linear models of centred features share: weights, kept as such or as dual coefficients on training rows."""

    weights_: Any
    dual_: Any
    rows_: Any
    band_weights_: Any
    band_of_feature_: Any

    def predict(self, X: Any) -> np.ndarray:
        """Predict.

        Parameters
        ----------
        X : array of shape (n, p)

        Returns
        -------
        array of shape (n, t), or (n,) when fitted on a single column given as (n,)
        """
        check_is_fitted(self)
        x = _validated(self, X, reset=False) - self.features_mean_
        if self.weights_ is not None:
            out = x @ self.weights_
        elif self.band_weights_ is None:
            out = (x @ self.rows_.T) @ self.dual_
        else:
            out = x @ self._weights()
        out = out + self.targets_mean_
        return out[:, 0] if self.one_column_ else out

    @property
    def coef_(self) -> np.ndarray:
        """Weights on features, (t, p) as scikit-learn has them, or (p,); worked out from the training rows when p >= n."""
        weights = self._weights()
        return weights[:, 0] if self.one_column_ else weights.T

    @property
    def intercept_(self) -> Any:
        """(t,), or a number."""
        value = self.targets_mean_ - self.features_mean_ @ self._weights()
        return float(value[0]) if self.one_column_ else value

    def _weights(self) -> np.ndarray:
        if self.weights_ is not None:
            return np.asarray(self.weights_)
        weights = self.rows_.T @ self.dual_
        if self.band_weights_ is not None:
            weights *= self.band_weights_[self.band_of_feature_]
        return weights

    def _start(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        x, y = _validated(self, X, y, reset=True)
        self.one_column_ = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.features_mean_, self.targets_mean_ = x.mean(axis=0), y.mean(axis=0)
        self.weights_ = self.dual_ = self.rows_ = self.band_weights_ = self.band_of_feature_ = None
        return x, y


def make_blocks(by: str, n: int, cv: int, seed: int, groups: Any) -> list[np.ndarray] | None:
    """Held-out blocks for k-fold, None for the other ways to choose alpha."""
    if by != "kfold":
        if groups is not None:
            raise SpecError(f"groups need {argument('by', 'kfold')}; {by!r} takes rows as independent")
        return None
    return [fold.test for fold in group_folds(np.arange(n) if groups is None else groups, cv, seed=seed, what="groups")]


def _validated(estimator: Any, X: Any, y: Any = None, *, reset: bool) -> Any:
    """scikit-learn's input checks, which moved in 1.6."""
    options: dict[str, Any] = {"reset": reset, "dtype": np.float64}
    if y is not None or reset:
        options |= {"y": y, "multi_output": True, "y_numeric": True, "ensure_min_samples": 2}
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:
        return estimator._validate_data(X, **options)
    return validate_data(estimator, X, **options)
