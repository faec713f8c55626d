"""One change of a sample: of the bytes or text of a file, or of what lies in its folder."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from .damage import DAMAGE
from .text import ENCODINGS, FORM, MEANING, SUFFIXES

LEFTOVERS = (
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "._{name}",
    ".{name}.swp",
    "{name}~",
    "__MACOSX/._{name}",
    ".ipynb_checkpoints/",
)


class Change(NamedTuple):
    """What was done: to which file, and what it leaves.

    ``effect`` is "content" (the file holds something else), "form" (nothing that counts is different), "names" (a file has
    another name, or is there under two) or "absence" (there is no such file any more).
    """

    effect: Literal["content", "form", "names", "absence"]
    file: str
    what: str


def change(folder: Path, rng: np.random.Generator, *, words: bool = False) -> Change:
    """Change one file below a folder, or what lies around it; with ``words`` nothing but the words of its text."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    # Small files, which say what the large ones are, as often as those.
    path = files[int(rng.integers(len(files)))]
    name = path.relative_to(folder).as_posix()
    text = path.suffix.lower() in SUFFIXES
    if words:
        return _reworded(path, name, rng)
    which = rng.random()
    if which < 0.12:
        return _absent(path, name, rng)
    if which < 0.18:
        return _renamed(path, name, rng)
    if which < 0.24:
        return _leftover(path, name, rng)
    if text and which < 0.75:
        return _rewritten(path, name, rng)
    done = list(DAMAGE)[int(rng.integers(len(DAMAGE)))]
    before = path.read_bytes()
    after = DAMAGE[done](rng, before)
    path.write_bytes(after)
    return Change("content" if after != before else "form", name, done)


def _rewritten(path: Path, name: str, rng: np.random.Generator) -> Change:
    text = path.read_text("utf-8")
    if rng.random() < 0.1:
        encoding = ENCODINGS[int(rng.integers(len(ENCODINGS)))]
        path.write_bytes(text.encode(encoding))
        return Change("form", name, encoding)
    if rng.random() < 0.15:
        done = list(FORM)[int(rng.integers(len(FORM)))]
        path.write_bytes(FORM[done](rng, text).encode("utf-8"))
        return Change("form", name, done)
    return _reworded(path, name, rng)


def _reworded(path: Path, name: str, rng: np.random.Generator) -> Change:
    before = path.read_text("utf-8")
    done = list(MEANING)[int(rng.integers(len(MEANING)))]
    after = MEANING[done](rng, before)
    path.write_bytes(after.encode("utf-8"))
    return Change("form" if after == before else "content", name, done)


def _absent(path: Path, name: str, rng: np.random.Generator) -> Change:
    done = str(
        rng.choice(["removed", "empty", "folder", "pipe", "link to nothing", "link to itself", "unreadable text"])
    )
    path.unlink()
    if done == "empty":
        path.touch()
    elif done == "folder":
        path.mkdir()
    elif done == "pipe":
        os.mkfifo(path)
    elif done.startswith("link"):
        path.symlink_to("nothing" if "nothing" in done else path.name)
    elif done == "unreadable text":
        path.write_bytes(b"<html><body>404 Not Found</body></html>\n\xff")
    return Change("content" if done in ("empty", "unreadable text") else "absence", name, done)


def _renamed(path: Path, name: str, rng: np.random.Generator) -> Change:
    stem, dot, ends = path.name.partition(".")
    done = str(rng.choice(["upper case", ".bak", "(1)", "copy", "another ending", "another stem"]))
    new = {
        "upper case": f"{stem}{dot}{ends.upper()}", ".bak": f"{path.name}.bak", "(1)": f"{stem} (1){dot}{ends}",
        "copy": f"Copy of {path.name}", "another ending": f"{stem}{dot}dat", "another stem": f"x{stem}{dot}{ends}",
    }[done]  # fmt: skip
    twin = path.with_name(new)
    if done == "another ending" and path.suffix == ".gz":
        twin = path.with_name(path.name.removesuffix(".gz"))
        twin.write_bytes(gzip.decompress(path.read_bytes()))
    elif done in ("(1)", "copy", "another ending"):
        shutil.copy(path, twin)
    elif twin.name != path.name:
        path.rename(twin)
        return Change("names", name, f"renamed to {new}")
    return Change("names", name, f"copied to {twin.name}")


def _leftover(path: Path, name: str, rng: np.random.Generator) -> Change:
    new = LEFTOVERS[int(rng.integers(len(LEFTOVERS)))].format(name=path.name)
    target = path.parent / new
    target.parent.mkdir(parents=True, exist_ok=True)
    if new.endswith("/"):
        target.mkdir(exist_ok=True)
    else:
        target.write_bytes(rng.bytes(int(rng.integers(0, 4097))))
    return Change("form", name, f"{new} beside it")
