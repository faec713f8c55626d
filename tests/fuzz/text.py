"""Changes of tables, lists, JSON and TOML that keep to their form, as editors and spreadsheets make them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".json", ".toml")
CELLS = (
    "", " ", "nan", "NaN", "NA", "null", "None", "inf", "-inf", "1e400", "-1", "-0", "0", "1", "1.5", "9" * 400, "1e-400",
    "0x10", "1_000", "1,5", "TRUE", '"', "'", '""', "=1+1", "é", "😀", "\x00", "a\tb", "x" * 70000, "٣", "../../x", "#", "1 2",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**400, float("nan"), float("inf"), "", "x", "1", "é😀", [], [None], [[1]], {}, {"": 1},
)  # fmt: skip
Change = Callable[[np.random.Generator, str], str]


def _pick(rng: np.random.Generator, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def _grid(text: str) -> tuple[list[list[str]], str]:
    separator = max(("\t", ",", "; ", " "), key=text.count)
    return [line.split(separator) for line in text.splitlines()] or [[""]], separator


def _rejoin(rows: list[list[str]], separator: str) -> str:
    return "\n".join(separator.join(row) for row in rows) + "\n"


def cell(rng: np.random.Generator, text: str) -> str:
    """Another cell."""
    rows, separator = _grid(text)
    row = _pick(rng, rows)
    row[int(rng.integers(len(row)))] = _pick(rng, CELLS)
    return _rejoin(rows, separator)


def column(rng: np.random.Generator, text: str) -> str:
    """A column removed, doubled, emptied or moved to the front."""
    rows, separator = _grid(text)
    at, what = int(rng.integers(max(map(len, rows)))), int(rng.integers(4))
    for row in rows:
        if at < len(row):
            cell = row.pop(at)
            row[at:at] = [[], [cell, cell], [""], []][what]
            row[:0] = [cell] if what == 3 else []
    return _rejoin(rows, separator)


def line(rng: np.random.Generator, text: str) -> str:
    """A line removed, doubled, or one too many."""
    lines = text.splitlines() or [""]
    at = int(rng.integers(len(lines)))
    lines[at : at + 1] = _pick(rng, ([], [lines[at]] * 2, [lines[at], "# note"], [lines[at], lines[at] + ",,"]))
    return "\n".join(lines) + "\n"


def delimiter(rng: np.random.Generator, text: str) -> str:
    """Another separator of columns."""
    _, separator = _grid(text)
    return text.replace(separator, _pick(rng, (";", "\t", ",", "|", "  ")))


def token(rng: np.random.Generator, text: str) -> str:
    """A word or number anywhere replaced: values of TOML, parts of a grammar."""
    found = list(re.finditer(r"[\w.+-]+|\S", text))
    if not found:
        return _pick(rng, CELLS)
    one = _pick(rng, found)
    return text[: one.start()] + _pick(rng, (*CELLS, one[0] * 2, "[" * 2000, "{}", "[1, 'a']")) + text[one.end() :]


def json_value(rng: np.random.Generator, text: str) -> str:
    """One value of a JSON document of another type, nested, removed or under another key."""
    try:
        data = json.loads(text)
    except ValueError:
        return token(rng, text)
    places: list[tuple[Any, Any]] = [([data], 0)]
    for holder, key in places:
        inside = holder[key]
        keys = inside if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ()
        places += [(inside, name) for name in keys]
    holder, key = _pick(rng, places)
    what = rng.random()
    if what < 0.7:
        holder[key] = _pick(rng, VALUES)
    elif what < 0.8:
        del holder[key]
    elif what < 0.9 and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
    else:
        holder[key] = [holder[key]]
    deep = "[" * 100_000 if what > 0.98 else ""
    return deep + json.dumps(places[0][0][0] if places[0][0] else None)


def line_ends(rng: np.random.Generator, text: str) -> str:
    """The line ends of another system."""
    return text.replace("\n", _pick(rng, ("\r\n", "\r")))


def blank_end(rng: np.random.Generator, text: str) -> str:
    """No newline at the end, or several."""
    return text.rstrip("\n") + _pick(rng, ("", "\n\n\n", "\n"))


MEANING: dict[str, Change] = {c.__name__: c for c in (cell, column, line, delimiter, token, json_value)}
"""Name -> change of a text that may mean something else afterwards."""

FORM: dict[str, Change] = {c.__name__: c for c in (line_ends, blank_end)}
"""Name -> change of a text that means the same as before."""

ENCODINGS = ("utf-8-sig", "utf-16", "utf-32")
"""How Windows and its spreadsheets write text that means the same."""
