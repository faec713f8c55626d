"""Whether a store can be written to a path, told before the work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..durable import check_outputs, output_path, told
from ..errors import OutputError, StoreError
from .parts.folder import parts_folder
from .parts.sink import temporary_name
from .seal import is_ours


def check_store_path(path: str | os.PathLike[str], *, resume: bool = True) -> Path:
    """Try, before the work, whether a store can be written; returns its path, links followed."""
    path = Path(path)
    with told(path):
        if path.is_dir():
            raise StoreError(f"{path} is a folder; name a file, for example {path / 'acts.h5'}")
        path = output_path(path, overwrite=True)
        exists = path.exists()
    if exists and not is_ours(path):
        raise StoreError(f"{path} exists and is not an activation store; choose another path")
    if exists and resume:
        return path
    check_outputs(path, overwrite=True)
    folder = parts_folder(path)
    with told(folder):
        if os.path.lexists(folder) and not folder.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    try:
        check_outputs(temporary_name(path))
    except OutputError as error:
        if getattr(error.__cause__, "errno", None) != errno.ENAMETOOLONG:
            raise
        raise StoreError(
            f"{path} has a name too long for the files beside it; choose one shorter by 40 bytes"
        ) from None
    return path
