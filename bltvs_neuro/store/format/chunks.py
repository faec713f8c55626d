"""From values to the bytes of a chunk and back: what HDF5's own filters would do, done outside of HDF5.

HDF5 is one at a time in a process, copies every chunk twice and compresses with zlib. Here rounding, shuffling, deflating
(ISA-L, whose output every zlib reads) and checksums run without the interpreter's lock, and HDF5 only gets the finished bytes.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import h5py
import numpy as np
from isal import isal_zlib

from ..seal import ROW
from .checksum import fletcher32
from .encode import round_mantissa, round_scratch
from .grid import Grid

DEFLATE_LEVEL = 1


def default_encoders() -> int:
    """Threads that deflate: half of the cores this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // 2))


class Encoder:
    """Encodes chunks of ``n_values``, keeping ``keep_bits`` mantissa bits (None: all); not for two threads at once."""

    def __init__(self, n_values: int, keep_bits: int | None) -> None:
        self.keep_bits = keep_bits
        self._bytes = np.zeros(4 * n_values + 4, np.uint8)
        self._values = self._bytes[:-4].view("<f4")
        if keep_bits is not None:
            self._spare = np.empty(n_values, np.uint32)
            self._planes = np.empty((4, n_values), np.uint8)

    def __call__(self, values: np.ndarray, chunk: tuple[int, ...]) -> np.ndarray:
        """Encode ``values``, at most ``chunk`` large in each dimension, the rest being zeros; uint8, shape (n,).

        Without ``keep_bits`` the bytes are valid until the next call only.
        """
        block = self._values.reshape(chunk)
        if values.shape != chunk:
            block.fill(0)
        inside = block[tuple(slice(size) for size in values.shape)]
        inside[...] = values
        if self.keep_bits is None:
            _append_checksum(self._bytes)
            return self._bytes
        if not round_scratch(self._values, self.keep_bits, self._spare):
            inside[...] = round_mantissa(values, self.keep_bits)
        self._planes[...] = self._bytes[:-4].reshape(-1, 4).T  # HDF5's shuffle: all first bytes, all second bytes, ...
        deflated = isal_zlib.compress(self._planes, DEFLATE_LEVEL)
        encoded = np.empty(len(deflated) + 4, np.uint8)
        encoded[:-4] = np.frombuffer(deflated, np.uint8)
        _append_checksum(encoded)
        return encoded


def decoded(encoded: memoryview, chunk: tuple[int, ...], keep_bits: int | None) -> np.ndarray:
    """The inverse of :class:`Encoder`; without ``keep_bits`` a view of ``encoded``. The checksum is not looked at."""
    if keep_bits is None:
        return np.frombuffer(encoded[:-4], "<f4").reshape(chunk)
    planes = np.frombuffer(isal_zlib.decompress(encoded[:-4], bufsize=4 * math.prod(chunk)), np.uint8).reshape(4, -1)
    numbers = planes[3].astype(np.uint32)
    for plane in planes[2::-1]:
        numbers <<= np.uint32(8)
        numbers |= plane
    return numbers.view(np.float32).reshape(chunk)


class Target:
    """A dataset (stimulus, timestep, *units) that is being written, and the table of its chunks for the seal."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset, self.chunk = dataset, tuple(dataset.chunks)
        self._grid = Grid(0, dataset.shape, self.chunk)
        self._rows = np.zeros(self._grid.n_chunks, ROW)

    def write(self, offset: tuple[int, ...], encoded: np.ndarray | memoryview, crc: int) -> None:
        """Write the bytes of the chunk that begins at ``offset``; ``crc`` was computed from them."""
        self.dataset.id.write_direct_chunk(offset, encoded)
        self._rows["crc"][self._number(offset)] = crc

    def table(self) -> np.ndarray:
        """One row of :data:`~bltvs_neuro.store.seal.ROW` for each chunk, as HDF5 has placed them by now."""
        kept = self._rows[: self._grid._replace(shape=self.dataset.shape).n_chunks]

        def note(found: h5py.h5d.StoreInfo) -> None:
            row = kept[self._number(found.chunk_offset)]
            row["offset"], row["size"] = found.byte_offset, found.size

        self.dataset.id.chunk_iter(note)
        if not kept["size"].all():
            raise OSError(f"chunks of {self.dataset.name} were not written")
        return kept

    def _number(self, offset: Sequence[int]) -> int:
        return self._grid.number([at // size for at, size in zip(offset, self.chunk, strict=True)])


class ChunkWriter:
    """Writes whole rows of chunks into a dataset, one dataset after the other, deflating in threads where that pays.

    A context manager; values must not change before :meth:`drain` or its end. ``check``, called after each row of chunks,
    raises what the disk said.
    """

    def __init__(
        self, keep_bits: int | None, encoders: int | None = None, check: Callable[[], None] = lambda: None
    ) -> None:
        self.keep_bits, self.check = keep_bits, check
        count = 1 if keep_bits is None else encoders or default_encoders()
        self._pool = ThreadPoolExecutor(count, "bltvs-encoder") if count > 1 else None
        self._ahead: deque[tuple[Target, tuple[int, ...], Future[tuple[np.ndarray, int]]]] = deque()
        self._most_ahead = 2 * count
        self._idle: dict[int, list[Encoder]] = {}

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def put(self, target: Target, row: int, timestep: int, values: np.ndarray) -> None:
        """Write ``values`` (k, *unit shape), at most one chunk of rows, at ``row``, where a chunk begins."""
        rows, _, *sizes = target.chunk
        self._idle.setdefault(rows * math.prod(sizes), [])
        for starts, piece in pieces(values, tuple(sizes)):
            offset, chunk = (row, timestep, *starts), (rows, *sizes)
            if self._pool is None:
                target.write(offset, *self._encode(piece, chunk))
            else:
                while len(self._ahead) >= self._most_ahead:
                    self._write_first()
                self._ahead.append((target, offset, self._pool.submit(self._encode, piece, chunk)))
        self.check()

    def drain(self) -> None:
        """Write what is still being encoded."""
        while self._ahead:
            self._write_first()
        self.check()

    def _write_first(self) -> None:
        target, offset, encoded = self._ahead.popleft()
        target.write(offset, *encoded.result())

    def _encode(self, piece: np.ndarray, chunk: tuple[int, ...]) -> tuple[np.ndarray, int]:
        idle = self._idle[math.prod(chunk)]
        try:
            encoder = idle.pop()
        except IndexError:
            encoder = Encoder(math.prod(chunk), self.keep_bits)
        try:
            encoded = encoder(piece, chunk)
            return encoded, isal_zlib.crc32(encoded)
        finally:
            idle.append(encoder)


def pieces(values: np.ndarray, sizes: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Cut ``values`` (k, *shape) into chunks of ``sizes``: where each begins, and its values."""
    starts = [range(0, whole, size) for whole, size in zip(values.shape[1:], sizes, strict=True)]
    for at in itertools.product(*starts):
        yield at, values[(slice(None), *(slice(start, start + size) for start, size in zip(at, sizes, strict=True)))]


def _append_checksum(encoded: np.ndarray) -> None:
    encoded[-4:] = np.frombuffer(fletcher32(encoded[:-4]).to_bytes(4, "little"), np.uint8)
