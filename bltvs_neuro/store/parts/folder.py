"""The folder of parts beside a store that is being written: what is written there, and what of it may be removed.

``spec.json`` says what is being written, and which earlier store it will replace: that one stays until the new one is whole.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import re
from pathlib import Path

from ...errors import StoreError, argument
from ...paths import regular
from ..format.frame import Frame, finished_frame, read_frame
from ..format.json_text import sha256_json
from ..seal import is_ours, tail
from ..spec import Block, StoreSpec
from .part import part_path
from .sink import replacing

PARTS_SUFFIX = ".parts"
SPEC_FILE = "spec.json"
LOCK_FILE = "lock"
_PART = re.compile(r"part-\d{7,}-\d{7,}\.h5")
_MAX_BYTES = 512 << 20


def parts_folder(path: Path) -> Path:
    """The folder of parts that belongs to a store."""
    return path.parent / (path.name + PARTS_SUFFIX)


def write_spec(folder: Path, spec: StoreSpec, replaces: str | None = None) -> None:
    """Write ``spec.json``, whole or not at all; ``replaces`` is the :func:`mark` of an earlier store."""
    data = spec.to_json()
    text = json.dumps({"sha256": sha256_json(data), "spec": data, "replaces": replaces}, indent=1)
    with replacing(folder / SPEC_FILE) as sink:
        sink.write(memoryview(text.encode()))


def read_spec(folder: Path) -> StoreSpec:
    """Read ``spec.json``; StoreError where it is damaged, too large or newer. Nothing is allocated by what it claims."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[StoreSpec, str | None]:
    path = folder / SPEC_FILE
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StoreError(f"it is larger than {_MAX_BYTES >> 20} MiB")
        data = json.loads(regular(path).read_text(encoding="utf-8"))
        if data["sha256"] != sha256_json(data["spec"]):
            raise StoreError("it was changed after it was written")
        return StoreSpec.from_json(data["spec"]), data.get("replaces")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, StoreError) as error:
        anew = argument("resume", False, otherwise="`bltvs extract --overwrite`")
        raise StoreError(f"{path} is damaged ({error}); restore it, or start anew with {anew}") from None


def unfinished(path: Path) -> StoreSpec | None:
    """What is being written to ``path``; None where a file is there, StoreError where neither is."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a store; name the .h5 file that an extraction wrote")
    if path.exists():
        return None
    folder = parts_folder(path)
    if not (folder / SPEC_FILE).exists():
        raise StoreError(f"there is no store {path}")
    return read_spec(folder)


def mark(path: Path) -> str | None:
    """What tells the file at ``path`` from any other one, damaged or not; None where there is none."""
    return hashlib.sha256(tail(path)).hexdigest() if path.exists() else None


def finished(path: Path) -> Frame | None:
    """The frame of the finished store at ``path``; None where none is there, or one that parts are to replace."""
    if not path.exists():
        return None
    folder = parts_folder(path)
    if is_ours(path) and (folder / SPEC_FILE).exists():
        with contextlib.suppress(StoreError):
            if _read(folder)[1] == mark(path):
                return None
    return finished_frame(path)


def discard(path: Path) -> None:
    """Remove what was begun; of a finished store nothing, unless the parts are its own: it is virtual."""
    with contextlib.suppress(StoreError):
        if path.exists() and read_frame(path).parts:
            path.unlink()
    for file in parts_folder(path).iterdir():
        if made_by_writer(file) and file.name != LOCK_FILE:
            file.unlink()


def remove_parts(folder: Path) -> None:
    """Remove all that writers made, and the folder if nothing else is in it."""
    # The spec goes after the parts: without it, a killed removal would look like parts of an unknown extraction.
    for file in sorted(folder.iterdir(), key=lambda file: (file.name == LOCK_FILE, file.name == SPEC_FILE)):
        if made_by_writer(file):
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something that is not ours lies there
        folder.rmdir()


def sweep(file: Path) -> None:
    """Remove what killed writers left of a file; a lock says that nobody is writing it."""
    for leftover in file.parent.glob(f".{glob.escape(file.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)


def finished_blocks(folder: Path, spec: StoreSpec) -> list[Block]:
    """The blocks that have their part."""
    return [block for block in spec.blocks() if part_path(folder, block).exists()]


def made_by_writer(file: Path) -> bool:
    """Whether a file in the parts folder was made by a writer."""
    name = file.name
    if name.startswith(".") and name.endswith(".tmp"):
        name = name[1:]
    return file.is_file() and (name == LOCK_FILE or name.startswith(SPEC_FILE) or bool(_PART.match(name)))
