"""Crash-safe HDF5 files: written under a temporary name, synced, then renamed.

HDF5 cannot survive a failed write: when the disk fills up, closing the file fails as well, the handle stays half open
and the interpreter crashes at exit. So HDF5 never meets the disk here. It writes to a :class:`Sink`, a Python file
object (h5py's ``fileobj`` driver, measured as fast as HDF5's own), which notes the first error, swallows it, and goes on
answering as if all were well until the file is closed. Then the error is raised and the temporary file removed.
The same holds for Ctrl-C inside a write, and a forked child that exits cannot flush anything into the parent's file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from ...durable import sync_folder
from ..format.chunks import Target
from ..seal import ROW, add_seal

_SMALL = 1 << 20


class Sink:
    """A writable binary file whose errors are kept until somebody asks for them."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o644)
        self.error: BaseException | None = None
        self.size = 0
        self._position = 0
        self._pid = os.getpid()
        self._lost: dict[int, bytes] = {}

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next read or write."""
        self._position = offset + (0, self._position, self.size)[whence]
        return self._position

    def tell(self) -> int:
        """The current position."""
        return self._position

    def write(self, data: memoryview) -> int:
        """Write all of ``data``, or note why not."""
        view = memoryview(data).cast("B")
        offset, done = self._position, 0
        if self._pid == os.getpid():
            try:
                while self.error is None and done < len(view):
                    done += os.pwrite(self.fd, view[done:], offset + done)
            except BaseException as error:
                self.error = error
            if done < len(view) and len(view) <= _SMALL:
                # HDF5 may read its own metadata back before it closes; it must find what it wrote.
                self._lost[offset] = bytes(view)
        self._position = offset + len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``; beyond the end of the file there are zeros."""
        view = memoryview(buffer).cast("B")
        offset, done = self._position, 0
        try:
            while done < len(view):
                got = os.preadv(self.fd, [view[done:]], offset + done)
                if not got:
                    break
                done += got
        except BaseException as error:
            self.error = self.error or error
        view[done:] = bytes(len(view) - done)
        for start, data in self._lost.items():
            first, last = max(start, offset), min(start + len(data), offset + len(view))
            if first < last:
                view[first - offset : last - offset] = data[first - start : last - start]
        self._position = offset + len(view)
        return len(view)

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes (h5py only asks whether this exists)."""
        buffer = bytearray(self.size - self._position if size < 0 else size)
        self.readinto(memoryview(buffer))
        return bytes(buffer)

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file."""
        size = self._position if size is None else size
        if self.error is None and self._pid == os.getpid():
            try:
                os.ftruncate(self.fd, size)
            except BaseException as error:
                self.error = error
        self.size = size
        return size

    def flush(self) -> None:
        """Nothing is buffered here."""

    def check(self) -> None:
        """Raise the first error that was met."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def temporary_name(path: Path) -> Path:
    """A hidden name beside ``path`` that no other writer uses."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Sink]:
    """A sink that becomes ``path`` when the block ends without an error, and leaves no trace otherwise."""
    temporary = temporary_name(path)
    sink = Sink(temporary)
    try:
        yield sink
        sink.check()
        os.fsync(sink.fd)
        sink.close()
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            sink.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@dataclass(frozen=True)
class NewFile:
    """An HDF5 file that is being written; call ``sink.check()`` after each larger write, so that a full disk stops the work.

    ``targets`` are its datasets of activations, in the order of the sites: their chunks are sealed.
    """

    file: h5py.File
    sink: Sink
    targets: list[Target] = field(default_factory=list)


@contextlib.contextmanager
def new_hdf5(path: Path) -> Iterator[NewFile]:
    """A new HDF5 file that appears under ``path`` complete, sealed and synced, or not at all."""
    with replacing(path) as sink:
        # v110 has checksums on all metadata and is read by every HDF5 since 1.10 (2016).
        file = h5py.File(sink, "w", libver=("v110", "v110"), track_order=True, meta_block_size=1 << 16)
        new = NewFile(file, sink)
        try:
            yield new
            tables = [target.table() for target in new.targets]
        except BaseException:
            with contextlib.suppress(Exception):
                file.close()
            sink.check()  # the cause, where HDF5 stumbled over a failed write
            raise
        file.close()
        sink.check()
        seal = add_seal(sink.fd, sink.size, np.concatenate([np.empty(0, ROW), *tables]))
        sink.seek(sink.size)
        sink.write(memoryview(seal))
