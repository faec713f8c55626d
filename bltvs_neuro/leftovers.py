"""What operating systems, editors and version control leave in a folder is no data: every reader of folders skips it.

Two names are enough: :func:`is_leftover` says it of a path below a folder, :func:`data_files` lists the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

NAMES = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle", "$recycle.bin",
     "system volume information", "lost+found", "__pycache__")
)  # fmt: skip
"""Files and folders, in lower case, that Windows, macOS and network drives make."""

PATTERNS = (".*", "~$*", "~*.tmp", "*~", "#*#", "*.part", "*.partial", "*.crdownload")
"""Hidden files and folders (``._x``, ``.DS_Store``, ``.git``, ``.Trashes``), office locks, backups, broken downloads."""


def is_leftover(path: str | os.PathLike[str]) -> bool:
    """Whether any part of a relative path is a leftover.

    Examples
    --------
    >>> is_leftover("sub-01/._sub-01_betas.nii"), is_leftover("__MACOSX/a.png"), is_leftover("sub-01/a.png")
    (True, True, False)
    """
    return any(
        part.lower() in NAMES or any(fnmatchcase(part, pattern) for pattern in PATTERNS)
        for part in PurePath(path).parts
        if part not in (".", "..")
    )


def data_files(folder: Path, pattern: str = "*", *, recursive: bool = False) -> list[Path]:
    """The files of a folder that are data, sorted by name.

    Parameters
    ----------
    folder : Path
        A folder that does not exist has no files.
    pattern : str
        Shell pattern of the file's name.
    recursive : bool
        Also those of subfolders. Links to folders are not followed: they can run in circles.

    Returns
    -------
    list of Path
        Links to files are among them; a link that leads nowhere (a file that git-annex has not fetched) is none.
    """
    return sorted(path for path in _walk(folder, recursive) if fnmatchcase(path.name, pattern) and path.is_file())


def lost_links(folder: Path, pattern: str = "*", *, recursive: bool = False) -> list[Path]:
    """Links of a folder that would be data if they led somewhere, for messages."""
    found = (path for path in _walk(folder, recursive) if fnmatchcase(path.name, pattern))
    return sorted(path for path in found if path.is_symlink() and not path.exists())


def data_folders(folder: Path, pattern: str = "*") -> list[Path]:
    """The subfolders of a folder that are data, sorted by name."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if fnmatchcase(path.name, pattern) and path.is_dir())
    return sorted(path for path in found if not is_leftover(path.name))


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not is_leftover(name)]
        yield from (Path(here, name) for name in files if not is_leftover(name))
