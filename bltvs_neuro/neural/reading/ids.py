"""Where the stimulus ids of a file come from: an argument, a list beside the file, or a key inside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ...errors import DataError, SpecError, argument, counted, listed
from ...foreign.text import read_json, read_lines
from ...paths import not_a_file
from ...tables import SEPARATORS, read_cells
from .columns import ID, choose_ids, is_id
from .labels import id_text
from .options import Kind, Misfit, as_path, fit, parse_json
from .tables import checked_ids, has_header, is_counting

ID_KEYS = (
    "stimulus_id", "stimulus_ids", "stimuli", "stimulus", "ids", "labels", "conditions", "stim_file", "trial_type",
)  # fmt: skip
"""Names under which files keep their stimulus ids, in the order they are looked for."""


def _list_or_path(value: Any) -> list[str] | Path:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parse_json(value)
    if isinstance(value, str | os.PathLike) and os.fspath(value):
        return as_path(value, there=False)
    if isinstance(value, str | bytes | Mapping | set) or not hasattr(value, "__len__") or not len(value):
        raise Misfit("")
    return [fit(str, item) for item in value]


def _list_path_or_names(value: Any) -> list[str] | Path | dict[str, str]:
    if (
        isinstance(value, str | os.PathLike)
        and str(value).lower().endswith(".json")
        and as_path(value, there=False).is_file()
    ):
        held = read_json(as_path(value))
        value = held if isinstance(held, Mapping) else value
    if isinstance(value, Mapping):
        return {fit(str, old): fit(str, new) for old, new in value.items()}
    return _list_or_path(value)


Stimuli = (
    Annotated[Sequence[str] | str | os.PathLike[str], Kind("a list of stimulus ids, or the path of one", _list_or_path)]
    | None
)

StimuliOrNames = (
    Annotated[
        Sequence[str] | Mapping[str, str] | str | os.PathLike[str],
        Kind("a list of stimulus ids, the path of one, or a dict {id in the file: new id}", _list_path_or_names),
    ]
    | None
)
"""A dict, or a JSON file that holds one, renames the stimuli of a file that has ids."""


def read_list(path: Path) -> list[str]:
    """Ids from a text file (one a line), a .json list, or a column of a .csv or .tsv file, by its name or the only one."""
    if why := not_a_file(path):
        raise DataError(f"the list of stimuli cannot be read: {why}")
    if path.suffix.lower() == ".json":
        data = read_json(path)
        if not isinstance(data, list) or not all(isinstance(i, str | int) and not isinstance(i, bool) for i in data):
            raise DataError(f"{path} should be a JSON list of stimulus ids")
        ids = [str(item) for item in data]
    elif path.suffix.lower() in SEPARATORS:
        return _column_of_ids(path)
    else:
        ids = read_lines(path)
    if not all(ids):
        raise DataError(f"entry {ids.index('') + 1} of {path} is empty; every stimulus has an id")
    return ids


def _column_of_ids(path: Path) -> list[str]:
    grid = read_cells(path)
    header = grid.cells.shape[1] > 1 or has_header(grid)
    if grid.cells.shape[1] == 1 and not (is_id(grid.cells[0, 0]) or grid.cells[0, 0].strip() == "0"):
        header = False  # a list of ids without a name above it
    if not header:
        return checked_ids(path, grid.cells[:, 0].tolist(), first_row=1)
    table = grid.frame(row_names=True)
    columns = {str(name): table[name].tolist() for name in table}
    name = choose_ids(columns, path, "call the others something else, or give the ids as a list")
    if name is None:
        rest = [key for key in columns if not (key == "" and is_counting(columns[key]))]
        if len(rest) != 1:
            raise DataError(
                f"{path} has no column of stimulus ids ({listed(ID)}); its columns: {listed(k or '(no name)' for k in columns)}"
            )
        name = rest[0]
    return checked_ids(path, columns[name], name)


def given_ids(stimuli: Stimuli, count: int | None = None, has: str = "") -> list[str] | None:
    """The ids a user gave, as a list or as the path of one; DataError where ``has``, "FILE has N trials", are others."""
    if stimuli is None:
        return None
    if isinstance(stimuli, Mapping):
        raise SpecError("a dict renames the stimuli of a file that has ids; this one has none: pass a list")
    ids = (
        read_list(Path(stimuli)) if isinstance(stimuli, str | os.PathLike) else [str(stimulus) for stimulus in stimuli]
    )
    if count not in (None, len(ids)):
        raise DataError(f"{counted(len(ids), 'stimulus ids', 'were')} given, but {has}")
    return ids


def known_ids(
    path: Path, stimuli: Stimuli | Mapping[str, str], arrays: Mapping[str, Any]
) -> tuple[str, list[list[str]]]:
    """Lists of ids that may belong to ``path``, and where they come from.

    What the user gave goes before keys of the file, of which there may be several, and these before a list beside it.
    """
    ids = None if isinstance(stimuli, Mapping) else given_ids(stimuli)
    if ids is not None:
        return "given", [ids]
    inside = [ids if isinstance(ids := arrays[key], list) else as_text(ids) for key in ID_KEYS if key in arrays]
    if inside:
        return "inside", inside
    sidecar = next((file for file in sidecars(path) if file.is_file()), None)
    return (sidecar.name, [read_list(sidecar)]) if sidecar is not None else ("", [])


LISTS = (".stimuli.txt", ".stimuli.json", ".stimuli.csv", ".stimuli.tsv")
"""Endings of lists of stimuli beside a file."""


def sidecars(path: Path) -> list[Path]:
    """Where a list of stimuli beside a file may lie."""
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return [path.with_name(f"{stem}{ending}") for ending in LISTS]


def find_ids(
    path: Path, stimuli: Stimuli, arrays: Mapping[str, Any], lengths: set[int], what: str = "stimuli"
) -> list[str]:
    """Ids for ``path``: the argument, else a key of the file, else a list ``NAME.stimuli.txt`` (.json, .csv, .tsv) beside it.

    ``lengths`` are the numbers of ids that would fit; a DataError says that there is no list of these, of ``what``.
    """
    wanted = " or ".join(map(str, sorted(lengths)))
    origin, lists = known_ids(path, stimuli, arrays)
    fits = [ids for ids in lists if len(ids) in lengths]
    if not fits and origin == "inside":  # arrays of such names may be something else
        origin, lists = known_ids(path, stimuli, {})
        fits = [ids for ids in lists if len(ids) in lengths]
    if fits:
        return fits[0]
    if origin == "given":
        raise DataError(f"{counted(len(lists[0]), 'stimulus ids', 'were')} given, but {path} has {wanted} {what}")
    if origin:
        raise DataError(
            f"{path.with_name(origin)} lists {counted(len(lists[0]), 'stimuli')}, but {path} has {wanted} {what}"
        )
    raise DataError(
        f"{path} does not say which stimuli its {wanted} {what} are. Pass {argument('stimuli', 'LIST')} (a list, or the "
        f"path of one), or put the list beside it as {sidecars(path)[0].name}"
    )


def as_text(values: Any) -> list[str]:
    """Flatten an array of text, of MATLAB cells or of numbers into a list of str; what stands for a missing value is empty."""
    out = []
    for item in np.asarray(values).ravel():
        while isinstance(item, np.ndarray) and item.size == 1:
            item = item.ravel()[0]
        if isinstance(item, np.ndarray):
            item = "".join(str(part) for part in item.ravel())
        out.append((id_text(item) or "").rstrip())
    return out
