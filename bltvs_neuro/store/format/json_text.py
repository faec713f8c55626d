"""Plain data: JSON text that is the same for equal data, and metadata columns as JSON and as HDF5 can hold them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import SpecError


def canonical(data: Any) -> str:
    """JSON text that is the same for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256_json(data: Any) -> str:
    """Sha256 of the canonical JSON text."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def plain_json(data: Any) -> Any:
    """JSON data with numpy scalars, arrays and tuples made plain; SpecError for what JSON cannot hold."""

    def convert(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        raise TypeError(f"{type(value).__name__} ({value!r:.60})")

    try:
        return json.loads(json.dumps(data, default=convert, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"provenance must be JSON (text, numbers, lists, mappings); got {error}") from None


def plain_column(name: str, values: Any) -> np.ndarray:
    """A column as int64, uint64, float64, bool or text (dtype object of str; missing text is "")."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise SpecError(f"column {name!r} must have one dimension; got shape {array.shape}")
    if array.dtype.kind == "b":
        return array.astype(bool)
    if array.dtype.kind in "iuf":
        wide = {"i": np.int64, "u": np.uint64, "f": np.float64}[array.dtype.kind]
        return array.astype(wide)
    text = ["" if v is None or (isinstance(v, float) and math.isnan(v)) else str(v) for v in array.tolist()]
    for value in text:
        if "\0" in value or not _is_unicode(value):
            raise SpecError(f"column {name!r}: {value!r} is not text that HDF5 can hold (NUL or broken UTF-8)")
    return np.array(text, dtype=object)


def _is_unicode(text: str) -> bool:
    # A file name that is not UTF-8 reaches Python with lone surrogates, which no file format can hold.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def column_to_json(values: np.ndarray) -> dict[str, Any]:
    """A column as JSON data; floats that JSON lacks are written as text."""
    kind = {"i": "int", "u": "uint", "f": "float", "b": "bool"}.get(values.dtype.kind, "text")
    items = values.tolist()
    if kind == "float":
        items = [v if math.isfinite(v) else repr(v) for v in items]
    return {"kind": kind, "values": items}


def column_from_json(data: Mapping[str, Any]) -> np.ndarray:
    """The inverse of :func:`column_to_json`."""
    dtypes = {"int": np.int64, "uint": np.uint64, "float": np.float64, "bool": bool, "text": object}
    kind, values = data["kind"], data["values"]
    if kind == "float":
        values = [float(v) for v in values]
    return plain_column("column", np.array(values, dtype=dtypes[kind]))
