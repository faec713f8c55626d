"""Tags of a .fif file, looked through before MNE allocates what a damaged one declares.

A file is a chain of tags: kind, type, size and place of the next (big-endian int32), then the data. A directory of the
tags may be among them.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import IO

from ..errors import DataError

HEADER = struct.Struct(">iiii")
DIRECTORY_POINTER, DIRECTORY = 101, 102
PIECE = 2**20


def check_fif(path: Path) -> None:
    """Refuse a file whose tags do not follow each other up to its end, or whose directory names a place without a tag."""
    zipped = path.name.endswith(".gz")
    try:
        stream: IO[bytes]
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:  # type: ignore[assignment]
            size = _unpacked_size(stream) if zipped else os.fstat(stream.fileno()).st_size
            fault = _fault(stream, size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} cannot be unpacked: it is damaged or cut off") from error
    if fault is not None:
        raise DataError(f"{path} is damaged or no .fif file: {fault}; copy it again")


def _unpacked_size(stream: IO[bytes]) -> int:
    size = 0
    while piece := stream.read(PIECE):
        size += len(piece)
    stream.seek(0)
    return size


def _fault(stream: IO[bytes], size: int) -> str | None:
    starts: set[int] = set()
    named: list[int] = []
    at = 0
    while 0 <= at < size:
        stream.seek(at)
        header = stream.read(HEADER.size)
        if len(header) < HEADER.size:
            return f"it ends within a tag at byte {at}"
        kind, _, length, following = HEADER.unpack(header)
        end = at + HEADER.size + length
        if length < 0 or end > size:
            return f"the tag at byte {at} has {length} bytes and the file ends at byte {size}"
        starts.add(at)
        if kind in (DIRECTORY_POINTER, DIRECTORY):
            words = struct.unpack(f">{length // 4}i", stream.read(length // 4 * 4))
            named += words[:1] if kind == DIRECTORY_POINTER else words[3::4]
        if following < 0:
            break
        if following and following <= at:
            return f"the tag at byte {at} is followed by an earlier one"
        at = following or end
    if not starts:
        return "it is empty"
    lost = next((place for place in named if place > 0 and place not in starts), None)
    return None if lost is None else f"no tag begins at byte {lost}, which its directory names"
