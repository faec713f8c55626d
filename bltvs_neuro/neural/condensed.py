"""Square and condensed dissimilarities: the arithmetic of pairs, without labels.

The condensed form of an n × n matrix is its upper triangle row by row, (0, 1), (0, 2), ..., (n-2, n-1), the order of
:func:`scipy.spatial.distance.squareform`.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, argument, counted

SAME = 1e-6
"""Differences between the two triangles, as a share of the largest value, that are rounding."""


def n_pairs(n: int) -> int:
    """Number of pairs among ``n`` stimuli."""
    return n * (n - 1) // 2


def n_from_pairs(pairs: int) -> int:
    """Number of stimuli that have ``pairs`` pairs; a DataError names the nearest numbers where there is none.

    Examples
    --------
    >>> n_from_pairs(4186)
    92
    """
    n = (1 + math.isqrt(1 + 8 * pairs)) // 2
    if pairs < 1 or n_pairs(n) != pairs:
        near = f"{n_pairs(n)} pairs would be {counted(n, 'stimuli')}, {n_pairs(n + 1)} pairs {n + 1}"
        raise DataError(f"{pairs} values are not the pairs of any number of stimuli ({near})")
    return n


def pair_index(i: NDArray[np.integer], j: NDArray[np.integer], n: int) -> NDArray[np.int64]:
    """Position of the pair (i, j), in either order, among the pairs of ``n`` stimuli."""
    low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
    return low * n - low * (low + 1) // 2 + high - low - 1


def looks_like_rdm(square: ArrayLike) -> bool:
    """Whether a square matrix can't be responses: it is symmetric, or its diagonal is zero (or NaN).

    Similarities and asymmetric dissimilarities are among these, for :func:`square_to_condensed` to refuse by name. Two
    or three stimuli must be symmetric with a diagonal of zeros or ones, as either happens by chance in whole numbers.

    Examples
    --------
    >>> looks_like_rdm([[0, 2], [2, 0]]), looks_like_rdm([[5, 2], [2, 3]]), looks_like_rdm([[0, 2], [3, 0]])
    (True, False, False)
    """
    values = np.asarray(square)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2 or values.dtype.kind not in "fiub":
        return False
    values = values.astype(np.float64)
    finite = np.abs(values[np.isfinite(values)])
    scale = float(finite.max()) if finite.size else 0.0
    diagonal = np.diagonal(values)
    zero, ones = not np.nan_to_num(diagonal).any(), bool((np.abs(diagonal - 1) <= SAME).all())
    with np.errstate(invalid="ignore"):
        near = np.abs(values - values.T) <= SAME * scale
    symmetric = bool((near | (values == values.T) | (np.isnan(values) & np.isnan(values.T))).all())
    return symmetric and (zero or ones) if len(values) < 4 else symmetric or zero


def square_to_condensed(
    square: ArrayLike, *, asymmetric: Literal["raise", "mean"] = "raise", what: str = "the matrix"
) -> NDArray[np.float64]:
    """Upper triangles of square matrices as float64, (..., n, n) -> (..., n_pairs), once they are known to be dissimilarities.

    The diagonal is zero or NaN (and never used), NaN elsewhere lies symmetrically. Triangles that differ by more than 1e-6
    of the largest value are refused with a DataError or, where ``asymmetric`` is "mean", averaged; smaller differences
    (single precision, rounding in text files) always are. ``what`` names the matrix in errors.
    """
    values = as_real(square, what)
    if values.ndim < 2 or values.shape[-1] != values.shape[-2] or values.shape[-1] < 2:
        raise DataError(f"{what} should be square, stimuli × stimuli; its shape is {values.shape}")
    n = values.shape[-1]
    refuse_infinite(values, f"{what} holds")
    scale = float(np.nanmax(np.abs(values))) if not np.isnan(values).all() else 0.0
    diagonal = np.diagonal(values, axis1=-2, axis2=-1)
    off = np.nan_to_num(np.abs(diagonal), nan=0.0)
    if (off > SAME * scale).any():
        hint = " (a similarity matrix? convert it first, for example to 1 - r)" if np.allclose(off, 1) else ""
        raise DataError(
            f"the diagonal of {what} should be 0, the dissimilarity of a stimulus and itself; its largest value is "
            f"{off.max():.4g}{hint}"
        )
    row, column = np.triu_indices(n, 1)
    upper, lower = values[..., row, column], values[..., column, row]
    if asymmetric == "raise":
        gap = np.where(np.isnan(upper) != np.isnan(lower), np.inf, np.nan_to_num(np.abs(upper - lower), nan=0.0))
        if (gap > SAME * scale).any():
            worst = int(np.argmax(gap.reshape(-1, gap.shape[-1]).max(axis=0)))
            raise DataError(
                f"{what} is not symmetric: {int((gap > SAME * scale).sum())} of {gap.size} pairs differ between the "
                f"triangles, most at ({row[worst]}, {column[worst]}). "
                f"{argument('asymmetric', 'mean')} averages both where that is meant"
            )
    return (upper + lower) / 2


def condensed_to_square(condensed: ArrayLike) -> NDArray[np.float64]:
    """Symmetric float64 matrices with a zero diagonal, (..., n_pairs) -> (..., n, n)."""
    values = np.asarray(condensed, dtype=np.float64)
    n = n_from_pairs(values.shape[-1])
    square = np.zeros((*values.shape[:-1], n, n))
    row, column = np.triu_indices(n, 1)
    square[..., row, column] = values
    square[..., column, row] = values
    return square


def refuse_infinite(values: NDArray[np.float64], what: str) -> None:
    """Raise a DataError for infinite dissimilarities; ``what``, "the RDMs hold"."""
    if np.isinf(values).any():
        raise DataError(f"{what} {int(np.isinf(values).sum())} infinite values; a dissimilarity is finite or NaN")


def as_real(values: ArrayLike, what: str) -> NDArray[np.float64]:
    """``values`` as float64, or a DataError for objects, text and complex numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} should hold real numbers; its type is {array.dtype}")
    return array.astype(np.float64, copy=False)
