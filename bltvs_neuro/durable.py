"""Outputs: whole or not at all, nothing of another run replaced unless asked, and one sentence where it cannot be.

A file is first written in a scratch folder beside its place, synced to the disk and then moved there. The scratch folder has
a random name, is closed to other users, and its owner holds a lock in it: what a killed process leaves is removed by the next
one that writes into the same folder, what a living one has is left alone.

The store's HDF5 files are written in ``store/sink.py``, which survives a full disk in the middle of HDF5.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import OutputError, argument

try:
    import fcntl
except ImportError:  # not POSIX: what a killed process leaves stays
    fcntl = None  # type: ignore[assignment]

PREFIX = ".bltvs-"
"""How the names of scratch folders begin."""
_LOCK = ".bltvs-lock"
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
_REMEDIES = {
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room within your quota, or choose another place",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "something that is no folder stands where a folder should be",
    errno.EEXIST: "something that is no folder stands where a folder should be",
    errno.ELOOP: "the links there lead to each other; remove them, or choose another place",
    errno.EMFILE: "raise the number of files that a process may open (ulimit -n)",
    errno.ENFILE: "close other programs: this machine has no more files to open",
    errno.EIO: "check the disk",
}
_swept: set[tuple[int, str]] = set()


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Give a path to write to; what is there when the block ends without an error becomes ``path``, replacing it or not at all.

    Folders above it are made, and a link is followed. OutputError where ``path`` exists (unless ``overwrite``), is
    something else than a file, or cannot be written.
    """
    with told(path):
        target = output_path(Path(path), overwrite=overwrite)
        make_folder(target.parent)
        with scratch_folder(target.parent) as scratch:
            part = scratch / target.name
            yield part
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            _move(part, target, overwrite=overwrite)
        sync_folder(target.parent)


def write_durably(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = False) -> None:
    """Write ``content`` as a :func:`whole_file`."""
    with whole_file(path, overwrite=overwrite) as part:
        part.write_bytes(content)


def move_into(made: Path, path: Path) -> None:
    """Let a file of a scratch folder become ``path``, a :func:`whole_file` that replaces what is there."""
    with whole_file(path, overwrite=True) as part:
        os.replace(made, part)


def check_outputs(*paths: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Try, before the work, whether :func:`whole_file` can write files; nothing is left behind."""
    taken: list[Path] = []
    for path in map(Path, paths):
        with told(path):
            _refuse_odd(path)
            if not overwrite and path.exists():
                taken.append(path)
    if taken:
        raise _exists(taken)
    tried: dict[Path, set[str]] = {}
    for path in map(Path, paths):
        with told(path):
            target = output_path(path, overwrite=overwrite)
            names, folder = {target.name}, target.parent
            while not os.path.lexists(folder):
                names.add(folder.name)
                folder = folder.parent
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            new = names - tried.setdefault(folder, set())
            if new:
                with scratch_folder(folder) as scratch:
                    for name in new:
                        (scratch / name).touch()
            tried[folder] |= new


def earlier(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Files in ``folder`` that match one of the patterns, each a path below it: outputs of an earlier run."""
    if not folder.is_dir():
        return []
    return sorted({file for pattern in patterns for file in folder.glob(pattern)})


def remove_stale(before: Iterable[Path], written: Iterable[Path]) -> None:
    """Remove outputs of an earlier run that a later one, which was to overwrite them, did not write again."""
    for path in set(before) - set(written):
        with told(path):
            path.unlink(missing_ok=True)


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """Make a folder and those above it, on the disk for good; one that exists is left as it is."""
    folder = Path(folder)
    with told(folder):
        missing = []
        above = folder
        while not above.is_dir():
            missing.append(above)
            above = above.parent
        for one in reversed(missing):
            try:
                one.mkdir()
            except FileExistsError:
                if not one.is_dir():  # another process may have been faster
                    raise
            sync_folder(one.parent)
    return folder


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A folder in ``parent`` that only this user may enter, removed at the end, at the latest by a later process."""
    _sweep(parent)
    folder, lock = _locked_folder(parent)
    owner = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == owner:  # not a child that this process forked meanwhile
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sync_folder(folder: Path) -> None:
    """Make what was made or renamed in ``folder`` durable, where the system can."""
    if os.name != "posix":  # other systems do not open folders
        return
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one may write into a folder without being allowed to list it
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # a file system without
            raise
    finally:
        os.close(fd)


@contextlib.contextmanager
def told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the system's errors into one sentence on what cannot be written, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error


def reason(error: OSError) -> str:
    """Why the system refused, and what to do."""
    if error.errno is None:
        return (str(error) or type(error).__name__).splitlines()[0]
    remedy = _REMEDIES.get(error.errno, "choose a place where you may write")
    return f"{os.strerror(error.errno)}; {remedy}"


def output_path(path: Path, *, overwrite: bool) -> Path:
    """Where a file goes: links followed; refused unless it is free, or a file that may be replaced."""
    _refuse_odd(path)
    if not path.exists():
        return path
    if not overwrite:
        raise _exists([path])
    return Path(os.path.realpath(path))


def _refuse_odd(path: Path) -> None:
    """Refuse what can be no output, whatever may be overwritten."""
    if path.name in ("", "-", ".."):
        raise OutputError(f"{str(path)!r} is not the name of a file; name one, for example {path.parent / 'output'}")
    above = os.path.realpath(path.parent)
    if above == "/dev" or above.startswith(("/proc/", "/sys/")):
        raise OutputError(f"{path} is not a file: outputs are written beside their place and moved there; name a file")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise OutputError(
                f"{path} is a link to {os.readlink(path)}, which does not exist; remove the link, or name that file"
            ) from None
        return
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path} is a folder; name a file, for example {path / 'output'}")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{path} is not a file; choose another name")


def _exists(paths: list[Path]) -> OutputError:
    more = f" (and {len(paths) - 1} more of the files to be written)" if len(paths) > 1 else ""
    return OutputError(
        f"{paths[0]} exists{more}: choose another name, or replace it with {argument('overwrite', True)}"
    )


def _move(part: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(part, target)
        return
    try:
        os.link(part, target)  # unlike a rename it never replaces what somebody else has written meanwhile
    except FileExistsError:
        raise _exists([target]) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise _exists([target]) from None
        os.rename(part, target)  # a file system without hard links: a moment is left in which another could write


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = parent / f"{PREFIX}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            fd = os.open(folder / _LOCK, flags, 0o600)
        except FileNotFoundError:  # another process took the empty folder for a leftover
            continue
        except BaseException:
            folder.rmdir()
            raise
        if _taken(fd) is not False and (folder / _LOCK).exists():
            return folder, fd
        os.close(fd)


def _sweep(parent: Path) -> None:
    """Remove scratch folders of dead processes; once in a process and folder, as it reads the whole folder."""
    key = (os.getpid(), os.path.abspath(parent))
    if fcntl is None or key in _swept:
        return
    _swept.add(key)
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(parent)):
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                        _remove_if_dead(Path(entry.path))


def _remove_if_dead(folder: Path) -> None:
    try:
        fd = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        folder.rmdir()  # only if it is empty: its owner died before it had a lock, or takes a new folder now
        return
    try:
        if _taken(fd):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(fd)


def _taken(fd: int) -> bool | None:
    """Whether the lock could be had: not if somebody else holds it, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True
