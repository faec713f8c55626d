"""Arrays in .npy and .npz files, from a header that is checked before numpy acts on it."""

from __future__ import annotations

import ast
import math
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .bounds import check_unfolded

MAGIC = b"\x93NUMPY"
MOST_HEADER = 65536
MOST_NESTED = 8
MOST_AXES = 32
_QUOTED = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"")
_BRACKETS = re.compile(r"[\s\w.,:{}()\[\]]*")


def npy_header(stream: IO[bytes], what: object) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type declared by a .npy stream, which is left at the first value; ``what`` is for errors."""
    try:
        return _header(stream)
    except (ValueError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError, OverflowError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        if "malformed node" in why:  # Python's words for a header that is no plain literal
            why = "its header is no plain description of an array"
        raise DataError(f"{what} is damaged or truncated (npy): {why}") from None


def open_npy(path: Path) -> NDArray[Any]:
    """Map a .npy file into memory, so that only what is indexed is read; pickled objects are refused."""
    with Path(path).open("rb") as stream:
        shape, fortran, dtype = npy_header(stream, path)
        start = stream.tell()
    if dtype.hasobject:
        raise DataError(
            f"{path} holds pickled Python objects, which can run code when they are loaded. Save plain arrays, or name "
            f"the reader of a layout that consists of pickles"
        )
    need, have = math.prod(shape) * dtype.itemsize, Path(path).stat().st_size - start
    if need > have:
        form = f"{'×'.join(map(str, shape))} {dtype}"
        raise DataError(f"{path} is truncated: its header declares {need} bytes ({form}), it has {have}")
    if need == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")


def npz_headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of every array of a .npz file."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as member:
                    shape, _, dtype = npy_header(member, f"{path}: {name}")
                found[name.removesuffix(".npy")] = shape, dtype
    return found


def load_npz(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    """Arrays of a .npz file. Pickled objects, and more than the archive can reasonably hold, are refused."""
    found: dict[str, NDArray[Any]] = {}
    total = 0
    with zipfile.ZipFile(path) as archive:
        for name in names:
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(
                    f"{path}: {name} is compressed in a way that numpy does not write; save it with numpy.savez"
                )
            with archive.open(info) as member:
                shape, fortran, dtype = npy_header(member, f"{path}: {name}")
                if dtype.hasobject:
                    raise DataError(
                        f"{path}: {name} holds pickled Python objects, which are never loaded from .npz files"
                    )
                need = math.prod(shape) * dtype.itemsize
                total += need
                # parts of an archive can overlap: together they are no more than the file
                check_unfolded(f"{path}: {name}", total, path.stat().st_size, shape=shape)
                data = member.read(need) if need else b""
            if len(data) != need:
                raise DataError(f"{path}: {name} declares {need} bytes {shape}, it has {len(data)}")
            array = np.frombuffer(bytearray(data), dtype) if need else np.empty(math.prod(shape), dtype)
            found[name] = array.reshape(shape, order="F" if fortran else "C")
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    head = stream.read(8)
    if len(head) < 8 or not head.startswith(MAGIC):
        raise ValueError("it does not begin as a .npy file")
    if head[6] not in (1, 2, 3):
        raise ValueError(f"version {head[6]}.{head[7]} of the format is not known")
    width = 2 if head[6] == 1 else 4
    size = int.from_bytes(stream.read(width), "little")
    if size > MOST_HEADER:
        raise ValueError(f"a header of {size} bytes")
    raw = stream.read(size)
    if len(raw) < size:
        raise ValueError("it ends within the header")
    text = raw.decode("utf-8" if head[6] == 3 else "latin1")
    _refuse_bombs(text)
    fields = ast.literal_eval(text.strip())
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header does not hold descr, fortran_order and shape")
    shape, fortran = fields["shape"], fields["fortran_order"]
    if type(fortran) is not bool:
        raise ValueError(f"fortran_order is {fortran!r:.40}")
    dtype = np.lib.format.descr_to_dtype(fields["descr"])
    if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape) or len(shape) > MOST_AXES:
        raise ValueError(f"its header declares the shape {shape!r:.80}")
    if dtype.itemsize == 0 and not dtype.hasobject and dtype.kind not in "US":
        raise ValueError(f"its header declares the type {dtype}, which holds nothing")
    if dtype.itemsize == 0 and math.prod(shape) > MOST_HEADER:
        raise ValueError(f"its header declares {math.prod(shape)} empty texts")
    # numpy refuses an array without values, too, when its other axes are too long
    if math.prod(max(n, 1) for n in shape) * max(dtype.itemsize, 1) >= 2**62:
        raise ValueError(f"its header declares the shape {shape!r:.80}, more than any memory")
    return shape, fortran, dtype


def _refuse_bombs(text: str) -> None:
    """A header is a literal of names, numbers and few brackets; anything deeper could exhaust Python's parser."""
    plain = _QUOTED.sub("", text)
    # a minus is let through, so that a negative length is told as one
    if not _BRACKETS.fullmatch(plain.replace("-", "", 4)):
        raise ValueError("its header is no plain description of an array")
    depth = 0
    for sign in plain:
        depth += (sign in "([{") - (sign in ")]}")
        if depth > MOST_NESTED:
            raise ValueError("its header is nested too deeply")
