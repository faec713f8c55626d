"""Read pickles that hold only containers, text, numbers and numpy arrays.

A pickle can run any code when it is loaded. Formats that ship pickles are read only with ``allow_pickle=True``, and
even then through an unpickler that builds nothing but numpy arrays and the plain containers.
"""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import DataError
from .files import npy_header

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "complex"),
}
_ALLOWED_NUMPY = {"_reconstruct", "scalar", "_frombuffer"}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        modules = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
        if module in modules and name in _ALLOWED_NUMPY:
            # numpy 2 renamed numpy.core: either spelling is read under either version
            core = "numpy._core" if int(np.__version__.split(".")[0]) >= 2 else "numpy.core"
            return getattr(
                importlib.import_module(f"{core}.{'numeric' if name == '_frombuffer' else 'multiarray'}"), name
            )
        # an identifier: a dotted name could walk from an allowed module to any other
        if (module == "numpy.dtypes" and name.isidentifier() and name.endswith("DType")) or (module, name) in _ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it would create {module}.{name}")


def refuse_pickle(path: Path, reader: str) -> DataError:
    """The error for a pickle that was not allowed."""
    return DataError(
        f"{path} is a pickle, and loading a pickle from an untrusted origin can run code on this machine. If you trust "
        f'where it comes from: format="{reader}", allow_pickle=True'
    )


def load_pickle(path: Path, *, allow_pickle: bool, reader: str) -> Any:
    """Load a pickle of plain containers and arrays.

    Raises
    ------
    DataError
        ``allow_pickle`` is false, the file is damaged, or it would create anything else.
    """
    if not allow_pickle:
        raise refuse_pickle(path, reader)
    with path.open("rb") as stream:
        return _load(stream, path)


def load_pickled_npy(path: Path, *, allow_pickle: bool, reader: str) -> Any:
    """Load the one object (usually a dict) of a .npy file that numpy.save wrote as a pickle."""
    if not allow_pickle:
        raise refuse_pickle(path, reader)
    with path.open("rb") as stream:
        shape, _, dtype = npy_header(stream, path)
        if not dtype.hasobject:
            raise DataError(f"{path} holds a plain {shape} {dtype} array; a pickled dict was expected here")
        value = _load(stream, path)
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _load(stream: IO[bytes], path: Path) -> Any:
    try:
        return _PlainUnpickler(stream, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{path} is not a pickle of plain arrays: {error}; it was not loaded") from error
    except Exception as error:  # a damaged pickle raises almost anything
        raise DataError(f"{path} is damaged or truncated (pickle): {error}") from error
