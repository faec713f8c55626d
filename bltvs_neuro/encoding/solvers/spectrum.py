"""One eigendecomposition of the centred features: from a Gram or, with fewer features than rows, from features.

Everything a ridge needs follows from it: with U the eigenvectors over the training rows and s the eigenvalues of the
centred Gram, the fitted values at alpha are ``mean + U diag(s / (s + alpha)) U'(y - mean)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import SpecError
from .backend import Array, Backend

_NUMPY = Backend()


class Spectrum(NamedTuple):
    """Eigenvectors and eigenvalues of a Gram over training rows, the constant direction taken out.

    The intercept is handled by that: every column of ``vectors`` is orthogonal to the constant vector.
    """

    vectors: Array
    """(n, r), orthonormal; float64, or float32 where asked for; where the backend lives."""
    values: np.ndarray
    """(r,), float64, not negative, ascending."""
    loadings: np.ndarray | None = None
    """(p, r), only from features with p < n: ``centred features = vectors sqrt(values) loadings'``."""

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return int(self.vectors.shape[0])

    @property
    def n_left_out(self) -> int:
        """Dimensions, beside the constant, that no feature reaches and ``vectors`` does not span."""
        return self.n_rows - 1 - len(self.values)

    def coefficients(self) -> np.ndarray:
        """The readout that gives weights on (unscaled) features; shape (p, r)."""
        if self.loadings is None:
            raise SpecError("weights on features need the features; this spectrum was made from a Gram")
        return self.loadings * np.sqrt(self.values)


def gram_spectrum(gram: Array, backend: Backend = _NUMPY, *, dtype: str = "float64") -> Spectrum:
    """Decompose a Gram of the training rows.

    Parameters
    ----------
    gram : array of shape (n, n)
        Symmetric; centring is implied, done here or before.
    backend : Backend
    dtype : {"float64", "float32"}
        Of the decomposition. float32 takes half the time; eigenvalues are then wrong by about 1e-7 of the largest.

    Returns
    -------
    Spectrum
        With r = n - 1, whatever the rank.

    Notes
    -----
    A Householder reflection turns the constant vector into the first axis, which is then cut off. Centring alone would
    leave the constant among all other directions of eigenvalue zero, and what is 1 - 1 there would be rounding noise.
    """
    k = backend.array(gram, dtype)
    n = int(k.shape[0])
    if n < 2:
        raise SpecError(f"a ridge needs at least 2 training rows; got {n}")
    v = backend.array(np.full(n, 1 / np.sqrt(n)), dtype)
    v[0] += 1.0
    half = float(v @ v) / 2
    # H k H with H = I - v v' / half, as a rank-two update
    p = k @ v / half
    q = p - v * (float(v @ p) / (2 * half))
    reduced = k[1:, 1:] - backend.xp.stack([v[1:], q[1:]], 1) @ backend.xp.stack([q[1:], v[1:]], 0)
    values, inner = backend.eigh(reduced)
    del reduced
    vectors = backend.xp.empty_like(k[:, 1:])
    c = inner.T @ v[1:] / half
    vectors[0] = -c * v[0]
    vectors[1:] = inner
    vectors[1:] -= v[1:, None] * c[None, :]
    return Spectrum(vectors, np.maximum(backend.numpy(values).astype(np.float64), 0.0))


def feature_spectrum(features: Array, backend: Backend = _NUMPY) -> Spectrum:
    """Decompose features of the training rows: over features when p < n (primal), else over rows (kernel).

    Parameters
    ----------
    features : array of shape (n, p)
    backend : Backend

    Returns
    -------
    Spectrum
        With ``loadings`` when p < n; directions below 1e-13 of the largest eigenvalue are left out.
    """
    x = backend.array(features, "float64")
    x = x - x.mean(axis=0)
    if x.shape[1] >= x.shape[0]:
        return gram_spectrum(x @ x.T, backend)
    values, loadings = backend.eigh(x.T @ x)
    host = backend.numpy(values)
    first = int(np.searchsorted(host, max(host[-1], 0.0) * 1e-13, side="right"))
    host, loadings = host[first:], loadings[:, first:]
    vectors = (x @ loadings) / backend.array(np.sqrt(host), "float64")
    return Spectrum(vectors, host, backend.numpy(loadings))
