"""Where the stimulus ids of a file come from: an argument, a list beside the file, or a key inside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ..errors import DataError, SpecError, listed
from .files import load_json
from .options import Kind, Misfit, as_path, fit, read_json

ID_KEYS = (
    "stimulus_id",
    "stimulus_ids",
    "stimuli",
    "stimulus",
    "ids",
    "labels",
    "conditions",
    "stim_file",
    "trial_type",
)
"""Names under which files keep their stimulus ids, in the order they are looked for."""


def _list_or_path(value: Any) -> list[str] | Path:
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = read_json(value)
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
        held = load_json(as_path(value))
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
    """Ids from a text file (one a line), a .json list, or the id column of a .csv or .tsv file with a header."""
    if not path.is_file():
        raise DataError(f"the stimulus list {path} does not exist")
    try:
        return _ids_of(path)
    except (OSError, ValueError) as error:  # undecodable text and pandas' parser errors are ValueErrors
        raise DataError(f"the stimulus list {path} cannot be read: {' '.join(str(error).split())}") from error


def _ids_of(path: Path) -> list[str]:
    if path.suffix.lower() == ".json":
        data = load_json(path)
        if not isinstance(data, list) or not all(isinstance(item, str | int) for item in data):
            raise DataError(f"{path} should be a JSON list of stimulus ids")
        return [str(item) for item in data]
    if path.suffix.lower() in (".csv", ".tsv"):
        import pandas as pd

        table = pd.read_csv(path, sep="\t" if path.suffix.lower() == ".tsv" else ",", dtype=str, keep_default_na=False)
        column = next((key for key in ID_KEYS if key in table.columns), None)
        if column is None:
            raise DataError(
                f"{path} has no column of stimulus ids ({listed(ID_KEYS)}); its columns: {listed(table.columns)}"
            )
        return table[column].tolist()
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def given_ids(stimuli: Stimuli) -> list[str] | None:
    """The ids a user gave, as a list or as the path of one."""
    if stimuli is None:
        return None
    if isinstance(stimuli, str | os.PathLike):
        return read_list(Path(stimuli))
    if isinstance(stimuli, Mapping):
        raise SpecError("a dict renames the stimuli of a file that has ids; this one has none: pass a list")
    return [str(stimulus) for stimulus in stimuli]


def find_ids(
    path: Path, stimuli: Stimuli, arrays: Mapping[str, Any], lengths: set[int], what: str = "stimuli"
) -> list[str]:
    """Ids for ``path``: the argument, else a key of the file, else a list beside the file.

    Parameters
    ----------
    path : Path
        The data file; beside it ``NAME.stimuli.txt``, ``.json``, ``.csv`` or ``.tsv`` is looked for.
    stimuli : sequence of str, path or None
        What the user gave.
    arrays : mapping
        Arrays of the file by name.
    lengths : set of int
        The numbers of ids that would fit.
    what : str
        What is counted, for the error message.

    Raises
    ------
    DataError
        There is no list, or none of a length that fits.
    """
    wanted = " or ".join(map(str, sorted(lengths)))
    ids = given_ids(stimuli)
    if ids is not None:
        if len(ids) not in lengths:
            raise DataError(f"{len(ids)} stimulus ids were given, but {path} has {wanted} {what}")
        return ids
    for key in ID_KEYS:
        if key in arrays:
            ids = as_text(arrays[key])
            if len(ids) in lengths:
                return ids
    sidecars = [path.with_name(f"{_stem(path)}.stimuli{suffix}") for suffix in (".txt", ".json", ".csv", ".tsv")]
    for sidecar in sidecars:
        if sidecar.is_file():
            ids = read_list(sidecar)
            if len(ids) not in lengths:
                raise DataError(f"{sidecar} lists {len(ids)} stimuli, but {path} has {wanted} {what}")
            return ids
    raise DataError(
        f"{path} does not say which stimuli its {wanted} {what} are. Pass stimuli= (a list, or the path of one), or "
        f"put the list beside it as {sidecars[0].name}"
    )


def as_text(values: Any) -> list[str]:
    """Flatten an array of text, of MATLAB cells or of numbers into a list of str, without trailing blanks."""
    out = []
    for item in np.asarray(values).ravel():
        while isinstance(item, np.ndarray) and item.size == 1:
            item = item.ravel()[0]
        if isinstance(item, np.ndarray):
            item = "".join(str(part) for part in item.ravel())
        if isinstance(item, bytes):
            item = item.decode()
        if isinstance(item, float | np.floating) and float(item).is_integer():
            item = int(item)
        out.append(str(item).rstrip())
    return out


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]
