"""The seal: every byte of a file of ours is known again, before HDF5 looks at it.

Behind the end of the HDF5 file, where every HDF5 reader ignores it, stand a table and a tail::

    HDF5 file | one row for each chunk of activations | tail

A row says where a chunk lies, how long it is, and its CRC-32 as it was computed in memory, before the disk. The rows stand in
the order of sites, stimuli, timesteps and units, so that they are an index as well. The tail holds the sha256 of all bytes
outside of chunks, and the sha256 of the table and of the tail itself: the seal proper, which a virtual store records of each
of its parts.

Table and bytes outside of chunks are checked before HDF5 parses anything, as HDF5 may loop for ever in damaged labels. That
reads few bytes. A chunk is checked whenever it is read, copied or verified. The seal guards against accidents, not malice;
``docs/architecture.md`` has the table of what protects what.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from isal import isal_zlib

from ..errors import StoreError
from ..paths import regular

MAGIC = b"bltvs-seal-2\0\0\0\0"
ROW = np.dtype([("offset", "<u8"), ("size", "<u4"), ("crc", "<u4")])
_FIELDS = struct.Struct("<QQ32s")  # bytes of the HDF5 file, rows of the table, sha256 of what is outside of chunks
_TAIL = struct.Struct(f"<{_FIELDS.size}s32s16s")  # these, the seal, the magic number
_OLDER = (b"bltvs-seal-1", 56)  # its magic number, and where it stood before the end
_HDF5 = b"\x89HDF\r\n\x1a\n"
_OURS = (b"bltvs_store_version", b"bltvs_part")
_HEAD = 8 << 20
_PIECE = 1 << 20


class Damaged(StoreError):
    """A file of ours is not what was written; ``reason`` is the sentence without the file's name."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type, tuple[Path, str]]:
        return type(self), (self.path, self.reason)


@dataclass(frozen=True)
class Seal:
    """The table and tail of a file, found to fit each other.

    ``size`` is that of the HDF5 file, without table and tail; ``outside`` the sha256 of the bytes that belong to no chunk;
    ``rows`` the table; ``digest`` the seal proper.
    """

    path: Path
    size: int
    outside: bytes
    rows: np.ndarray = field(repr=False)
    digest: str

    @property
    def nbytes(self) -> int:
        """Bytes of the whole file."""
        return self.size + self.rows.nbytes + _TAIL.size

    def check_labels(self) -> None:
        """Check all bytes that belong to no chunk; HDF5 may parse them then."""
        with opened(self.path) as fd:
            if _outside(fd, self.size, self.rows) != self.outside:
                raise Damaged(
                    self.path, "labels, attributes or the file's own index were changed after they were written"
                )

    def damaged_chunks(self) -> Iterator[int]:
        """Read all chunks; the numbers of those that are not what was written."""
        with opened(self.path) as fd:
            reader = ChunkReader(self, fd)
            for number in range(len(self.rows)):
                if reader.read(number) is None:
                    yield number

    def check_chunks(self) -> None:
        """Read all chunks."""
        bad = sum(1 for _ in self.damaged_chunks())
        if bad:
            raise Damaged(self.path, f"{bad} of its {len(self.rows)} chunks of activations are not what was written")

    @contextmanager
    def reading(self) -> Iterator[ChunkReader]:
        """Open the file for reading chunks."""
        with opened(self.path) as fd:
            yield ChunkReader(self, fd)


class ChunkReader:
    """Reads encoded chunks of one file past HDF5, each checked; not for two threads at once."""

    def __init__(self, seal: Seal, fd: int) -> None:
        self.path, self._fd = seal.path, fd
        self._rows = seal.rows
        self._buffer = bytearray()

    def chunk(self, number: int) -> memoryview:
        """The bytes of a chunk, valid until the next call; Damaged where they are not what was written."""
        data = self.read(number)
        if data is None:
            raise Damaged(self.path, "activations are not what was written; `bltvs verify` says of which stimuli")
        return data

    def read(self, number: int) -> memoryview | None:
        """The bytes of a chunk, valid until the next call; None where they are not what was written."""
        offset, size, crc = self._rows[number].item()
        if len(self._buffer) < size:
            self._buffer = bytearray(size)  # one for all: fresh memory for each costs more than reading
        data = memoryview(self._buffer)[:size]
        try:
            done = os.preadv(self._fd, [data], offset)
            while 0 < done < size:
                more = os.preadv(self._fd, [data[done:]], offset + done)
                done = done + more if more else -1
        except OSError:
            return None
        return data if done == size and isal_zlib.crc32(data) == crc else None


class Sealed:
    """A file of ``n_stimuli`` that is known by its seal, which is read again where this was sent to another process."""

    def __init__(self, path: Path, n_stimuli: int, digest: str) -> None:
        self.path, self.n_stimuli, self.digest = path, n_stimuli, digest

    @cached_property
    def seal(self) -> Seal:
        """Its table; StoreError where the file is another one by now."""
        seal = read_seal(self.path)
        if seal.digest != self.digest:
            raise Damaged(self.path, "its seal is another one: the file was exchanged or written anew")
        return seal

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path.absolute(), "n_stimuli": self.n_stimuli, "digest": self.digest}


def add_seal(fd: int, size: int, rows: np.ndarray) -> bytes:
    """Table and tail for a closed HDF5 file of ``size`` bytes; OSError where chunks overlap, or lie outside of the file."""
    fields = _FIELDS.pack(size, len(rows), _outside(fd, size, rows))
    table = rows.tobytes()
    return table + _TAIL.pack(fields, _digest(table, fields), MAGIC)


def read_seal(path: Path) -> Seal:
    """Read table and tail, and check that they fit each other and the length of the file; Damaged otherwise."""
    with opened(path) as fd:
        length = os.fstat(fd).st_size
        fields, seal, magic = _TAIL.unpack(_last(fd, length).rjust(_TAIL.size, b"\0"))
        if magic != MAGIC:
            older, before = _OLDER
            if length > before and os.pread(fd, len(older), length - before) == older:
                raise Damaged(
                    path, "an earlier bltvs_neuro wrote it, and its seal covers less; run its extraction again"
                )
            raise Damaged(
                path, "the seal at its end is missing: it was cut off, extended or changed after it was written"
            )
        size, count, outside = _FIELDS.unpack(fields)
        if length != size + count * ROW.itemsize + _TAIL.size:
            raise Damaged(path, "it was cut off, extended or changed after it was written")
        table = _pread(fd, count * ROW.itemsize, size)
    digest = _digest(table, fields)
    if digest != seal:
        raise Damaged(path, "its table of chunks was changed after it was written")
    return Seal(path, size, outside, np.frombuffer(table, ROW), digest.hex())


def is_ours(path: Path) -> bool:
    """Whether a file was made by a writer, however damaged it is; told without HDF5."""
    with opened(path) as fd:
        length = os.fstat(fd).st_size
        head = os.pread(fd, _HEAD, 0)
        return MAGIC[:-5] in _last(fd, length) or any(name in head for name in _OURS)


def tail(path: Path) -> bytes:
    """The last bytes of a file, where its seal is."""
    with opened(path) as fd:
        return _last(fd, os.fstat(fd).st_size)


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    with opened(path) as fd:
        return os.pread(fd, len(_HDF5), 0) == _HDF5


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor for reading; StoreError where it cannot be had, Damaged where the disk does not give its bytes."""
    try:
        fd = os.open(regular(path), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise StoreError(f"{path} is missing: put it back") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from None
    try:
        yield fd
    except OSError as error:
        raise Damaged(path, str(error)) from None
    finally:
        os.close(fd)


def _last(fd: int, length: int) -> bytes:
    return os.pread(fd, _TAIL.size, max(0, length - _TAIL.size))


def _digest(table: bytes, fields: bytes) -> bytes:
    return hashlib.sha256(fields + table).digest()


def _outside(fd: int, size: int, rows: np.ndarray) -> bytes:
    """Sha256 of the bytes that belong to no chunk."""
    order = np.argsort(rows["offset"], kind="stable")
    starts = np.append(rows["offset"][order], np.uint64(size))
    stops = np.append(np.uint64(0), rows["offset"][order] + rows["size"][order])
    if (stops > starts).any():
        raise OSError("chunks overlap, or lie behind the end of the file")
    digest = hashlib.sha256()
    gaps = starts > stops
    for start, stop in zip(stops[gaps].tolist(), starts[gaps].tolist(), strict=True):
        for at in range(start, stop, _PIECE):
            digest.update(_pread(fd, min(_PIECE, stop - at), at))
    return digest.digest()


def _pread(fd: int, size: int, offset: int) -> bytes:
    data = os.pread(fd, size, offset)
    while len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            raise OSError("it is cut off")
        data += more
    return data
