"""Corners of the matrices that an array of a file holds, without reading the rest."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...foreign.hdf5 import open_hdf5
from ...foreign.npy import npy_header, open_npy
from .files import Variable, kind, load_arrays

SIDE = 128
FEW = 4
BYTES = 2**24
"""What is read of a compressed array that has to be read from its beginning."""

WHOLE_BYTES = 2**28
"""Size of an array in a .mat file of version 5 up to which it is read, which is only possible as a whole."""

Corners = list[NDArray[np.float64]]


def corners(path: Path, name: str, variable: Variable) -> list[Corners]:
    """Corners, at most SIDE × SIDE, of the first matrices of an array, one list per reading of the axes; empty if too large."""
    with _opened(path, name, variable) as (array, shape):
        if array is None or 0 in array.shape:
            return []
        if len(shape) == 2:
            return [[_corner(array, shape, (0, 1), ())]]
        found = []
        for axes, other in (((1, 2), 0), ((0, 1), 2)):
            if shape[axes[0]] == shape[axes[1]]:
                found.append([_corner(array, shape, axes, (other, i)) for i in range(min(FEW, array.shape[other]))])
        return found


def _corner(array: Any, shape: tuple[int, ...], axes: tuple[int, int], at: tuple[int, ...]) -> NDArray[np.float64]:
    """The corner over two axes at a place on the third; of first stimuli without values, a grid of rows and columns."""
    side = min(SIDE, *(array.shape[axis] for axis in axes))
    whole = array.shape == shape
    for step in (1, max(1, shape[axes[0]] // SIDE)) if whole else (1,):
        where: list[Any] = [slice(0, side * step, step)] * len(shape)
        if at:
            where[at[0]] = at[1]
        corner = np.asarray(array[tuple(where)], dtype=np.float64)
        if not np.isnan(corner).all():
            break
    return corner


@contextmanager
def _opened(path: Path, name: str, variable: Variable) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """An array to be indexed, with the shape of the whole; axes may come in reverse, as MATLAB has them."""
    what = kind(path)
    if what == "npy":
        array = open_npy(path)
        yield array, array.shape
    elif what == "npz":
        yield _beginning(path, name)
    elif what in ("hdf5", "matlab73"):
        with open_hdf5(path) as file:
            yield file[name], file[name].shape
    else:
        small = 8 * math.prod(variable.shape) <= WHOLE_BYTES
        yield load_arrays(path, [name])[name] if small else None, variable.shape


def _beginning(path: Path, name: str) -> tuple[NDArray[Any] | None, tuple[int, ...]]:
    """The first rows of an array in a .npz file; of Fortran's order, the first columns as rows."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        shape, reverse, dtype = npy_header(member, path)
        if dtype.hasobject:
            raise DataError(f"{path}: {name} holds pickled Python objects, which are never loaded from .npz files")
        shape = shape[::-1] if reverse else shape
        row = math.prod(shape[1:]) * dtype.itemsize
        rows = min(shape[0], BYTES // row)
        data = member.read(rows * row)
    rows = len(data) // row
    return np.frombuffer(data[: rows * row], dtype).reshape(rows, *shape[1:]), shape
