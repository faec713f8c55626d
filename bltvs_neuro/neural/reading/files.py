"""What a file is, what it holds, and how to load it; :mod:`bltvs_neuro.foreign` does so without trusting its claims."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...datasets import sha256_file
from ...errors import DataError, listed
from ...foreign.hdf5 import Variable, datasets, open_hdf5, read_dataset
from ...foreign.matlab5 import load_matlab5, matlab5_headers
from ...foreign.npy import load_npz, npy_header, npz_headers, open_npy
from ...foreign.text import read_json
from ...paths import regular

Kind = Literal[
    "folder", "hdf5", "matlab73", "matlab5", "npy", "npz", "nifti", "json", "table", "pickle", "fif", "unknown"
]


DEFLATE_RATIO = 1100
"""Deflate cannot shrink more than 1032 times: a volume that claims more than this of its file is refused."""


def kind(path: Path) -> Kind:
    """The container format, from the first bytes; text formats from the suffix."""
    if path.is_dir():
        return "folder"
    try:
        regular(path)
    except OSError as error:
        raise DataError(str(error)) from None
    with path.open("rb") as stream:
        head = stream.read(520)
    suffixes = "".join(path.suffixes[-2:]).lower()
    if head[512:].startswith(b"\x89HDF\r\n") and not head.startswith(b"MATLAB"):
        return "hdf5"
    found = next((what for start, what in _STARTS.items() if head.startswith(start)), None)
    found = found or next((what for ending, what in _ENDINGS.items() if suffixes.endswith(ending)), None)
    return found or ("pickle" if head[:1] == b"\x80" else "unknown")


_STARTS: dict[bytes, Kind] = {
    b"MATLAB 7.3": "matlab73", b"MATLAB 5.0": "matlab5", b"\x89HDF\r\n\x1a\n": "hdf5", b"\x93NUMPY": "npy",
}  # fmt: skip
_ENDINGS: dict[str, Kind] = {
    ".npz": "npz", ".nii": "nifti", ".nii.gz": "nifti", ".fif": "fif", ".fif.gz": "fif", ".json": "json", ".csv": "table",
    ".tsv": "table", ".txt": "table", ".pkl": "pickle", ".pickle": "pickle",
}  # fmt: skip


@contextmanager
def _readable(path: Path, what: Kind) -> Iterator[None]:
    """What the libraries make of a damaged file, which is almost anything, becomes a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} is damaged or truncated ({what}): {error}") from error


def variables(path: Path) -> dict[str, Variable]:
    """The arrays a container holds, by name, read from its headers; empty for other files."""
    what = kind(path)
    with _readable(path, what):
        if what == "hdf5":
            return datasets(path)
        if what == "matlab73":  # axes in reverse; what cells refer to is kept under #
            held = {name: one for name, one in datasets(path).items() if not name.startswith("#")}
            return {name: Variable(one.shape[::-1], one.dtype) for name, one in held.items()}
        if what == "matlab5":
            return {name: Variable(shape, dtype) for name, (shape, dtype) in matlab5_headers(path).items()}
        if what == "npy":
            with path.open("rb") as stream:
                shape, _, dtype = npy_header(stream, path)
            return {"": Variable(shape, str(dtype))}
        if what == "npz":
            return {name: Variable(shape, str(dtype)) for name, (shape, dtype) in npz_headers(path).items()}
    return {}


def describe(path: Path) -> str:
    """One line on what a file or folder holds, for error messages."""
    if not path.exists():
        return "nothing there"
    what = kind(path)
    if what == "folder":
        return (
            f"a folder with {listed(sorted(p.name + ('/' if p.is_dir() else '') for p in path.iterdir())) or 'nothing'}"
        )
    size = path.stat().st_size
    try:
        held = variables(path)
    except DataError as error:
        return str(error)
    if held:
        return f"{what} with {listed([f'{name} ({var})' if name else str(var) for name, var in held.items()])}"
    if what == "json":
        return f"JSON with {listed(json_keys(path))}"
    if what == "table":
        with path.open(encoding="utf-8", errors="replace") as stream:
            return f"a text table of {size} bytes that begins {stream.readline(120).strip()!r}"
    with path.open("rb") as stream:
        return f"{'an' if what[0] in 'aeiou' else 'a'} {what} file of {size} bytes that begins {stream.read(16)!r}"


def json_keys(path: Path) -> list[str]:
    """Top-level keys of a JSON object; its type when it is none."""
    data = read_json(path)
    return list(data) if isinstance(data, dict) else [type(data).__name__]


def load_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Load arrays of a .npy (named ``""``), .npz, .mat (v5 and v7.3, in MATLAB's axis order) or HDF5 file."""
    held = variables(path)
    wanted = list(held) if names is None else [name for name in names if name in held]
    what = kind(path)
    with _readable(path, what):
        if what == "npy":
            return {"": open_npy(path)[...]}
        if what == "npz":
            return load_npz(path, wanted)
        if what == "matlab5":
            return load_matlab5(path, wanted)
        if what in ("hdf5", "matlab73"):
            with open_hdf5(path) as file:
                loaded = {name: read_dataset(file[name]) for name in wanted}
            return loaded if what == "hdf5" else {name: np.ascontiguousarray(value.T) for name, value in loaded.items()}
    raise DataError(f"{path} holds no arrays: {describe(path)}")


def sha256_files(paths: Iterable[Path], root: Path | None = None) -> str:
    """The sha256 of one file, or of the names and sha256 of several."""
    files = list(paths)
    if len(files) == 1:
        return sha256_file(files[0])
    total = hashlib.sha256()
    for file in sorted(files):
        name = file.relative_to(root).as_posix() if root is not None else file.name
        total.update(f"{name}\0{sha256_file(file)}\n".encode())
    return total.hexdigest()


def provenance(*paths: Path, root: Path | None = None) -> dict[str, str]:
    """Attributes that say where data come from: ``source`` and ``sha256``."""
    return {"source": str(root if root is not None else paths[0]), "sha256": sha256_files(paths, root)}
