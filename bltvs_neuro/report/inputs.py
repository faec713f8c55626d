"""What kind of file each input is, and what the page says about where it came from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from ..encoding.result import EncodingResult, Generalisation, PartitionResult
from ..errors import DataError, listed
from ..figures import UNTRAINED, model_of
from ..foreign.hdf5 import open_hdf5
from ..neural.netcdf import from_netcdf
from ..probes import Decoding, Driven
from ..rsa.result import RsaResult
from ..rsa.time import TimeMatrix
from ..store import open_store
from ..store.seal import is_ours


@dataclass(frozen=True)
class Input:
    """An opened file."""

    kind: str
    name: str
    value: Any
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model that its numbers come from, with a word on untrained weights."""
        model, weights = model_of(self.provenance)
        return f"{model}, untrained weights" if model and weights in UNTRAINED else model


def _evaluation(path: Path) -> Any:
    """An evaluation; with torch, which no other result needs."""
    from ..training.evaluation.evaluate import Evaluation

    return Evaluation.load(path)


RESULTS = {
    kind.kind: kind
    for kind in (RsaResult, TimeMatrix, EncodingResult, PartitionResult, Generalisation, Decoding, Driven)
}
KINDS: dict[str, Callable[[Path], Any]] = {
    "store": open_store, "rdms": from_netcdf, "evaluation": _evaluation,
    **{kind: of.load for kind, of in RESULTS.items()},
}  # fmt: skip
"""Kind of file -> how it is opened."""


def read_inputs(paths: Sequence[str | os.PathLike[str]]) -> list[Input]:
    """Open every file, and every result in a folder; the names are made unique.

    Raises
    ------
    DataError
        No file, or one that is neither a store nor a result.
    StoreError
        A store that is unfinished or damaged.
    """
    if not paths:
        raise DataError("a report needs at least one store or result")
    found = [one for path in paths for one in _within(Path(path))]
    names = [path.name for path, _ in found]
    inputs = []
    for (path, kind), name in zip(found, names, strict=True):
        value = KINDS[kind](path)
        about = value.attrs if kind == "rdms" else value.provenance
        inputs.append(Input(kind, name if names.count(name) == 1 else str(path), value, dict(about)))
    return inputs


def _within(path: Path) -> list[tuple[Path, str]]:
    """A file with its kind; of a folder, its results."""
    if not path.is_dir():
        return [(path, kind_of(path))]
    files = sorted(p for p in path.iterdir() if p.suffix in (".nc", ".h5"))
    kinds = [(file, _kind(file)) for file in files]
    known = [(file, kind) for file, kind in kinds if kind is not None]
    if not known:
        raise DataError(f"{path} holds no store and no result; a report shows {listed(KINDS)}")
    return known


def kind_of(path: Path) -> str:
    """Tell a store from the results, without reading more than attributes.

    Raises
    ------
    DataError
    """
    if not path.exists():
        return "store"  # opening it says what is wrong, an unfinished extraction included
    kind = _kind(path)
    if kind is None:
        hint = "; `bltvs decode -o NAME.nc` writes one that a report shows" if path.suffix == ".csv" else ""
        raise DataError(
            f"{path} is neither an activation store nor a result of another command; a report shows those{hint}"
        )
    return kind


def _kind(path: Path) -> str | None:
    if is_ours(path):  # without HDF5, which a damaged store may keep busy for ever
        return "store"
    if not h5py.is_hdf5(path):
        return None
    with open_hdf5(path) as file:
        kind = file.attrs.get("kind", "")
        rdms = "dissimilarity" in file
    kind = kind.decode(errors="replace") if isinstance(kind, bytes) else str(kind)
    return kind if kind in KINDS else "rdms" if rdms else None


def untrained(inputs: Sequence[Input]) -> list[str]:
    """Names of the files whose numbers come from a network with untrained weights."""
    return [one.name for one in inputs if '"weights": "untrained"' in json.dumps(one.provenance, default=str)]
