"""RDMs as plain arrays: .npy, .npz, .mat (v5, v7.3), .h5 and tables, square or condensed, with a list of stimuli."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import DataError, argument, listed
from ...tables import read_cells
from ..condensed import looks_like_rdm, square_to_condensed
from ..labelled import make_rdms
from ..reader import Reader
from ..reading.array_kind import check_key, choose_array, n_stimuli, sniff
from ..reading.files import kind, load_arrays, provenance, variables
from ..reading.ids import ID_KEYS, Stimuli, find_ids, known_ids
from ..reading.tables import apart, is_counting, square

Asymmetric = Literal["raise", "mean"]


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    key: str | None = None,
    metric: str = "unknown",
    asymmetric: Asymmetric = "raise",
) -> xr.DataArray:
    """Read RDMs from an array.

    Parameters
    ----------
    path : Path
        .npy, .npz, .mat, .h5, .csv, .tsv or .txt. A stack of square matrices may have its RDMs on the first or, as
        MATLAB users do, on the last axis. A table may carry the ids in its first row, its first column or both; columns
        such as subject and session of a table of condensed RDMs are coordinates.
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
    check_key(path, key)
    coords: dict[str, Any] = {}
    if kind(path) == "table":
        values, arrays, coords = _table(path, stimuli)
    else:
        values, arrays = _array(path, stimuli, key)
    condensed, n = to_condensed(values, str(path), asymmetric=asymmetric)
    rdms = make_rdms(condensed, find_ids(path, stimuli, arrays, {n}), metric=metric, attrs=provenance(path))
    return rdms.assign_coords({name: ("rdm", value) for name, value in coords.items()})


def to_condensed(values: Any, what: str, *, asymmetric: Asymmetric = "raise") -> tuple[NDArray[np.float64], int]:
    """Rows of pairs and the number of stimuli, from square matrices, a stack of them, or condensed rows."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} holds {array.dtype} values, not dissimilarities")
    array = array.astype(np.float64)
    # three condensed RDMs of three stimuli look square; only a symmetric one with one value on the diagonal is
    if array.ndim == 2 and array.shape[0] == array.shape[1] and (len(array) != 3 or looks_like_rdm(array)):
        return square_to_condensed(array, what=what, asymmetric=asymmetric)[None], len(array)
    if array.ndim == 3:
        first, last = array.shape[1] == array.shape[2], array.shape[0] == array.shape[1]
        if first and last:  # as many RDMs as stimuli: only one axis order has zeros on every diagonal
            first = not np.nan_to_num(np.diagonal(array, axis1=1, axis2=2)).any()
            last = not np.nan_to_num(np.diagonal(array, axis1=0, axis2=1)).any()
        if first != last:
            stack = array if first else np.moveaxis(array, -1, 0)  # (n, n, rdm) -> (rdm, n, n)
            return square_to_condensed(stack, what=what, asymmetric=asymmetric), stack.shape[-1]
    if array.ndim in (1, 2) and array.size:
        rows = array.reshape(1, -1) if array.ndim == 1 or array.shape[1] == 1 else array
        n = n_stimuli(rows.shape[1])
        if n:
            return rows, n
    raise DataError(
        f"{what} has shape {array.shape}, which is neither square (n, n), a stack of squares, nor n(n-1)/2 pairs"
    )


def _array(path: Path, stimuli: Stimuli, key: str | None) -> tuple[Any, dict[str, Any]]:
    """The array, and those that may hold its ids."""
    held = variables(path)
    key, fits = choose_array(path, held, stimuli, next(iter(held)) if key is None and len(held) == 1 else key, "rdms")
    if key is None:
        have = listed([f"{name or 'array'} ({variable})" for name, variable in held.items()])
        several = f"several could be RDMs ({listed(fits)}): choose with {argument('key', fits[0])}" if fits else ""
        raise DataError(f"{path} has {have}: {several or 'none has the shape of RDMs'}")
    arrays = load_arrays(path, [key, *(name for name in held if name in ID_KEYS and stimuli is None)])
    return arrays.pop(key), arrays


def _table(path: Path, stimuli: Stimuli) -> tuple[NDArray[np.float64], dict[str, Any], dict[str, Any]]:
    """The values of a table, its ids, and coordinates of its RDMs."""
    grid = read_cells(path)
    found = square(grid)
    rdm = found is not None and looks_like_rdm(found.values)
    if found is not None and (rdm or found.agree or (found.agree is None and not n_stimuli(found.values.shape[1]))):
        labels = [label.strip() for label in found.labels or []]
        if found.agree is False or (found.agree and not rdm and labels != found.columns):
            raise DataError(
                f"the row labels of {path} differ from its column labels: {listed(labels)}; {listed(found.columns or [])}"
            )
        counted = is_counting(labels) and bool(known_ids(path, stimuli, {})[0])  # row numbers: the list goes before
        return found.values, {} if not labels or counted else {"labels": found.labels}, {}
    table = apart(grid)
    coords = {name: value for name, value in table.coordinates.items() if name != "repetition"}
    if table.ids is not None and not table.counted:
        coords["name"] = np.array(table.ids, dtype=object)  # rows are RDMs: what names them is no stimulus
    return table.values, {}, coords


READERS = (
    Reader(
        "rdm_array", "rdms", "RDMs as square or condensed arrays (.npy, .npz, .mat, .h5, .csv, .txt), with a list of stimuli",
        partial(sniff, "rdms"), read,
    ),
)  # fmt: skip
