"""What a file is, what it holds, and how to load it without trusting what it claims.

Nothing here unpickles. Arrays are only loaded when the size they declare can fit in the bytes the file has.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..datasets import sha256_file
from ..errors import DataError, listed
from ..paths import regular

Kind = Literal[
    "folder", "hdf5", "matlab73", "matlab5", "npy", "npz", "nifti", "json", "table", "pickle", "fif", "unknown"
]

DEFLATE_RATIO = 1100
"""Deflate cannot shrink more than 1032 times: an array that claims more than this of its file is refused."""

SLACK_BYTES = 16 * 2**20
"""Claims below this are harmless; netCDF's dimensions declare values that are never stored."""


class Variable(NamedTuple):
    """Shape and type of one array of a file, in the axis order in which it is loaded."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"


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
    if head.startswith(b"MATLAB 7.3"):
        return "matlab73"
    if head.startswith(b"\x89HDF\r\n\x1a\n") or head[512:].startswith(b"\x89HDF\r\n"):
        return "hdf5"
    if head.startswith(b"MATLAB 5.0"):
        return "matlab5"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"PK\x03\x04") and suffixes.endswith(".npz"):
        return "npz"
    if suffixes.endswith((".nii", ".nii.gz")):
        return "nifti"
    if suffixes.endswith((".fif", ".fif.gz")):
        return "fif"
    if suffixes.endswith(".json"):
        return "json"
    if suffixes.endswith((".csv", ".tsv", ".txt")):
        return "table"
    if suffixes.endswith((".pkl", ".pickle")) or head[:1] == b"\x80":
        return "pickle"
    return "unknown"


def variables(path: Path) -> dict[str, Variable]:
    """The arrays a container holds, by name, read from its headers; empty for other files."""
    what = kind(path)
    try:
        if what in ("hdf5", "matlab73"):
            return _hdf5_variables(path, transposed=what == "matlab73")
        if what == "matlab5":
            import scipy.io

            return {name: Variable(tuple(shape), dtype) for name, shape, dtype in scipy.io.whosmat(path)}
        if what == "npy":
            with path.open("rb") as stream:
                shape, _, dtype = npy_header(stream, path)
            return {"": Variable(shape, str(dtype))}
        if what == "npz":
            found = {}
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith(".npy"):
                        with archive.open(name) as member:
                            shape, _, dtype = npy_header(member, path)
                        found[name.removesuffix(".npy")] = Variable(shape, str(dtype))
            return found
    except DataError:
        raise
    except Exception as error:  # a damaged file makes these libraries raise almost anything
        raise DataError(f"{path} is damaged or truncated ({what}): {error}") from error
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
    data = load_json(path)
    return list(data) if isinstance(data, dict) else [type(data).__name__]


def load_json(path: Path) -> Any:
    """Parse a JSON file."""
    try:
        return json.loads(regular(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


def load_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Load arrays of a .npy (named ``""``), .npz, .mat (v5 and v7.3, in MATLAB's axis order) or HDF5 file.

    Raises
    ------
    DataError
        The file is damaged, holds pickled objects, or declares more than it can hold.
    """
    held = variables(path)
    wanted = list(held) if names is None else [name for name in names if name in held]
    what = kind(path)
    try:
        if what == "npy":
            return {"": open_npy(path)[...]}
        if what == "npz":
            return _load_npz(path, wanted)
        if what == "matlab5":
            return _load_matlab5(path, wanted, held)
        if what in ("hdf5", "matlab73"):
            with open_hdf5(path) as file:
                loaded = {name: read_dataset(file[name]) for name in wanted}
            if what == "matlab73":
                return {name: np.ascontiguousarray(value.T) for name, value in loaded.items()}
            return loaded
    except DataError:
        raise
    except Exception as error:  # a damaged file makes these libraries raise almost anything
        raise DataError(f"{path} is damaged or truncated ({what}): {error}") from error
    raise DataError(f"{path} holds no arrays: {describe(path)}")


def open_npy(path: Path) -> NDArray[Any]:
    """Map a .npy file into memory, so that only what is indexed is read; pickled objects are refused."""
    with path.open("rb") as stream:
        shape, _, dtype = npy_header(stream, path)
        start = stream.tell()
    if dtype.hasobject:
        raise DataError(
            f"{path} holds pickled Python objects, which can run code when they are loaded. Save plain arrays. For a "
            f"layout that consists of pickles, from an origin you trust: format= its reader and allow_pickle=True"
        )
    need, have = math.prod(shape) * dtype.itemsize, path.stat().st_size - start
    if need > have:
        raise DataError(
            f"{path} is truncated: its header declares {need} bytes {Variable(shape, str(dtype))}, it has {have}"
        )
    if need == 0:
        return np.empty(shape, dtype)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def npy_header(stream: Any, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type declared by a .npy stream."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(stream)
    except ValueError as error:
        raise DataError(f"{path} is damaged or truncated (npy): {error}") from error


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """An open :class:`h5py.File`; damage becomes a DataError."""
    import h5py

    try:
        file = h5py.File(regular(path), "r")
    except OSError as error:
        raise DataError(f"{path} cannot be opened as HDF5, it is damaged or truncated: {error}") from error
    with file:
        yield file


def check_dataset(dataset: Any) -> None:
    """Refuse an HDF5 dataset that declares far more than the bytes stored for it."""
    stored = dataset.id.get_storage_size()
    if dataset.size and dataset.nbytes > DEFLATE_RATIO * stored + SLACK_BYTES:
        raise DataError(
            f"{dataset.file.filename}: {dataset.name} declares {dataset.nbytes} bytes {dataset.shape} but only "
            f"{stored} are stored; the file is unfinished or damaged"
        )


def read_dataset(dataset: Any, selection: Any = ...) -> NDArray[Any]:
    """Read an HDF5 dataset; text becomes an object array of str."""
    check_dataset(dataset)
    values = dataset[selection]
    if dataset.dtype.kind in "OS":
        flat = [item.decode() if isinstance(item, bytes) else item for item in np.ravel(values)]
        out = np.empty(len(flat), dtype=object)
        out[:] = flat
        return out.reshape(np.shape(values))
    return np.asarray(values)


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


def _hdf5_variables(path: Path, *, transposed: bool) -> dict[str, Variable]:
    import h5py

    found: dict[str, Variable] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):
            shape = item.shape or ()  # None for a dataset that is declared empty
            found[name] = Variable(shape[::-1] if transposed else shape, str(item.dtype))

    with open_hdf5(path) as file:
        file.visititems(visit)
    return found


def _load_npz(path: Path, names: list[str]) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        for name in names:
            info = archive.getinfo(f"{name}.npy")
            with archive.open(info) as member:
                shape, _, dtype = npy_header(member, path)
            if dtype.hasobject:
                raise DataError(f"{path}: {name} holds pickled Python objects, which are never loaded from .npz files")
            need = math.prod(shape) * dtype.itemsize
            if need > info.file_size or need > DEFLATE_RATIO * info.compress_size + SLACK_BYTES:
                raise DataError(f"{path}: {name} declares {need} bytes but the archive holds {info.compress_size}")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in names}


def _load_matlab5(path: Path, names: list[str], held: dict[str, Variable]) -> dict[str, Any]:
    import scipy.io

    size = path.stat().st_size
    for name in names:
        if math.prod(held[name].shape) > DEFLATE_RATIO * size:
            raise DataError(f"{path}: {name} declares {held[name]}, more than a file of {size} bytes can hold")
    loaded = scipy.io.loadmat(path, variable_names=names)
    return {name: loaded[name] for name in names}
