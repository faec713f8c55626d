"""Read a finished file's frame, the labels and attributes, and refuse what is no store of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...errors import StoreError, listed
from ...schema import STIMULUS_ID
from ..parts.part import read_attribute, read_text
from ..seal import Damaged, Sealed, is_hdf5, is_ours, read_seal
from ..spec import STIMULUS_SHA256, StoreSpec, refuse_version
from .layout import SKIPPED


@dataclass(frozen=True)
class Frame:
    """Everything about a finished store but its activations, and where these are.

    ``parts`` are those that a virtual store refers to, none where chunks were copied; ``sources`` hold the activations, in
    the order of the stimuli: the parts, or the file itself.
    """

    path: Path
    spec: StoreSpec
    stimulus_ids: np.ndarray
    stimulus_sha256: np.ndarray
    columns: dict[str, np.ndarray]
    skipped: dict[str, str]
    provenance: dict[str, Any]
    parts: tuple[Sealed, ...]
    sources: tuple[Sealed, ...]

    @property
    def n_chunked(self) -> int:
        """Number of stimuli that shapes the chunks: those of parts follow all that were asked for."""
        return len(self.spec.stimulus_ids if self.parts else self.stimulus_ids)

    def check_parts(self) -> None:
        """Check that all parts are there and are those that the store was made of."""
        missing = [part.path.name for part in self.parts if not part.path.is_file()]
        if missing:
            raise StoreError(
                f"{len(missing)} of {len(self.parts)} parts of {self.path} are missing from {self.parts[0].path.parent}: "
                f"{listed(missing)}; put them back, or remove the file and run the extraction again"
            )
        for part in self.parts:
            try:
                _ = part.seal
            except Damaged as error:
                raise Damaged(
                    part.path, f"it is not the part that {self.path} was made of; {error.reason}; put that one back, or "
                    "remove the file and run the extraction again",
                ) from None  # fmt: skip


def read_frame(path: Path) -> Frame:
    """Read the frame of a finished store, its seal and labels checked first."""
    if not is_ours(path):
        kind = "an HDF5 file of another kind" if is_hdf5(path) else "not an HDF5 file"
        raise StoreError(f"{path} is not an activation store: it is {kind}")
    seal = read_seal(path)
    seal.check_labels()
    with h5py.File(path, "r") as file:
        if "bltvs_store_version" not in file.attrs:
            raise StoreError(f"{path} is not an activation store: it is a part of one")
        refuse_version(int(file.attrs["bltvs_store_version"]), path)
        ids = read_text(file[STIMULUS_ID])
        skipped, every = _skipped(file, ids)
        columns: dict[str, np.ndarray] = {STIMULUS_ID: np.array(ids, dtype=object)}
        for item in file.values():
            if isinstance(item, h5py.Dataset) and "column" in item.attrs:
                columns[read_attribute(item, "column")] = _column(item)
        parts: tuple[Sealed, ...] = ()
        if "parts" in file.attrs:
            table = json.loads(read_attribute(file, "parts"))
            parts = tuple(Sealed(path.parent / table["folder"] / name, *rest) for name, *rest in table["files"])
        return Frame(
            path=path,
            spec=StoreSpec.from_json(
                {**json.loads(read_attribute(file, "spec")), "stimulus_ids": every, "metadata": {}}
            ),
            stimulus_ids=np.array(ids, dtype=object).astype(str),
            stimulus_sha256=np.array(read_text(file[STIMULUS_SHA256]), dtype=object).astype(str),
            columns=columns,
            skipped=skipped,
            provenance=json.loads(read_attribute(file, "provenance")),
            parts=parts,
            sources=parts or (Sealed(path, len(ids), seal.digest),),
        )


def _skipped(file: h5py.File, ids: list[str]) -> tuple[dict[str, str], list[str]]:
    """Stimuli that were skipped, with the reason; and the order of all that were asked for."""
    if SKIPPED not in file:
        return {}, ids
    names, every = read_text(file[SKIPPED]), list(ids)
    for at, name in sorted(zip(file["skipped_position"][()].tolist(), names, strict=True)):
        every.insert(at, name)
    return dict(zip(names, read_text(file["skipped_reason"]), strict=True)), every


def _column(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.array(read_text(dataset), dtype=object)
    values: np.ndarray = dataset[()]
    return values.astype(bool) if "dtype" in dataset.attrs else values


def finished_frame(path: Path) -> Frame:
    """The labels of a finished file; StoreError where it is damaged or a part is missing."""
    frame = read_frame(path)
    frame.check_parts()
    return frame
