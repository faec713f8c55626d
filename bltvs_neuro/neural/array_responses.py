"""Responses as plain arrays (.npy, .npz, .mat, .h5, .csv): presentations × neuroids [× time], with a stimulus list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import DataError, listed, unknown
from .array_rdms import NUMERIC
from .files import kind, load_arrays, open_npy, provenance, variables
from .ids import ID_KEYS, Stimuli, find_ids
from .labelled import make_responses
from .reader import Match, Reader
from .tables import read_table

LABELS = ("subject", "roi", "voxel", "electrode", "neuroid_id", "i", "j", "k", "hemisphere", "ncsnr")
"""Arrays of the file that become coordinates on neuroid."""


def sniff(path: Path) -> Match:
    """A container with exactly one numeric array of two or three dimensions, or a table."""
    what = kind(path)
    if what == "table":
        return 1 if path.suffix.lower() != ".txt" else 0
    if what in ("npy", "npz", "matlab5", "matlab73", "hdf5"):
        return 1 if len(_candidates(path)) == 1 else 0
    return 0


def read(path: Path, *, stimuli: Stimuli = None, key: str | None = None) -> xr.DataArray:
    """Read responses from an array (presentation, neuroid) or (presentation, neuroid, time).

    Parameters
    ----------
    path : Path
        .npy, .npz, .mat, .h5, .csv or .tsv (rows are presentations; ids may stand in the first column).
    stimuli : sequence of str or path, optional
        The stimulus of each presentation. Default: a key of the file (stimulus_id, stimuli, ...), else a list
        ``NAME.stimuli.txt`` (or .json, .csv, .tsv) beside the file.
    key : str, optional
        Which array. Default: the only numeric one of two or three dimensions.

    Returns
    -------
    xarray.DataArray
        Arrays of the file called subject, roi, voxel, electrode, ... label the neuroids; ``time`` (seconds) the third
        axis, which is required then.
    """
    arrays: dict[str, Any] = {}
    if kind(path) == "table":
        values, _ = read_table(path)
        rows = _row_labels(path, len(values))
        arrays = {} if rows is None else {"stimulus_id": np.array(rows, dtype=object)}
    elif kind(path) == "npy":
        values = open_npy(path)
    else:
        held = variables(path)
        fits = _candidates(path)
        if key is not None and key not in held:
            raise unknown("key", key, list(held))
        if key is None and len(fits) != 1:
            have = listed([f"{name} ({variable})" for name, variable in held.items()])
            raise DataError(f"{path} has {have}: choose the responses with key=")
        key = fits[0] if key is None else key
        arrays = load_arrays(path, [key, *(name for name in held if name in (*ID_KEYS, *LABELS, "time", "repetition"))])
        values = arrays.pop(key)
    values = np.asarray(values)
    if values.ndim not in (2, 3):
        raise DataError(
            f"{path} has shape {values.shape}; expected (presentation, neuroid) or (presentation, neuroid, time)"
        )
    if values.ndim == 3 and "time" not in arrays:
        raise DataError(f"{path} has a time axis {values.shape} but no array 'time' with its seconds")
    ids = find_ids(path, stimuli, arrays, {len(values)}, "presentations")
    neuroid = {name: np.ravel(arrays[name]) for name in LABELS if name in arrays and np.size(arrays[name]) > 1}
    neuroid |= {name: np.ravel(arrays[name])[0] for name in LABELS if name in arrays and np.size(arrays[name]) == 1}
    neuroid.setdefault("voxel" if "electrode" not in neuroid else "index", np.arange(values.shape[1]))
    time = np.ravel(arrays["time"]) if values.ndim == 3 else None
    repetition = np.ravel(arrays["repetition"]) if "repetition" in arrays else None
    return make_responses(values, ids, neuroid_coords=neuroid, time=time, repetition=repetition, attrs=provenance(path))


def _row_labels(path: Path, rows: int) -> list[str] | None:
    """The first column of a table when it holds text."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip(delimiter + " ")]
    first = [line.split(delimiter)[0].strip().strip('"') for line in lines[-rows:]]
    try:
        [float(cell) for cell in first]
    except ValueError:
        return first
    return None


def _candidates(path: Path) -> list[str]:
    held = variables(path)
    return [
        name
        for name, variable in held.items()
        if name not in (*ID_KEYS, *LABELS, "time", "repetition")
        and variable.dtype.startswith(NUMERIC)
        and len(variable.shape) in (2, 3)
        and min(variable.shape) > 0
        and variable.shape[0] > 1
    ]


READERS = (
    Reader(
        "array", "responses", "presentations × neuroids arrays (.npy, .npz, .mat, .h5, .csv) with stimuli=", sniff, read
    ),
)
