"""Pickles are read only where they are allowed, and then only plain arrays of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, argument, listed
from ...foreign.npy import npy_header
from ...foreign.pickles import load_pickle as load_plain


def refuse_pickle(path: Path, reader: str) -> DataError:
    """The error for a pickle that was not allowed."""
    return DataError(
        f"{path} is a pickle, and loading a pickle from an untrusted origin can run code on this machine. If you trust "
        f"where it comes from: {argument('format', reader)}, {argument('allow_pickle', True)}"
    )


def load_pickle(path: Path, *, allow_pickle: bool, reader: str) -> Any:
    """Load a pickle of plain containers and arrays, where that is allowed."""
    if not allow_pickle:
        raise refuse_pickle(path, reader)
    return load_plain(path)


def load_pickled_npy(path: Path, *, allow_pickle: bool, reader: str) -> Any:
    """Load the one object (usually a dict) of a .npy file that numpy.save wrote as a pickle."""
    if not allow_pickle:
        raise refuse_pickle(path, reader)
    with path.open("rb") as stream:
        shape, _, dtype = npy_header(stream, path)
        start = stream.tell()
    if not dtype.hasobject:
        raise DataError(f"{path} holds a plain {shape} {dtype} array; a pickled dict was expected here")
    value = load_plain(path, start)
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def check_keys(data: Any, needed: Sequence[str], path: Path) -> None:
    """Refuse what was pickled unless it is a dict with these keys."""
    if not isinstance(data, dict) or any(key not in data for key in needed):
        got = f"a dict of {listed(data)}" if isinstance(data, dict) else f"a {type(data).__name__}"
        raise DataError(f"{path} holds {got}; expected {listed(needed)}")
