"""What kind of file each input is, and what the page says about where it came from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..encoding.result import EncodingResult, PartitionResult
from ..errors import DataError
from ..foreign.hdf5 import open_hdf5
from ..rsa.result import load_result
from ..store import open_store
from ..store.seal import is_ours


@dataclass(frozen=True)
class Input:
    """An opened file."""

    kind: str
    name: str
    value: Any
    provenance: dict[str, Any] = field(default_factory=dict)


def _store(path: Path) -> Input:
    store = open_store(path)
    return Input("store", path.name, store, store.provenance)


def _rsa(path: Path) -> Input:
    result = load_result(path)
    return Input("rsa", path.name, result, result.provenance)


def _encoding(path: Path) -> Input:
    result = EncodingResult.load(path)
    return Input("encoding", path.name, result, result.provenance)


def _partition(path: Path) -> Input:
    result = PartitionResult.load(path)
    return Input("partition", path.name, result, result.provenance)


READERS: dict[str, Callable[[Path], Input]] = {
    "store": _store, "rsa": _rsa, "encoding": _encoding, "partition": _partition
}  # fmt: skip
"""Kind of file -> how it is opened."""


def read_inputs(paths: Sequence[str | os.PathLike[str]]) -> list[Input]:
    """Open every file; the names are made unique.

    Raises
    ------
    DataError
        No file, or one that is neither a store nor a result.
    StoreError
        A store that is unfinished or damaged.
    """
    if not paths:
        raise DataError("a report needs at least one store or result")
    found = [READERS[kind_of(Path(path))](Path(path)) for path in paths]
    names = [one.name for one in found]
    return [
        one if names.count(one.name) == 1 else Input(one.kind, str(path), one.value, one.provenance)
        for one, path in zip(found, paths, strict=True)
    ]


def kind_of(path: Path) -> str:
    """Tell a store from the results, without reading more than attributes.

    Raises
    ------
    DataError
    """
    if not path.exists():
        return "store"  # opening it says what is wrong, an unfinished extraction included
    if is_ours(path):  # without HDF5, which a damaged store may keep busy for ever
        return "store"
    try:
        with open_hdf5(path) as file:
            kind = _text(file.attrs.get("kind", ""))
            if kind in READERS:
                return kind
            about = json.loads(_text(file.attrs.get("provenance", "{}")) or "{}")
    except (DataError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {str(error).removeprefix(f'{path} ')}") from None
    if isinstance(about, dict) and str(about.get("format", "")).startswith("bltvs_neuro.rsa.result/"):
        return "rsa"
    raise DataError(
        f"{path} is neither an activation store nor a result of `bltvs rsa` or `bltvs encode`; a report shows those"
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def untrained(inputs: Sequence[Input]) -> list[str]:
    """Names of the files whose numbers come from a network with untrained weights."""
    return [one.name for one in inputs if '"weights": "untrained"' in json.dumps(one.provenance, default=str)]
