"""Read a finished file's frame, the labels and attributes, and refuse what is no store of ours."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import StoreError, listed
from ..paths import regular
from ..schema import STIMULUS_ID
from .join import refuse_too_many
from .layout import SKIPPED
from .part import checked_size, read_attribute, read_text
from .plain import sha256_json
from .spec import ACTIVATIONS, STIMULUS_SHA256, STORE_VERSION, StoreSpec
from .specfile import PARTS_SUFFIX

_CHUNK_CACHE = 16 << 20
_PART_NAME = re.compile(r"part-\d{7,}-\d{7,}\.h5\Z")


@dataclass(frozen=True)
class Frame:
    """Everything about a finished store but its activations."""

    spec: StoreSpec
    stimulus_ids: np.ndarray
    stimulus_sha256: np.ndarray
    columns: dict[str, np.ndarray]
    skipped: dict[str, str]
    provenance: dict[str, Any]
    folder: str
    parts: dict[str, int]


def read_frame(file: h5py.File, path: Path) -> Frame:
    """Read and check the frame of an open file.

    Raises
    ------
    StoreError
        Another kind of HDF5 file, a newer version, or labels that were changed.
    """
    try:
        ours = "bltvs_store_version" in file.attrs
    except (OSError, KeyError, RuntimeError) as error:
        raise StoreError(f"{path} is damaged: {error}") from None
    if not ours:
        raise StoreError(f"{path} is not an activation store: it is an HDF5 file of another kind")
    try:
        stored = int(file.attrs["bltvs_store_version"])
        if stored != STORE_VERSION:
            raise StoreError(f"{path} has store version {stored}; this bltvs_neuro reads {STORE_VERSION}: update it")
        return _read(file)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError, StoreError) as error:
        if isinstance(error, StoreError) and "store version" in str(error):
            raise
        raise StoreError(f"{path} is damaged: {error}") from None


def _read(file: h5py.File) -> Frame:
    ids, sha256s = read_text(file[STIMULUS_ID]), read_text(file[STIMULUS_SHA256])
    skipped: dict[str, str] = {}
    every = list(ids)
    if SKIPPED in file:
        names = read_text(file[SKIPPED])
        skipped = dict(zip(names, read_text(file["skipped_reason"]), strict=True))
        checked_size(file["skipped_position"])
        for at, name in sorted(zip(file["skipped_position"][()].tolist(), names, strict=True)):
            every.insert(at, name)
    provenance = json.loads(read_attribute(file, "provenance"))
    data = json.loads(read_attribute(file, "spec"))
    spec = StoreSpec.from_json({**data, "stimulus_ids": every, "metadata": {}})
    if spec.digest() != provenance["spec_sha256"]:
        raise StoreError("the spec or the stimulus ids were changed after they were written")
    if sha256_json([[i, s] for i, s in zip(ids, sha256s, strict=True)]) != provenance["stimuli_sha256"]:
        raise StoreError("the stimulus ids or their hashes were changed after they were written")
    columns: dict[str, np.ndarray] = {STIMULUS_ID: np.array(ids, dtype=object)}
    for item in file.values():
        if isinstance(item, h5py.Dataset) and "column" in item.attrs and item.shape == (len(ids),):
            columns[read_attribute(item, "column")] = _column(item)
    folder, parts = "", {}
    if "parts" in file.attrs:
        table = json.loads(read_attribute(file, "parts"))
        folder, parts = str(table["folder"]), {str(name): int(size) for name, size in table["files"]}
        if "/" in folder or not folder.endswith(PARTS_SUFFIX) or not all(_PART_NAME.match(name) for name in parts):
            raise StoreError("the parts have names that no writer gives")
    return Frame(
        spec=spec,
        stimulus_ids=np.array(ids, dtype=object).astype(str),
        stimulus_sha256=np.array(sha256s, dtype=object).astype(str),
        columns=columns,
        skipped=skipped,
        provenance=provenance,
        folder=folder,
        parts=parts,
    )


def _column(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.array(read_text(dataset), dtype=object)
    checked_size(dataset)
    values: np.ndarray = dataset[()]
    return values.astype(bool) if "dtype" in dataset.attrs else values


def activations_dataset(file: h5py.File, frame: Frame, site: str, path: Path) -> h5py.Dataset:
    """A site's dataset, after checking that it is what the spec says and that its chunks are in the file.

    Raises
    ------
    StoreError
    """
    layout = frame.spec.layouts[site]
    shape = (len(frame.stimulus_ids), len(layout.timesteps), *layout.shape)
    try:
        dataset = file[f"{site}/{ACTIVATIONS}"]
        stored = dataset.id.get_storage_size()
        if dataset.shape != shape or dataset.dtype != np.dtype("<f4") or dataset.external:
            raise StoreError(f"{path}: {site} has shape {dataset.shape} and type {dataset.dtype}, not {shape} float32")
        if dataset.is_virtual:
            known = {f"{frame.folder}/{name}" for name in frame.parts}
            if {source.file_name for source in dataset.virtual_sources()} - known:
                raise StoreError(f"{path}: {site} refers to files that are no parts of it")
            return dataset
    except (OSError, KeyError, RuntimeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path}: {site} is damaged: {error}") from None
    # Deflate shrinks 1032 times at most; less than that means chunks that were never written and would read as 0.
    least = int(np.prod(shape, dtype=object)) * 4
    if stored * (1 if frame.spec.keep_bits is None else 1040) < least:
        raise StoreError(f"{path}: {site} holds {stored} bytes of the {least} that its shape needs")
    return dataset


def check_parts(path: Path, frame: Frame) -> None:
    """A missing or changed part would read as NaN: refuse before anything is read.

    Raises
    ------
    StoreError
    """
    if not frame.parts:
        return
    folder = path.parent / frame.folder
    missing = [name for name in frame.parts if not (folder / name).is_file()]
    if missing:
        raise StoreError(
            f"{len(missing)} of {len(frame.parts)} parts of {path} are missing from {folder}: {listed(missing)}; "
            "put them back, or remove the file and run the extraction again"
        )
    for name, size in frame.parts.items():
        if os.path.getsize(folder / name) != size:
            raise StoreError(f"{folder / name} is not the part that {path} was made of (its size differs)")
    refuse_too_many(path, len(frame.parts))


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading, or say in one sentence why that cannot be done.

    Raises
    ------
    StoreError
    """
    try:
        return h5py.File(regular(path), "r", rdcc_nbytes=_CHUNK_CACHE)
    except OSError as error:
        reason = str(error)
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise StoreError(f"{reason}; it is not an activation store") from None
        if not os.access(path, os.R_OK):
            raise StoreError(f"{path} cannot be read: {error.strerror or reason}") from None
        if "signature not found" in reason:
            raise StoreError(f"{path} is not an activation store: it is not an HDF5 file") from None
        if "truncated" in reason:
            raise StoreError(f"{path} is cut off ({reason}); copy it again or run its extraction again") from None
        raise StoreError(f"{path} is damaged: {reason}") from None


def is_store(path: Path) -> bool:
    """Whether a file is a finished store of ours (however damaged inside)."""
    try:
        with h5py.File(regular(path), "r") as file:
            return "bltvs_store_version" in file.attrs
    except OSError:
        return False


def finished_frame(path: Path) -> Frame:
    """The labels of a finished file; StoreError where it is damaged or a part is missing."""
    with open_hdf5(path) as file:
        frame = read_frame(file, path)
    check_parts(path, frame)
    return frame
