"""RDMs as plain arrays: .npy, .npz, .mat (v5, v7.3), .h5 and .csv, square or condensed, with a list of stimuli."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import DataError, listed, unknown
from .condensed import condensed_to_square, n_pairs, square_to_condensed
from .files import Variable, kind, load_arrays, provenance, variables
from .ids import ID_KEYS, Stimuli, find_ids
from .labelled import make_rdms
from .reader import Match, Reader
from .tables import read_table

NUMERIC = ("float", "double", "int", "uint", "single")


def sniff(path: Path) -> Match:
    """A container with an array that has the shape of RDMs, or a table."""
    what = kind(path)
    if what == "table":
        return 1 if path.suffix.lower() != ".txt" else 0
    if what in ("npy", "npz", "matlab5", "matlab73", "hdf5"):
        return 1 if _candidates(variables(path)) else 0
    return 0


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    key: str | None = None,
    metric: str = "unknown",
    asymmetric: Literal["raise", "mean"] = "raise",
) -> xr.DataArray:
    """Read RDMs from an array.

    Parameters
    ----------
    path : Path
        .npy, .npz, .mat, .h5, .csv or .tsv. A stack of square matrices may have its RDMs on the first or, as MATLAB
        users do, on the last axis. A table may carry the ids in its first row, its first column or both.
    stimuli : sequence of str or path, optional
        Ids in the order of the rows. Default: a key of the file (stimulus_id, stimuli, labels, ...), else a list
        ``NAME.stimuli.txt`` (or .json, .csv, .tsv) beside the file.
    key : str, optional
        Which array. Default: the only one with the shape of RDMs.
    metric : str
        How the dissimilarities were made, for the attributes.
    asymmetric : "raise" or "mean"
        What to do with a matrix that is not symmetric: refuse, or average both triangles.
    """
    arrays: dict[str, Any]
    if kind(path) == "table":
        values, labels = read_table(path)
        arrays = {} if labels is None else {"labels": np.array(labels, dtype=object)}
        if np.ndim(values) == 2 and values.shape[0] != values.shape[1]:
            arrays = {}  # the header of condensed rows names pairs, not stimuli
    else:
        held = variables(path)
        fits = _candidates(held) or (list(held) if len(held) == 1 else [])
        if key is not None and key not in held:
            raise unknown("key", key, list(held))
        if key is None and len(fits) != 1:
            have = listed([f"{name or 'array'} ({variable})" for name, variable in held.items()])
            why = f"several could be RDMs ({listed(fits)}): choose with key=" if fits else "none has the shape of RDMs"
            raise DataError(f"{path} has {have}: {why}")
        key = fits[0] if key is None else key
        arrays = load_arrays(path, [key, *(name for name in held if name in ID_KEYS)])
        values = arrays.pop(key)
    condensed, n = to_condensed(values, str(path), asymmetric=asymmetric)
    return make_rdms(condensed, find_ids(path, stimuli, arrays, {n}), metric=metric, attrs=provenance(path))


def to_condensed(
    values: Any, what: str, *, asymmetric: Literal["raise", "mean"] = "raise"
) -> tuple[NDArray[np.float64], int]:
    """Rows of pairs and the number of stimuli, from square matrices, a stack of them, or condensed rows."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} holds {array.dtype} values, not dissimilarities")
    array = array.astype(np.float64)
    if array.ndim == 2 and array.shape[0] == array.shape[1] and not _three_rows(array):
        return square_to_condensed(array, what=what, asymmetric=asymmetric)[None], len(array)
    if array.ndim == 3:
        first, last = array.shape[1] == array.shape[2], array.shape[0] == array.shape[1]
        if first and last:  # as many RDMs as stimuli: only one axis order has zeros on every diagonal
            first = not np.nan_to_num(np.diagonal(array, axis1=1, axis2=2)).any()
            last = not np.nan_to_num(np.diagonal(array, axis1=0, axis2=1)).any()
        if first != last:
            stack = array if first else np.moveaxis(array, -1, 0)  # (n, n, rdm) -> (rdm, n, n)
            return square_to_condensed(stack, what=what, asymmetric=asymmetric), stack.shape[-1]
    if array.ndim <= 2 and array.size:
        rows = array.reshape(1, -1) if array.ndim == 1 or array.shape[1] == 1 else array
        n = _n_stimuli(rows.shape[1])
        if n:
            return rows, n
    raise DataError(
        f"{what} has shape {array.shape}, which is neither square (n, n), a stack of squares, nor n(n-1)/2 pairs"
    )


def _three_rows(array: NDArray[np.float64]) -> bool:
    """Three condensed RDMs of three stimuli look square; only a symmetric one with zeros on the diagonal is."""
    return array.shape == (3, 3) and not np.array_equal(array, condensed_to_square(array[np.triu_indices(3, 1)]))


def _n_stimuli(pairs: int) -> int:
    n = (1 + math.isqrt(1 + 8 * pairs)) // 2
    return n if n > 1 and n_pairs(n) == pairs else 0


def _candidates(held: dict[str, Variable]) -> list[str]:
    return [name for name, variable in held.items() if variable.dtype.startswith(NUMERIC) and _fits(variable.shape)]


def _fits(shape: tuple[int, ...]) -> bool:
    if len(shape) == 3:
        return 1 < shape[1] in (shape[0], shape[2])
    if len(shape) == 2 and 1 < shape[0] == shape[1]:
        return True
    if len(shape) == 2 and shape[1] == 1:
        shape = shape[:1]
    # columns of one or three numbers are too common to be guessed as the pairs of two or three stimuli
    return 0 < len(shape) <= 2 and _n_stimuli(shape[-1]) > 3


READERS = (
    Reader("array", "rdms", "square or condensed arrays (.npy, .npz, .mat, .h5, .csv) with stimuli=", sniff, read),
)
