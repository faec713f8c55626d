"""One writer per block of stimuli.

Byte ``2 + i`` of the lock file stands for block ``i``, byte 0 for setting up the folder, byte 1 for joining. POSIX
record locks are taken on these bytes: ranges that overlap are refused whatever their bounds, one descriptor serves
thousands of blocks, the system releases them when the process dies, and they are not inherited by forked data-loading
workers, which may outlive a killed parent by seconds and would keep a whole-file lock held. Their one trap, that they do not
exclude two writers within one process, is closed by the table below.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from pathlib import Path

from ...durable import make_folder

try:
    import fcntl
except ImportError:  # not POSIX: blocks are then only guarded within one process
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

SETUP, JOIN, FIRST_BLOCK = 0, 1, 2

_table: dict[str, _Shared] = {}
_guard = threading.Lock()


class _Shared:
    """The process's one descriptor of a lock file: closing any second one would drop all its locks."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        self.pid = os.getpid()
        self.claims: list[tuple[int, int]] = []


class Busy(Exception):
    """Somebody else holds the range."""


class Claim:
    """A range of bytes, held from :meth:`acquire` to :meth:`release` or the end of a ``with`` block."""

    def __init__(self, path: Path, start: int, stop: int) -> None:
        self.path, self.start, self.stop = path, start, stop
        self.key = os.path.realpath(path)
        self._shared: _Shared | None = None

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def acquire(self, *, wait: bool = False) -> Claim:
        """Take the range; Busy where another writer holds part of it and ``wait`` is False, or it is in this very process."""
        while True:
            with _guard:
                shared = _table.get(self.key)
                if shared is None or shared.pid != os.getpid():  # a forked child starts with an empty table
                    try:
                        shared = _table[self.key] = _Shared(self.path)
                    except FileNotFoundError:  # a writer that finishes removed the folder just now
                        make_folder(self.path.parent)
                        continue
                if any(start < self.stop and self.start < stop for start, stop in shared.claims):
                    raise Busy
                shared.claims.append((self.start, self.stop))
                self._shared = shared
            try:
                self._lock(shared.fd, wait)
                if self._current(shared.fd):
                    return self
            except BaseException:
                self.release()
                raise
            # A finishing writer removed the folder meanwhile: begin again with a new file.
            with _guard:
                if _table.get(self.key) is shared:
                    del _table[self.key]
            self.release()
            make_folder(self.path.parent)

    def _lock(self, fd: int, wait: bool) -> None:
        if fcntl is None:
            return
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), self.stop - self.start, self.start)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise Busy from None
            # Some cluster file systems have no locks. Parts are renamed into place whole, so two writers can only
            # waste work there, not harm each other.
            log.warning(
                "%s: this file system has no locks (%s); start no second writer on the same stimuli",
                self.path.parent,
                error.strerror,
            )

    def _current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the range back; the descriptor goes with the last range."""
        shared, self._shared = self._shared, None
        if shared is None or shared.pid != os.getpid():
            return
        with _guard:
            shared.claims.remove((self.start, self.stop))
            if not shared.claims:
                os.close(shared.fd)
                if _table.get(self.key) is shared:
                    del _table[self.key]
            elif fcntl is not None:
                with contextlib.suppress(OSError):
                    fcntl.lockf(shared.fd, fcntl.LOCK_UN, self.stop - self.start, self.start)


def holding(path: Path, byte: int) -> Claim:
    """Hold one byte for the length of a ``with`` block, waiting for it if need be."""
    return Claim(path, byte, byte + 1).acquire(wait=True)
