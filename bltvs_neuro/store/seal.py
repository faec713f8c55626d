"""A seal over every byte that HDF5's own checksums leave out.

Chunks carry fletcher32 and most metadata a checksum, but text and references in HDF5's heaps, padding and gaps carry
none. The seal is the sha256 of all bytes that do not belong to a chunk of activations; it stands behind the end of the
HDF5 file, where every reader ignores it. Together every byte is covered, and sealing reads only the few bytes that
are not activations.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator

import h5py

MAGIC = b"bltvs-seal-1\0\0\0\0"
_TAIL = struct.Struct("<16sQ32s")
_PIECE = 1 << 20


def seal(fd: int) -> None:
    """Append the seal to a closed HDF5 file."""
    size = os.fstat(fd).st_size
    tail = _TAIL.pack(MAGIC, size, _digest(fd, size))
    if os.pwrite(fd, tail, size) != len(tail):
        # A short write has no errno of its own; writing the rest brings it out.
        os.ftruncate(fd, size)
        os.posix_fallocate(fd, size, len(tail))
        os.pwrite(fd, tail, size)


def broken_seal(path: str) -> str | None:
    """What is wrong with the seal of a file, or None."""
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size - _TAIL.size
        if size < 0:
            return "the file is too short"
        magic, sealed_size, digest = _TAIL.unpack(os.pread(fd, _TAIL.size, size))
        if magic != MAGIC or sealed_size != size:
            return "the seal at the end is missing: the file was cut, extended or changed after it was written"
        if digest != _digest(fd, size):
            return "the seal does not fit: labels, attributes or the file's own index were changed"
        return None
    finally:
        os.close(fd)


def _digest(fd: int, size: int) -> bytes:
    digest = hashlib.sha256()
    at = 0
    for start, length in (*_chunks(fd), (size, 0)):
        if start < at:
            raise OSError("chunks overlap")
        while at < start:
            piece = os.pread(fd, min(_PIECE, start - at), at)
            if not piece:
                raise OSError("a chunk lies behind the end of the file")
            digest.update(piece)
            at += len(piece)
        at = start + length
    return digest.digest()


def _chunks(fd: int) -> Iterator[tuple[int, int]]:
    """Offset and length of every chunk of activations, in the order of the file."""
    found: list[tuple[int, int]] = []

    def visit(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.name.endswith("/activations") and item.chunks:
            item.id.chunk_iter(lambda chunk: found.append((chunk.byte_offset, chunk.size)))

    with os.fdopen(os.dup(fd), "rb") as raw, h5py.File(raw, "r") as file:
        file.visititems(visit)
    return iter(sorted(found))
