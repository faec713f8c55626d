"""Finished feature spaces on disk, so that a sweep that stops goes on where it was.

One immutable file per space, complete or absent: written under a temporary name, synced, renamed. A file belongs to a
sweep by the digest of everything that determines its numbers; files of another sweep are refused, never mixed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...durable import make_folder, told, whole_file, write_durably
from ...errors import StoreError

SWEEP = "sweep.json"
"""What is being fitted, beside the parts."""


def digest_of(spec: dict[str, Any]) -> str:
    """sha256 of plain values, whatever the order of the keys."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True, default=str).encode()).hexdigest()


class Parts:
    """The files of a sweep.

    Parameters
    ----------
    folder : path
        Made when absent.
    spec : dict
        Everything that determines the numbers.

    Raises
    ------
    StoreError
        The folder holds the parts of another sweep.
    """

    def __init__(self, folder: str | os.PathLike[str], spec: dict[str, Any]) -> None:
        self.folder, self.digest = Path(folder), digest_of(spec)
        make_folder(self.folder)
        note = self.folder / SWEEP
        if note.exists():
            try:
                before = json.loads(note.read_text())
            except ValueError as error:
                raise StoreError(
                    f"{note} is damaged ({error}): remove {self.folder}, or write to another folder"
                ) from None
            if digest_of(before) != self.digest:
                now = json.loads(json.dumps(spec, default=str))
                changed = sorted(k for k in {*now, *before} if now.get(k) != before.get(k))
                raise StoreError(
                    f"{self.folder} holds parts of another sweep (differs in {', '.join(changed)}): remove it, or write to "
                    "another folder"
                )
        else:
            write_durably(note, json.dumps(spec, sort_keys=True, default=str).encode(), overwrite=True)

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of a space, or None when it is not finished."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
            if str(arrays.pop("digest")) != self.digest:
                raise StoreError(f"{path} belongs to another sweep; remove it and run again")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"{path} is damaged ({error}); remove it and run again") from None
        return arrays

    def write(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep the arrays of a finished space."""
        members: dict[str, Any] = {**arrays, "digest": np.array(self.digest)}
        with whole_file(self._path(name), overwrite=True) as part, part.open("wb") as file:
            np.savez(file, **members)

    def _path(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.npz"


def remove_parts(folder: Path) -> None:
    """Remove the files of a sweep, and the folder if nothing else lies in it."""
    if not (folder / SWEEP).is_file():
        return
    with told(folder):
        for file in [*sorted(folder.glob("*.npz")), folder / SWEEP]:
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
