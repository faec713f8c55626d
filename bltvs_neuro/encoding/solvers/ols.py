"""Ordinary least squares, for few features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import DataError, SpecError, argument


class OLSFit(NamedTuple):
    """Least squares of many targets."""

    weights: np.ndarray
    """(p, t)"""
    intercept: np.ndarray
    """(t,)"""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predictions (n_test, t)."""
        return features @ self.weights + self.intercept


def fit_ols(features: np.ndarray, targets: np.ndarray) -> OLSFit:
    """Fit least squares with an intercept, in float64.

    Parameters
    ----------
    features : array of shape (n, p)
        Constant features get weight zero; collinear ones share theirs (the smallest weights that fit).
    targets : array of shape (n, t)

    Returns
    -------
    OLSFit

    Raises
    ------
    SpecError
        Not fewer features than ``n - 2``: least squares would fit noise exactly.
    DataError
        A value is NaN or infinite.

    Notes
    -----
    With p random features and a true R2 of q, the expected R2 on new rows is ``1 - (1 - q) (1 + (p + 1) / (n - p - 2))``:
    use ridge unless p is a small part of n.
    """
    n, p = features.shape
    if p >= n - 2:
        raise SpecError(
            f"least squares needs fewer features than rows - 2 ({n - 2}); got {p}: use {argument('solver', 'ridge')}"
        )
    x, y = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("features or targets are NaN or infinite; leave them out first")
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    centred[:, x.min(axis=0) == x.max(axis=0)] = 0  # a rounded mean would leave a speck
    weights = np.linalg.lstsq(centred, y - y_mean, rcond=None)[0]
    return OLSFit(weights, y_mean - x_mean @ weights)
