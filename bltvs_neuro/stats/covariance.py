"""Noise covariance and precision from residuals: diagonal, full, and with the shrinkage estimated from the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, SpecError, unknown

Covariance = Literal["diag", "full", "shrinkage_eye", "shrinkage_diag"]
Array = NDArray[np.float64]


def _diag(x: Array, dof: int) -> Array:
    return np.einsum("ij,ij->j", x, x) / dof


def _full(x: Array, dof: int) -> Array:
    return x.T @ x / dof


def _shrinkage_eye(x: Array, dof: int) -> Array:
    """Ledoit and Wolf (2004): shrink towards a multiple of the identity."""
    from sklearn.covariance import ledoit_wolf  # takes a second to import

    covariance, _ = ledoit_wolf(x, assume_centered=True)
    return covariance * (len(x) / dof)


def _shrinkage_diag(x: Array, dof: int) -> Array:
    """Schäfer and Strimmer (2005): shrink correlations towards zero, variances stay."""
    n, p = x.shape
    s_sum = x.T @ x
    s = s_sum / dof
    var = np.diag(s)
    if np.any(var <= 0):
        raise DataError(f"{np.sum(var <= 0)} of {p} channels have no noise variance; leave them out")
    square = x * x
    off = ~np.eye(p, dtype=bool)
    s_mean = s_sum / np.sqrt(np.outer(var, var)) / (n - 1)
    s2_mean = square.T @ square / np.outer(var, var) / (n - 1)
    var_hat = n / dof**2 * (s2_mean - s_mean**2)
    total = np.sum(s_mean[off] ** 2)
    weight = min(max(float(np.sum(var_hat[off]) / total), 0.0), 1.0) if total > 0 else 1.0
    out = s * (1 - weight)
    out[np.diag_indices(p)] = var
    return out


COVARIANCES: dict[str, Callable[[Array, int], Array]] = {
    "diag": _diag,
    "full": _full,
    "shrinkage_eye": _shrinkage_eye,
    "shrinkage_diag": _shrinkage_diag,
}


def noise_covariance(residuals: ArrayLike, method: Covariance = "shrinkage_diag", *, dof: int | None = None) -> Array:
    """Covariance over channels from residuals.

    Parameters
    ----------
    residuals : array (samples, channels)
        Residuals of a GLM or of repeats around their mean; the mean over samples is removed.
    method : {"diag", "full", "shrinkage_eye", "shrinkage_diag"}
        Variances only; the sample covariance; shrunk towards a multiple of the identity (Ledoit and Wolf); shrunk
        towards its diagonal (Schäfer and Strimmer).
    dof : int, optional
        Degrees of freedom; samples - 1 unless given. For repeats around the mean of each stimulus: samples - stimuli.

    Returns
    -------
    array (channels,) for ``"diag"``, else (channels, channels)

    References
    ----------
    Ledoit & Wolf (2004), doi:10.1016/S0047-259X(03)00096-4; Schäfer & Strimmer (2005), doi:10.2202/1544-6115.1175.
    """
    if method not in COVARIANCES:
        raise unknown("noise covariance", method, list(COVARIANCES))
    x = np.asarray(residuals, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 2:
        raise SpecError(f"residuals are (samples, channels) with at least 2 samples; got shape {x.shape}")
    if not np.isfinite(x).all():
        raise DataError(f"residuals hold {np.sum(~np.isfinite(x))} values that are not finite")
    x = x - x.mean(axis=0)
    return COVARIANCES[method](x, x.shape[0] - 1 if dof is None else dof)


def noise_precision(residuals: ArrayLike, method: Covariance = "shrinkage_diag", *, dof: int | None = None) -> Array:
    """Inverse of :func:`noise_covariance`; a vector for ``"diag"``.

    Raises
    ------
    DataError
        The covariance has no inverse: too few samples for ``"full"``, or a channel without noise.
    """
    covariance = noise_covariance(residuals, method, dof=dof)
    if covariance.ndim == 1:
        if np.any(covariance <= 0):
            raise DataError(f"{np.sum(covariance <= 0)} channels have no noise variance; leave them out")
        return 1.0 / covariance
    samples, channels = np.shape(residuals)
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        factor = None
    diagonal = None if factor is None else np.diag(factor)
    if diagonal is None or diagonal.min() < 1e-7 * diagonal.max():
        raise DataError(
            f"the {method} covariance of {channels} channels from {samples} samples is singular; "
            "use 'shrinkage_diag' or 'shrinkage_eye'"
        )
    return np.asarray(np.linalg.inv(covariance), dtype=np.float64)
