"""Text in MATLAB 7.3 files: arrays of characters, and cells, which are references to these."""

from __future__ import annotations

import os
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .bounds import check_unfolded


def matlab_class(dataset: h5py.Dataset) -> str:
    """MATLAB's class of a dataset ("double", "char", "cell", ...); empty for those of other programs."""
    name = dataset.attrs.get("MATLAB_class", b"")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else ""


def read_chars(dataset: h5py.Dataset) -> NDArray[np.object_]:
    """The rows of an array of characters; axes in the file's order, which is the reverse of MATLAB's."""
    if "MATLAB_empty" in dataset.attrs:
        return np.array("", dtype=object)
    codes = np.asarray(dataset[...])  # (character, ..., row)
    if codes.dtype != np.uint16 or codes.ndim < 1:
        raise DataError(f"{dataset.file.filename}: {dataset.name} is text of MATLAB, but holds {codes.dtype}")
    out = np.empty(codes.shape[1:], dtype=object)
    for place in np.ndindex(out.shape):
        out[place] = codes[(slice(None), *place)].astype("<u2").tobytes().decode("utf-16-le", "replace")
    return out


def read_cells(dataset: h5py.Dataset) -> NDArray[np.object_]:
    """Cells that hold one text or one number each."""
    what, size = f"{dataset.file.filename}: {dataset.name}", os.path.getsize(dataset.file.filename)
    out, total = np.empty(dataset.shape, dtype=object), 0
    for place, reference in np.ndenumerate(np.asarray(dataset[...])):
        item: Any = dataset.file[reference] if reference else None
        if not isinstance(item, h5py.Dataset) or item.size > size or item.dtype.kind not in "uif":
            raise DataError(f"{what} is a cell array of other things than texts and numbers")
        total += item.nbytes
        check_unfolded(what, total, size)  # many cells may lead to one text
        values = read_chars(item) if matlab_class(item) == "char" else np.asarray(item[...])
        if values.size != 1:
            raise DataError(f"{what} is a cell array of other things than texts and numbers")
        out[place] = values.ravel()[0]
    return out
