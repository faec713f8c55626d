"""HDF5 files of others: one way to open them, and to read a dataset of them.

A file is first walked through in a process of its own (:mod:`.hdf5_walk`), because damage can crash the HDF5 library.
Nothing outside of the file is read: links to other files, external storage and virtual datasets are refused by name.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import BltvsError, DataError
from ..paths import not_a_file
from . import hdf5_walk
from .bounds import check_unfolded, unfold_limit
from .matlab73 import matlab_class, read_cells, read_chars
from .text import utf8_names

SECONDS = 20
"""Time to walk through a small file; 1 s more for each 10 MB."""

_MATLAB = {"char": read_chars, "cell": read_cells}

TEXT_BLOCK = 64
"""Texts read at a time when a file could repeat one of its own size."""


class Variable(NamedTuple):
    """Shape and type of one array of a file, in the axis order in which it is loaded."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"


def datasets(path: Path) -> dict[str, Variable]:
    """The datasets of a file by name; DataError for no HDF5, a damaged file, or one that leads to other files."""
    place = Path(path)
    try:
        status = place.stat()
    except FileNotFoundError:
        raise DataError(f"cannot open {path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"cannot open {path}: {error.strerror}") from None
    if why := not_a_file(place):
        raise DataError(f"cannot open {path}: {why}")
    return dict(
        _walked(str(place.resolve()), str(path), status.st_ino, status.st_mtime_ns, status.st_size, unfold_limit())
    )


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """An open :class:`h5py.File` that leads to no other file. What h5py raises inside becomes a DataError."""
    datasets(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except BltvsError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:  # what h5py makes of damage
        raise DataError(f"{path} is damaged or truncated (HDF5): {' '.join(str(error).split())}") from error


def check_dataset(dataset: h5py.Dataset, *, unwritten: bool = False) -> None:
    """Refuse a dataset whose values are not in this file, or that declares far more than is stored.

    Values never written are accepted where they read as NaN, or with ``unwritten``.
    """
    what = f"{dataset.file.filename}: {dataset.name}"
    why = hdf5_walk.refusal(dataset)
    if why is not None:
        raise DataError(f"{what}: {why}")
    if not dataset.size:
        return
    # a header may claim any storage; it cannot be more than the file
    stored = min(dataset.id.get_storage_size(), os.path.getsize(dataset.file.filename))
    check_unfolded(what, dataset.nbytes, stored, shape=dataset.shape)
    if dataset.chunks is not None:
        check_unfolded(f"{what}, in chunks", math.prod(dataset.chunks) * dataset.dtype.itemsize, stored)
    gone, all_of = unwritten_chunks(dataset)
    fill = dataset.fillvalue
    if gone and not unwritten and not (isinstance(fill, float | np.floating) and np.isnan(fill)):
        raise DataError(
            f"{what}: {gone} of its {all_of} chunks were never written and would read as {fill!r}; the file "
            f"is unfinished"
        )


def unwritten_chunks(dataset: h5py.Dataset) -> tuple[int, int]:
    """How many chunks were never written, and how many there are; a dataset without chunks counts as one."""
    if dataset.chunks is None:
        return int(dataset.size > 0 and dataset.id.get_storage_size() == 0), 1
    chunks = math.prod(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))
    return chunks - dataset.id.get_num_chunks(), chunks


def unwritten_rows(dataset: h5py.Dataset) -> NDArray[np.int64]:
    """Rows (first axis) any part of which was never written."""
    gone, _ = unwritten_chunks(dataset)
    if not gone:
        return np.empty(0, dtype=np.int64)
    if dataset.chunks is None:
        return np.arange(dataset.shape[0])
    steps = [range(0, length, step) for length, step in zip(dataset.shape, dataset.chunks, strict=True)]
    height, rows = dataset.chunks[0], []
    for start in steps[0]:
        for corner in itertools.product([start], *steps[1:]):
            if dataset.id.get_chunk_info_by_coord(corner).byte_offset is None:
                rows.append(np.arange(start, min(start + height, dataset.shape[0])))
                break
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)


def read_dataset(dataset: h5py.Dataset) -> NDArray[Any]:
    """Read a dataset; text becomes an object array of str."""
    check_dataset(dataset)
    what = f"{dataset.file.filename}: {dataset.name}"
    if (reader := _MATLAB.get(matlab_class(dataset))) is not None:
        return reader(dataset)
    if dataset.dtype.kind == "O" and h5py.check_string_dtype(dataset.dtype) is None:
        raise DataError(f"{what} holds references or lists (a MATLAB cell array, for example), not numbers or text")
    if dataset.dtype.kind not in "OS":
        return np.asarray(dataset[...])
    return _read_text(dataset, what)


def _read_text(dataset: h5py.Dataset, what: str) -> NDArray[np.object_]:
    """Text of a file. Every entry may point to the same long text, so that the sum is watched."""
    size = os.path.getsize(dataset.file.filename)
    length = dataset.shape[0] if dataset.shape else 1
    fits = dataset.dtype.kind == "S" or dataset.size * size <= unfold_limit()
    step = max(1, length if fits else TEXT_BLOCK * length // max(1, dataset.size))
    raw: list[bytes] = []
    total = 0
    for start in range(0, length, step):
        part = dataset[start : start + step] if dataset.shape else dataset[()]
        block = [item if isinstance(item, bytes) else str(item).encode() for item in np.ravel(part)]
        total += sum(map(len, block))
        check_unfolded(what, total, size)
        raw += block
    out = np.empty(len(raw), dtype=object)
    out[:] = utf8_names(raw, what)
    return out.reshape(dataset.shape)


@lru_cache(maxsize=64)
def _walked(real: str, path: str, *key: int) -> dict[str, Variable]:
    """Walk in another process; ``key`` changes when the file does."""
    seconds = SECONDS + key[2] // 10**7
    command = [sys.executable, "-P", hdf5_walk.__file__, real, str(seconds), str(key[3])]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=4 * seconds, env=environment, check=False)
        answer = json.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        answer = None
    if answer is None:
        raise DataError(f"{path} is damaged: the HDF5 library cannot read it through (it crashes, or takes too long)")
    if "damaged" in answer:
        raise DataError(f"{path} cannot be opened as HDF5, it is damaged or truncated: {answer['damaged']}")
    if "refused" in answer:
        raise DataError(f"{path} {answer['refused']}")
    return {name: Variable(tuple(shape), dtype) for name, (shape, dtype) in answer["datasets"].items()}
