"""What may come of reading a changed sample: its value, or one sentence."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from typing import Any

import numpy as np

from .folders import Change
from .target import Target, matches

MOST_CHARACTERS = 1200
GOOD = ("equal", "other labels or values", "part", "refused")
_INTERNAL = re.compile(
    r"Traceback|\w+ object at 0x|<class |<module |NoneType|object has no attribute|not subscriptable|not iterable|unhashable|"
    r"invalid literal for|not supported between instances|to unpack|out of range\b.*index|"
    r"unexpected keyword argument|positional argument|\b(Attribute|Key|Type|Index|Value|Name|Assertion|Unicode\w+)Error\b"
)
"""What a sentence for people does not hold."""


def fingerprint(value: Any) -> dict[str, Any]:
    """Labels and values of what was read, as short as can be compared.

    Parameters
    ----------
    value : DataArray, Dataset, or plain data with arrays
        Of a dict, ``"ids"`` are the labels, and ``"rows"`` what belongs to each.
    """
    import xarray as xr

    if isinstance(value, xr.DataArray):
        ids = [_key(value, dim) for dim in value.dims]
        values = value.values
        return {
            "labels": _digest([value.dims, ids]),
            "all": _digest([value.dims, values, {str(k): c.values for k, c in value.coords.items()}]),
            "rows": [_digest([ids[0][i], values[i]]) for i in range(len(values))],
            "columns": [_digest([ids[0], ids[1][i], values[:, i]]) for i in range(values.shape[1])],
        }
    if isinstance(value, xr.Dataset):
        value = {"ids": sorted(map(str, value.variables)), **{str(k): v.values for k, v in value.variables.items()}}
    held = value if isinstance(value, dict) else {}
    rows = [_digest(row) for row in held.get("rows", ())]
    return {"labels": _digest(held.get("ids")), "all": _digest(value), "rows": rows, "columns": []}


def _key(array: Any, dim: Any) -> list[str]:
    """Stimuli of the places along a dimension; one text for all where they are no stimuli."""
    names = {"presentation": ("stimulus_id",), "pair": ("stimulus_a", "stimulus_b")}
    held = [array[name].values for name in names.get(str(dim), ()) if name in array.coords]
    return ["|".join(map(str, row)) for row in zip(*held, strict=True)] if held else [""] * array.sizes[dim]


def _digest(value: Any) -> str:
    return f"{zlib.crc32(json.dumps(value, sort_keys=True, default=_plain).encode()):08x}"


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OUT":
        return [str(value.dtype), value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def judge(target: Target, change: Change, answer: dict[str, Any], original: dict[str, Any]) -> str:
    """Outcome of a case; good if it is one of :data:`GOOD`."""
    if answer["outcome"] == "refused":
        return "refused" if one_sentence(answer["message"]) else "no sentence"
    if answer["outcome"] != "value":
        return str(answer["outcome"])
    found = answer["value"]
    if found["all"] == original["all"]:
        return "equal"
    if change.effect == "content":
        loose = matches(target.free, change.file) or found["labels"] == original["labels"] or _is_part(found, original)
        return "other labels or values" if loose and not matches(target.checked, change.file) else "another value"
    if change.effect == "names" and target.named:
        return "other labels or values"
    return "part" if change.effect != "form" and _is_part(found, original) else "another value"


def one_sentence(message: str) -> bool:
    """Whether a message is one for people: one line (the readers' table may follow), no long one, no internals."""
    line, _, rest = message.partition("\n")
    table = all(row.startswith("  ") for row in rest.split("\n")) if rest else True
    return bool(line) and table and len(line) <= MOST_CHARACTERS and line.isprintable() and not _INTERNAL.search(line)


def _is_part(found: dict[str, Any], original: dict[str, Any]) -> bool:
    """Whether rows, or columns, were left out, and all that is there stands where it stood."""
    return any(found[axis] and set(found[axis]) <= set(original[axis]) for axis in ("rows", "columns"))
