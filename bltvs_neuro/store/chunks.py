"""From values to the bytes of a chunk: what HDF5's own filters would write, made outside of HDF5.

HDF5 is one at a time in a process, copies every chunk twice and compresses with zlib. Here rounding, shuffling, deflating
(ISA-L, whose output every zlib reads) and checksums run without the interpreter's lock, and HDF5 only gets the finished bytes.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import h5py
import numpy as np
from isal import isal_zlib

from .checksum import fletcher32
from .encode import round_mantissa, round_scratch

DEFLATE_LEVEL = 1


def default_encoders() -> int:
    """Threads that deflate: half of the cores this process may use, at most eight."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // 2))


class Encoder:
    """Encodes chunks of one size; not for two threads at once.

    Parameters
    ----------
    n_values : int
        Of a chunk.
    keep_bits : int or None
        Mantissa bits to keep; None stores the values as they are.
    """

    def __init__(self, n_values: int, keep_bits: int | None) -> None:
        self.keep_bits = keep_bits
        self._bytes = np.zeros(4 * n_values + 4, np.uint8)
        self._values = self._bytes[:-4].view("<f4")
        if keep_bits is not None:
            self._spare = np.empty(n_values, np.uint32)
            self._planes = np.empty((4, n_values), np.uint8)

    def __call__(self, values: np.ndarray, chunk: tuple[int, ...]) -> np.ndarray:
        """Encode ``values``, at most ``chunk`` large in each dimension, the rest being zeros.

        Returns
        -------
        array of uint8, shape (n,)
            Without ``keep_bits`` valid until the next call only.
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


class ChunkWriter:
    """Writes whole rows of chunks into a dataset, one dataset after the other, deflating in threads where that pays.

    Use it as a context manager. Values must not change before :meth:`drain` or the end of the context.
    """

    def __init__(self, keep_bits: int | None, encoders: int | None = None) -> None:
        self.keep_bits = keep_bits
        count = 1 if keep_bits is None else encoders or default_encoders()
        self._pool = ThreadPoolExecutor(count, "bltvs-encoder") if count > 1 else None
        self._ahead: deque[tuple[h5py.Dataset, tuple[int, ...], Future[np.ndarray]]] = deque()
        self._most_ahead = 2 * count
        self._idle: dict[int, list[Encoder]] = {}

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def put(self, dataset: h5py.Dataset, row: int, timestep: int, values: np.ndarray) -> None:
        """Write ``values`` (k, *unit shape), at most one chunk of rows, at ``row``, where a chunk begins."""
        rows, _, *sizes = dataset.chunks
        self._idle.setdefault(rows * math.prod(sizes), [])
        for starts, piece in pieces(values, tuple(sizes)):
            offset, chunk = (row, timestep, *starts), (rows, *sizes)
            if self._pool is None:
                dataset.id.write_direct_chunk(offset, self._encode(piece, chunk))
            else:
                while len(self._ahead) >= self._most_ahead:
                    self._write_first()
                self._ahead.append((dataset, offset, self._pool.submit(self._encode, piece, chunk)))

    def drain(self) -> None:
        """Write what is still being encoded."""
        while self._ahead:
            self._write_first()

    def _write_first(self) -> None:
        dataset, offset, encoded = self._ahead.popleft()
        dataset.id.write_direct_chunk(offset, encoded.result())

    def _encode(self, piece: np.ndarray, chunk: tuple[int, ...]) -> np.ndarray:
        idle = self._idle[math.prod(chunk)]
        try:
            encoder = idle.pop()
        except IndexError:
            encoder = Encoder(math.prod(chunk), self.keep_bits)
        try:
            return encoder(piece, chunk)
        finally:
            idle.append(encoder)


def pieces(values: np.ndarray, sizes: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Cut ``values`` (k, *shape) into chunks of ``sizes``: where each begins, and its values."""
    starts = [range(0, whole, size) for whole, size in zip(values.shape[1:], sizes, strict=True)]
    for at in itertools.product(*starts):
        yield at, values[(slice(None), *(slice(start, start + size) for start, size in zip(at, sizes, strict=True)))]


def _append_checksum(encoded: np.ndarray) -> None:
    encoded[-4:] = np.frombuffer(fletcher32(encoded[:-4]).to_bytes(4, "little"), np.uint8)
