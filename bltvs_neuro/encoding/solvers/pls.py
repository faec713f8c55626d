"""Partial least squares with all targets in one model, as Brain-Score uses it (25 components, no scaling).

PLS does not change when the features are rotated, so features of any width are replaced by ``U sqrt(s)`` from the Gram's
decomposition: at most n - 1 columns, exactly.

References
----------
Wold, Sjöström & Eriksson (2001), doi:10.1016/S0169-7439(01)00155-1; Schrimpf et al. (2018), Brain-Score,
doi:10.1101/407007
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import DataError, SpecError, counted
from .spectrum import Spectrum


class PLSFit(NamedTuple):
    """One PLS regression of many targets."""

    dual_rotations: np.ndarray
    """(n, k): scores of new rows are ``cross-Gram @ dual_rotations``."""
    loadings: np.ndarray
    """(t, k): predictions are ``scores @ loadings.T + mean``."""
    mean: np.ndarray
    """(t,)"""
    rotations: np.ndarray | None
    """(p, k) on centred features, when the spectrum was made from fewer features than rows."""

    def predict(self, cross: np.ndarray) -> np.ndarray:
        """Predictions (n_test, t) from a cross-Gram (n_test, n) centred over the training rows."""
        return cross @ self.dual_rotations @ self.loadings.T + self.mean


def fit_pls(spectrum: Spectrum, targets: np.ndarray, n_components: int = 25) -> PLSFit:
    """Fit PLS2 by successive dominant singular vectors of the cross-covariance.

    Parameters
    ----------
    spectrum : Spectrum
        Of the training rows' features, numpy.
    targets : array of shape (n, t)
    n_components : int
        At most the rank of the centred features.

    Returns
    -------
    PLSFit
        The same model as scikit-learn's ``PLSRegression(n_components, scale=False)`` at a tight tolerance: its power
        iterations stop at 1e-6 by default, here the singular vectors are exact.

    Raises
    ------
    SpecError
        More components than the features have dimensions.
    DataError
        A target is NaN or infinite.
    """
    keep = spectrum.values > 1e-10 * spectrum.values.max(initial=0.0)
    rank = int(keep.sum())
    if not 1 <= n_components <= rank:
        raise SpecError(
            f"n_components is between 1 and the rank of the training features, {rank}; got {n_components}:"
            " fewer components, more stimuli or more features"
        )
    s, u = spectrum.values[keep], np.asarray(spectrum.vectors)[:, keep]
    mean = targets.mean(axis=0, dtype=np.float64)
    y = targets - mean
    if not np.isfinite(mean).all():
        raise DataError(
            f"{counted(int((~np.isfinite(mean)).sum()), 'targets', 'are')} NaN or infinite; leave them out first"
        )
    x = u * np.sqrt(s)  # (n, r)
    yy = y @ y.T  # targets enter the components only through this
    m = x.T @ yy @ x
    weights = np.empty((rank, n_components))
    x_loadings, scores = np.empty_like(weights), np.empty((len(x), n_components))
    for k in range(n_components):
        w = _dominant(m)
        t = x @ w
        size = t @ t
        p = x.T @ t / size
        c = x.T @ (yy @ t)
        m -= np.outer(c, p) + np.outer(p, c) - np.outer(p, p) * (t @ yy @ t)
        x = x - np.outer(t, p)
        weights[:, k], x_loadings[:, k], scores[:, k] = w, p, t
    rotations = weights @ np.linalg.inv(x_loadings.T @ weights)  # (r, k)
    loadings = (y.T @ scores) / (scores**2).sum(axis=0)
    primal = None if spectrum.loadings is None else spectrum.loadings[:, keep] @ rotations
    return PLSFit((u / np.sqrt(s)) @ rotations, loadings, mean, primal)


def _dominant(m: np.ndarray) -> np.ndarray:
    """The unit eigenvector of the largest eigenvalue of a symmetric matrix."""
    if len(m) < 200:
        return np.linalg.eigh(m)[1][:, -1]
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    try:
        return eigsh(m, k=1, which="LA", v0=m @ np.ones(len(m)), tol=0)[1][:, 0]
    except ArpackNoConvergence:
        return np.linalg.eigh(m)[1][:, -1]
