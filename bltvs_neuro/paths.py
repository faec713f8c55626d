"""What lies at a path: only regular files are opened, because a pipe that nobody writes to is waited for without end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "is a folder and no file"),
    (stat.S_ISFIFO, "is a named pipe and no file"),
    (stat.S_ISSOCK, "is a socket and no file"),
    (stat.S_ISCHR, "is a device and no file"),
    (stat.S_ISBLK, "is a device and no file"),
)


def not_a_file(path: str | os.PathLike[str]) -> str | None:
    """Say why ``path`` is no regular file, links followed, without opening it; None where it is one.

    Examples
    --------
    >>> not_a_file("nothing.png")
    'there is no file nothing.png'
    """
    shown = printable(os.fspath(path))
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return f"{shown} is a link that leads nowhere" if Path(path).is_symlink() else f"there is no file {shown}"
    except (OSError, ValueError) as error:  # no permission, a link to itself, a name with a null byte
        return f"{shown} cannot be reached ({getattr(error, 'strerror', None) or error})"
    return next((f"{shown} {kind}" for test, kind in _KINDS if test(mode)), None)


def regular(path: Path) -> Path:
    """Return ``path``, or raise OSError where opening it would wait for somebody else: a pipe, socket or device.

    What is missing or a folder is left to whoever opens it.
    """
    if path.exists() and not path.is_dir() and (why := not_a_file(path)):
        raise OSError(why)
    return path


def nearest_folder(path: Path) -> Path:
    """The path itself where it is a folder, or the nearest folder above it."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def printable(name: str) -> str:
    """A file's name for a message: escaped where it holds line breaks or is no valid Unicode."""
    return name if name.isprintable() else ascii(name)[1:-1]
