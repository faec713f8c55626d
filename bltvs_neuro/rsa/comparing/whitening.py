"""The inner product of RDMs whitened by the covariance of their entries.

Dissimilarities share stimuli and are therefore correlated. With pattern noise of covariance Sigma over stimuli, the
entries of a squared-distance RDM have covariance V = (C Sigma C') squared entry by entry (C: contrasts of all pairs),
and ``a' V^-1 b`` is the inner product that treats them fairly. It is never formed: V is P × P with P pairs.

- Sigma = I: ``a' V^-1 b = tr(G_a G_b)``, G = -1/2 H D H the doubly centred RDM.
- any Sigma: ``tr(S G_a S G_b)`` with S the pseudo-inverse of H Sigma H, because V is the map X -> H Sigma X Sigma H
  between the symmetric matrices with zero row sums, seen through squared distances.
- Sigma = I and pairs missing: centring becomes least squares over what is there, an n × n system.

References: Diedrichsen et al. (2021), doi:10.51628/001c.27664; Schütt et al. (2023), doi:10.7554/eLife.82566.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, SpecError
from ...neural.condensed import condensed_to_square, n_from_pairs

Array = NDArray[np.float64]


def whiten(vectors: Array, valid: NDArray[np.bool_], sigma_k: Array | None = None) -> Array:
    """Map RDM vectors so that their plain inner products are the whitened ones.

    Parameters
    ----------
    vectors : array (n_rdm, n_pairs)
        Entries where ``valid`` is False are not read.
    valid : bool array (n_pairs,)
        Pairs to use.
    sigma_k : array (n,) or (n, n), optional
        Covariance of the pattern estimates over stimuli; a vector is its diagonal.

    Returns
    -------
    array (n_rdm, n_pairs + n)
    """
    n = n_from_pairs(vectors.shape[1])
    if sigma_k is not None:
        return _whiten_sigma(vectors, valid, check_sigma(sigma_k, n))
    row, column = np.triu_indices(n, 1)
    half = np.where(valid, -0.5 * np.where(valid, vectors, 0.0), 0.0)
    sums = condensed_to_square(half).sum(axis=-1)  # (n_rdm, n)
    if valid.all():
        shift = (sums - sums.mean(axis=1, keepdims=True) / 2) / n
    else:
        present = condensed_to_square(valid.astype(np.float64))
        shift = np.linalg.solve(present + np.diag(present.sum(axis=0) + 2.0), sums.T).T
    off = np.where(valid, half - shift[:, row] - shift[:, column], 0.0)
    return np.concatenate([np.sqrt(2.0) * off, -2.0 * shift], axis=1)


def check_sigma(sigma_k: Array, n: int) -> Array:
    """Return ``sigma_k`` as a symmetric positive definite (n, n) matrix, or raise."""
    sigma = np.asarray(sigma_k, dtype=np.float64)
    if sigma.ndim == 1:
        sigma = np.diag(sigma)
    if sigma.shape != (n, n):
        raise SpecError(f"sigma_k of {n} stimuli has shape ({n},) or ({n}, {n}); got {np.shape(sigma_k)}")
    if not np.isfinite(sigma).all() or np.abs(sigma - sigma.T).max() > 1e-8 * np.abs(sigma).max():
        raise DataError("sigma_k is not a symmetric matrix of finite values")
    if np.linalg.eigvalsh(sigma)[0] <= 0:
        raise DataError("sigma_k is not positive definite")
    return sigma


def _whiten_sigma(vectors: Array, valid: NDArray[np.bool_], sigma: Array) -> Array:
    n = len(sigma)
    present = condensed_to_square(valid.astype(np.float64)) > 0
    keep = np.flatnonzero(present.any(axis=0))
    if not present[np.ix_(keep, keep)].sum() == len(keep) * (len(keep) - 1):
        raise DataError(
            "with sigma_k only whole stimuli can be missing, but single pairs are NaN; "
            "select stimuli that have all pairs"
        )
    square = condensed_to_square(np.where(valid, np.where(valid, vectors, 0.0), 0.0))[:, keep][:, :, keep]
    m = len(keep)
    h = np.eye(m) - 1.0 / m
    values, axes = np.linalg.eigh(h @ sigma[np.ix_(keep, keep)] @ h)
    # the smallest eigenvalue belongs to the constant vector, which centring removed
    root = (axes[:, 1:] / np.sqrt(values[1:])).T  # (m - 1, m): root' root = pinv(H Sigma H)
    g = root @ (-0.5 * square) @ root.T  # (n_rdm, m - 1, m - 1)
    i, j = np.triu_indices(m - 1, 1)
    out = np.zeros((len(vectors), vectors.shape[1] + n))
    flat = np.concatenate([np.sqrt(2.0) * g[:, i, j], np.diagonal(g, axis1=1, axis2=2)], axis=1)
    out[:, : flat.shape[1]] = flat
    return out
