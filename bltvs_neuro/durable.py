"""Writing a file so that it is there whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a hidden name beside ``path`` to write to; synced to the disk and renamed when the block ends without error.

    A file that is already there stays as it is until the new one is whole. A crash leaves at most a ``.part`` file.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_durably(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` as a :func:`whole_file`."""
    with whole_file(path) as part:
        part.write_bytes(content)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    if os.name != "posix":  # other systems do not open folders
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
