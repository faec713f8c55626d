"""Responses as plain arrays or tables: presentations × neuroids [× time], with a stimulus list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import DataError, argument, listed
from ...foreign.npy import open_npy
from ...schema import PRESENTATION
from ...tables import read_cells
from ..labelled import make_responses
from ..reader import Reader
from ..reading.array_kind import NEUROID_ARRAYS, check_key, choose_array, sniff
from ..reading.columns import coordinate_of, of_neuroids
from ..reading.files import kind, load_arrays, provenance, variables
from ..reading.ids import ID_KEYS, Stimuli, as_text, find_ids, known_ids
from ..reading.labels import count_repetitions
from ..reading.tables import apart


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    key: str | None = None,
    id_column: str | None = None,
    columns: str | Sequence[str] | None = None,
) -> xr.DataArray:
    """Read responses from an array (presentation, neuroid) or (presentation, neuroid, time), or from a table.

    Parameters
    ----------
    path : Path
        .npy, .npz, .mat, .h5, .csv, .tsv or .txt (rows are presentations).
    stimuli : sequence of str or path, optional
        The stimulus of each presentation. Default: a key or column of the file (stimulus_id, stimuli, ...), else a list
        ``NAME.stimuli.txt`` (or .json, .csv, .tsv) beside the file.
    key : str, optional
        Which array. Default: the only numeric one of two or three dimensions.
    id_column : str, optional
        Column of a table with the stimulus ids. Default: by its name.
    columns : str or sequence of str, optional
        Columns of a table with the responses, ``"v1,v2"`` or a list. Default: all with numbers whose name is not that
        of a coordinate (:data:`.columns.WORDS`: run, session, subject, trial, onset, rt, ...).

    Returns
    -------
    xarray.DataArray
        Arrays of the file called subject, roi, voxel, electrode, ... label the neuroids; those called run, session, ...
        the presentations; ``time`` (seconds) the third axis, which is required then. Columns of a table keep their names
        as ``neuroid_id``; its other columns become coordinates of the presentations.
    """
    check_key(path, key)
    if kind(path) == "table":
        return _read_table(path, stimuli, id_column, columns)
    wrong = [name for name, value in (("id_column", id_column), ("columns", columns)) if value is not None]
    if wrong:
        raise DataError(f"{path} is no table with columns: leave {argument(wrong[0])} out")
    arrays: dict[str, Any] = {}
    if kind(path) == "npy":
        values = open_npy(path)
    else:
        held = variables(path)
        key, fits = choose_array(path, held, stimuli, key, "responses")
        if key is None:
            have = listed([f"{name} ({variable})" for name, variable in held.items()])
            raise DataError(f"{path} has {have}: choose the responses with {argument('key', (fits or ['NAME'])[0])}")
        labels = (*(ID_KEYS if stimuli is None else ()), *NEUROID_ARRAYS, "time")
        arrays = load_arrays(
            path, [key, *(n for n in held if n != key and (n in labels or (n not in ID_KEYS and coordinate_of(n))))]
        )
        values = arrays.pop(key)
    values = np.asarray(values)
    if values.ndim not in (2, 3):
        raise DataError(
            f"{path} has shape {values.shape}; expected (presentation, neuroid) or (presentation, neuroid, time)"
        )
    if values.ndim == 3 and "time" not in arrays:
        raise DataError(f"{path} has a time axis {values.shape} but no array 'time' with its seconds")
    ids = find_ids(path, stimuli, arrays, {len(values)}, "presentations")
    presentation = _of_presentations(arrays, *values.shape[:2])
    neuroid = {n: _flat(arrays[n]) for n in NEUROID_ARRAYS if n in arrays and n not in presentation}
    neuroid = {name: label[0] if len(label) == 1 else label for name, label in neuroid.items() if len(label)}
    neuroid.setdefault("voxel" if "electrode" not in neuroid else "index", np.arange(values.shape[1]))
    time = np.ravel(arrays["time"]) if values.ndim == 3 else None
    return _label(path, values, ids, neuroid, presentation, time)


def _read_table(
    path: Path, stimuli: Stimuli, id_column: str | None, columns: str | Sequence[str] | None
) -> xr.DataArray:
    table = apart(read_cells(path), id_column=id_column, columns=columns)
    long = [name for name in table.coordinates if of_neuroids(name)]
    if long:
        raise DataError(
            f"{path} has a column {long[0]!r}, which presentations do not have: tables of responses are read with one row "
            "per presentation and one column per neuroid (pandas.DataFrame.pivot makes such a table)"
        )
    numbered = table.counted and known_ids(path, stimuli, {})[0]  # a nameless index is no list of stimuli
    arrays = {} if table.ids is None or numbered else {"stimulus_id": table.ids}
    ids = find_ids(path, stimuli, arrays, {len(table.values)}, "presentations")
    neuroid: dict[str, Any] = {"voxel": np.arange(table.values.shape[1])}
    if table.names is not None:
        neuroid = {"neuroid_id": np.array(table.names, dtype=object)}
    presentation = dict(table.coordinates)
    if "subject" in presentation and len(set(presentation["subject"])) == 1:
        neuroid["subject"] = presentation.pop("subject")[0]
    return _label(path, table.values, ids, neuroid, presentation, None)


def _label(
    path: Path, values: Any, ids: list[str], neuroid: dict[str, Any], presentation: dict[str, Any], time: Any
) -> xr.DataArray:
    repetition = presentation.pop("repetition", None)
    if repetition is not None:
        repetition = _from_zero(path, repetition)
    elif "subject" in presentation:
        repetition = count_repetitions(zip(presentation["subject"], ids, strict=True))
    made = make_responses(values, ids, neuroid_coords=neuroid, time=time, repetition=repetition, attrs=provenance(path))
    return made.assign_coords({name: (PRESENTATION, value) for name, value in presentation.items()})


def _of_presentations(arrays: Mapping[str, Any], presentations: int, neuroids: int) -> dict[str, Any]:
    """Arrays with one value per presentation; where there are as many neuroids, a subject is one of these."""
    found = {}
    for name, array in arrays.items():
        label = coordinate_of(name)
        if label is None or name in ID_KEYS or of_neuroids(name) or np.size(array) != presentations:
            continue
        if name != "subject" or presentations != neuroids:
            found[label] = _flat(array)
    return found


def _flat(array: Any) -> np.ndarray:
    flat = np.ravel(array)
    return np.array(as_text(flat), dtype=object) if flat.dtype.kind in "OSU" else flat


def _from_zero(path: Path, repetition: Any) -> np.ndarray:
    """Repetitions as they count here, from 0; files may count from 1."""
    numbers = np.asarray(repetition)
    if numbers.dtype.kind == "f" and np.isfinite(numbers).all() and (numbers == np.round(numbers)).all():
        numbers = numbers.astype(np.int64)
    if numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise DataError(
            f"the repetitions of {path} should be whole numbers from 0 or 1; they begin {listed(numbers[:4])}"
        )
    return numbers - 1 if numbers.min() == 1 else numbers


READERS = (
    Reader(
        "response_array", "responses",
        "presentations × neuroids as arrays or tables (.npy, .npz, .mat, .h5, .csv, .txt), with a list of stimuli",
        partial(sniff, "responses"), read,
    ),
)  # fmt: skip
