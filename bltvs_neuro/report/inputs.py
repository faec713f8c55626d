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
from ..rsa.result import RsaResult
from ..store import open_store
from ..store.seal import is_ours


@dataclass(frozen=True)
class Input:
    """An opened file."""

    kind: str
    name: str
    value: Any
    provenance: dict[str, Any] = field(default_factory=dict)


KINDS: dict[str, Callable[[Path], Any]] = {
    "store": open_store, "rsa": RsaResult.load, "encoding": EncodingResult.load, "partition": PartitionResult.load
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
    names = [Path(path).name for path in paths]
    found = []
    for path, name in zip(paths, names, strict=True):
        kind = kind_of(Path(path))
        value = KINDS[kind](Path(path))
        found.append(Input(kind, name if names.count(name) == 1 else str(path), value, value.provenance))
    return found


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
    with open_hdf5(path) as file:
        kind = file.attrs.get("kind", "")
    kind = kind.decode(errors="replace") if isinstance(kind, bytes) else str(kind)
    if kind not in KINDS:
        raise DataError(
            f"{path} is neither an activation store nor a result of `bltvs rsa` or `bltvs encode`; a report shows those"
        )
    return kind


def untrained(inputs: Sequence[Input]) -> list[str]:
    """Names of the files whose numbers come from a network with untrained weights."""
    return [one.name for one in inputs if '"weights": "untrained"' in json.dumps(one.provenance, default=str)]
