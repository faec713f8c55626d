"""Behavioural RDMs from meadows-research.com: .mat and .json exports, one or several participants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import DataError, argument, listed, unknown
from ...foreign.text import read_json
from ..align import rdm_stimulus_ids, select_stimuli
from ..labelled import make_rdms
from ..reader import Match, Reader
from ..reading.files import json_keys, kind, load_arrays, provenance, variables
from ..reading.ids import as_text


def sniff(path: Path) -> Match:
    """A .mat file with rdmutv, or a .json file with tasks or rdm."""
    what = kind(path)
    if what == "matlab5":
        return 2 if any(name.startswith("rdmutv") for name in variables(path)) else 0
    if what == "json":
        keys = json_keys(path)
        return 2 if "tasks" in keys or {"rdm", "stimuli"} <= set(keys) else 0
    return 0


def read(path: Path, *, task: str | None = None) -> xr.DataArray:
    """Read ``..._1D.mat`` (upper triangles) of one or several participants, or ``..._tree.json`` of one participant.

    ``subject`` is the participant's pseudonym, words joined by ``-``; trees also have ``task``, of which ``task`` keeps one.
    Ids are the stimulus names as Meadows stores them; participants are aligned by id.
    """
    return _read_mat(path, task) if kind(path) == "matlab5" else _read_json(path, task)


def _read_mat(path: Path, task: str | None) -> xr.DataArray:
    if task is not None:
        raise DataError(f"{path} holds one task and does not name it: leave {argument('task')} out")
    arrays = load_arrays(path)
    names = [name for name in arrays if name.startswith("rdmutv")]
    if not names:
        raise DataError(f"{path} is no Meadows export: it has {listed(arrays)}, no rdmutv")
    parts = []
    for name in names:
        participant = name.removeprefix("rdmutv").lstrip("_")
        ids_key = f"stimuli_{participant}" if participant else "stimuli"
        if ids_key not in arrays:
            raise DataError(f"{path} has {name} without {ids_key}")
        subject = participant.replace("_", "-") or _participant(path)
        parts.append(_one(arrays[name].ravel(), as_text(arrays[ids_key]), path, subject=subject))
    return _join(parts, path)


def _read_json(path: Path, task: str | None) -> xr.DataArray:
    data = read_json(path)
    if not isinstance(data, dict):
        raise DataError(f"{path} is no Meadows export: it holds a {type(data).__name__}")
    entries = data.get("tasks", [data])
    if not isinstance(entries, list):
        raise DataError(f"{path}: tasks should be a list; got a {type(entries).__name__}")
    tasks = [entry for entry in entries if isinstance(entry, dict) and entry.get("rdm")]
    names = [str(_name(entry.get("task"), number)) for number, entry in enumerate(tasks)]
    if not tasks:
        raise DataError(f"{path} has no task with an rdm; its keys: {listed(data)}")
    if task is not None and task not in names:
        raise unknown("task", task, names)
    parts = []
    for name, entry in zip(names, tasks, strict=True):
        if task in (None, name):
            stimuli = entry.get("stimuli")
            ids = [_name(stimulus, None) for stimulus in stimuli] if isinstance(stimuli, list) else []
            try:
                values = np.array(entry["rdm"], float)
            except (ValueError, TypeError, OverflowError) as error:
                raise DataError(f"{path}: the rdm of task {name} should be a list of numbers ({error})") from None
            parts.append(_one(values, ids, path, subject=_participant(path), task=name))
    return _join(parts, path)


def _name(entry: Any, default: Any) -> Any:
    """The name of a task or a stimulus, which stands alone or in an object; a list is none."""
    value = entry.get("name", default) if isinstance(entry, dict) else entry
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else default


def _one(values: Any, ids: list[str], path: Path, **coords: Any) -> xr.DataArray:
    try:
        return make_rdms(values, ids, metric="judged dissimilarity", **coords)
    except DataError as error:
        raise DataError(f"{path}, {coords}: {error}") from error


def _join(parts: list[xr.DataArray], path: Path) -> xr.DataArray:
    ids = [set(part.stimulus_a.values) | set(part.stimulus_b.values) for part in parts]
    if any(other != ids[0] for other in ids):
        raise DataError(
            f"the participants or tasks of {path} do not share their stimuli; choose one with {argument('task')}"
        )
    order = rdm_stimulus_ids(parts[0])
    joined = xr.concat([select_stimuli(part, order) for part in parts], dim="rdm")
    joined.attrs = {**parts[0].attrs, **provenance(path)}
    return joined


def _participant(path: Path) -> str:
    """The pseudonym in a name such as ``Meadows_myExp_v_v1_cuddly-bunny_3_1D.mat``."""
    words = [word for word in path.stem.split("_") if "-" in word]
    return words[-1] if words else path.stem


READERS = (Reader("meadows", "rdms", "Meadows export (.mat with rdmutv, .json tree)", sniff, read),)
