"""Arrays that are read from the file when their values are asked for, and only where."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from xarray.backends.common import BackendArray
from xarray.core import indexing

from ..errors import StoreError
from .frame import Frame, check_parts, open_hdf5


class Handle:
    """An HDF5 file, opened once in each process that reads from it; it can be pickled and outlives a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._file: h5py.File | None = None
        self._pid = os.getpid()

    def file(self) -> h5py.File:
        """The open file.

        Raises
        ------
        StoreError
            The store was closed, or is no readable HDF5 file.
        """
        if self._closed:
            raise StoreError(f"{self.path} was closed; open it again, or .load() what you need before closing")
        if self._pid != os.getpid():
            self._reset()  # a forked child must not share HDF5's state with its parent
        with self._lock:
            if self._file is None:
                self._file = open_hdf5(self.path)
            return self._file

    def close(self) -> None:
        """Close the file; arrays that were not loaded can no longer be read."""
        self._closed = True
        if self._file is not None and self._pid == os.getpid():
            self._file.close()
        self._file = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path.absolute(), "_closed": self._closed}  # another process may be in another folder

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()


class LazyActivations(BackendArray):
    """One site's activations behind xarray's lazy indexing."""

    def __init__(
        self, handle: Handle, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], frame: Frame
    ) -> None:
        self.handle, self.name, self.shape, self.chunks, self.frame = handle, name, shape, chunks, frame
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        file = self.handle.file()
        check_parts(self.handle.path, self.frame)  # what went missing since the store was opened would read as NaN
        try:
            return read_outer(file[self.name], key, self.chunks)
        except (OSError, KeyError, RuntimeError) as error:
            raise StoreError(
                f"{self.handle.path}: {self.name} cannot be read ({error}); `bltvs verify` names what is damaged"
            ) from None


def read_outer(dataset: h5py.Dataset, key: tuple[Any, ...], chunks: tuple[int, ...]) -> np.ndarray:
    """``dataset[key]`` with slices, ints and integer arrays, each applied to its own axis.

    h5py takes one array at most, sorted, and reads it value by value. Here an array is cut where chunks end, each piece is
    read as one contiguous span, and what was asked for is picked from it; at most a chunk more than needed is read.
    """
    axes = [_pieces(k, size, chunk) for k, size, chunk in zip(key, dataset.shape, chunks, strict=True)]
    kept = tuple(0 if is_int else slice(None) for _, _, is_int in axes)
    if all(len(found) == 1 and found[0][1] is None and isinstance(found[0][2], slice) for found, _, _ in axes):
        whole: np.ndarray = dataset[tuple(found[0][0] for found, _, _ in axes)]
        return whole[kept]
    out = np.empty([length for _, length, _ in axes], dtype=dataset.dtype)
    if out.size:
        for pieces in itertools.product(*(found for found, _, _ in axes)):
            values = dataset[tuple(span for span, _, _ in pieces)]
            for axis, (_, pick, _) in enumerate(pieces):
                if pick is not None:
                    values = values[(slice(None),) * axis + (pick,)]
            places = [place for _, _, place in pieces]
            if all(isinstance(place, slice) for place in places):
                out[tuple(places)] = values
            else:
                out[np.ix_(*(np.arange(n)[place] for place, n in zip(places, out.shape, strict=True)))] = values
    return out[kept]


_Piece = tuple[slice, Any, Any]  # what to read, what to pick from it (None: all), where it goes


def _pieces(key: Any, size: int, chunk: int) -> tuple[list[_Piece], int, bool]:
    """The spans to read along one axis, the length of the result, and whether the axis is dropped."""
    if isinstance(key, int | np.integer):
        at = _positive(np.array([key]), size)[0]
        return [(slice(at, at + 1), None, slice(None))], 1, True
    if isinstance(key, slice):
        steps = range(*key.indices(size))
        if not steps:
            return [], 0, False
        low, high = min(steps[0], steps[-1]), max(steps[0], steps[-1])
        if abs(steps.step) <= chunk:
            pick = None if steps.step == 1 else slice(None, None, steps.step)
            return [(slice(low, high + 1), pick, slice(None))], len(steps), False
        key = np.array(steps)
    index = _positive(np.asarray(key), size)
    if len(index) and (np.diff(index) == 1).all():  # xarray writes whole axes as arrays when it transposes
        return [(slice(int(index[0]), int(index[-1]) + 1), None, slice(None))], len(index), False
    pieces: list[_Piece] = []
    order = np.argsort(index, kind="stable")
    chunk_of = index[order] // chunk
    for group in np.split(order, np.flatnonzero(np.diff(chunk_of)) + 1) if len(order) else []:
        wanted = index[group]
        low = int(wanted[0])
        pieces.append((slice(low, int(wanted[-1]) + 1), wanted - low, group))
    return pieces, len(index), False


def _positive(index: np.ndarray, size: int) -> np.ndarray:
    index = np.where(index < 0, index + size, index)
    if ((index < 0) | (index >= size)).any():
        raise IndexError(f"index outside an axis of size {size}")
    return index
