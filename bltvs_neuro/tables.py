"""Tables in text files, split into cells; every cell stays as it was written until somebody asks for numbers.

Commas, tabs, semicolons with decimal commas, and blanks (.txt) separate; rows of different lengths are refused.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError, listed
from .foreign.text import read_text

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
"""What separates cells, by suffix. A .csv with semicolons is one of a spreadsheet; other files are looked into."""

BLANKS = " "

MISSING = frozenset(
    (
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    )
)  # fmt: skip
"""Cells that are a missing value where numbers stand: those of :func:`pandas.read_csv`."""

NONE = ("", "n/a", "N/A", "NA", "NaN", "nan", "<NA>")
"""Cells of text columns without a value; "None" and "null" may be what something is called."""

BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}

_POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE | re.ASCII)
_COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE | re.ASCII)
_ODD = re.compile(r"0[xX][0-9a-fA-F]+|[+-]?[$€]?\d[\d.,'_ \u00a0\u202f]*([eEdD][+-]?\d+)?\s*%?")


@dataclass(frozen=True)
class Grid:
    """The cells of a table, text of shape (rows, columns); a header, if there is one, is the first row.

    ``decimal`` is what stands before the fraction of a number. With ``short_header`` the first row lacks the name of the first
    column, as R writes it; that cell is empty here.
    """

    path: Path
    cells: NDArray[Any]
    decimal: str
    short_header: bool = False

    def frame(self, *, row_names: bool = False) -> pd.DataFrame:
        """The cells below the header, as text without blanks around it, by the names in the header.

        Names are unique and not empty, but for the first where ``row_names`` are expected: it is called ``""`` then.
        """
        names = [cell.strip() for cell in self.cells[0]]
        if self.short_header and not row_names:
            raise DataError(f"{self.path}: rows have more cells than the header has columns")
        nameless = [str(place + 1) for place, name in enumerate(names) if not name and place > 0]
        if nameless:
            raise DataError(f"column {listed(nameless)} of {self.path} has no name in the header")
        twice = list(dict.fromkeys(name for name in names if names.count(name) > 1))
        if twice:
            raise DataError(f"{self.path} has several columns called {listed(twice)}; names of columns are unique")
        if len(self.cells) < 2:
            raise DataError(f"{self.path} has a header but no rows")
        cells = np.array([[cell.strip() for cell in row] for row in self.cells[1:]], dtype=object)
        return pd.DataFrame(cells, columns=pd.Index(names, dtype=object), dtype=object)


def read_cells(path: Path, *, rows: int | None = None) -> Grid:
    """Split a table into cells; ``rows``: no more than these.

    .csv has commas, or semicolons as European spreadsheets write them, .tsv and .tab have tabs, other text tabs, semicolons,
    commas or blanks. DataError for no text, nothing in it, rows of different lengths, or cells that two separators split
    equally well.
    """
    text = read_text(path).removeprefix("# ")  # numpy.savetxt's mark of a header
    try:
        separator, first = _separator(path, text)
        # blanks after every separator are how the file is laid out; those of single cells are part of them
        padded = len(first[0]) > 1 and all(cell.startswith(" ") for row in first for cell in row[1:])
        found = _split(text, separator, rows, padded=padded, strict=True)
    except csv.Error as error:
        raise DataError(f"cannot read the table {path}: {error}") from None
    return _grid(path, found, separator)


def numbers(cells: Sequence[str] | NDArray[Any], decimal: str = ".") -> NDArray[np.float64] | None:
    """The cells of any shape as numbers, :data:`MISSING` as NaN; None where one is text."""
    array = np.asarray(cells, dtype=object)
    try:
        if decimal == ".":  # the usual case, at C speed; float() alone also takes 1_000 and digits of other scripts
            values: NDArray[np.float64] = array.astype(np.float64)
            if not any("_" in cell or not cell.isascii() for cell in array.flat):
                return values
    except ValueError:
        pass
    if text_among(array.ravel(), decimal):
        return None
    texts = (cell.strip() for cell in array.flat)
    found = [np.nan if text in MISSING else float(text.replace(",", ".")) for text in texts]
    return np.array(found, dtype=np.float64).reshape(array.shape)


def text_among(cells: Sequence[str] | NDArray[Any], decimal: str = ".") -> list[int]:
    """Positions of the cells that are no number and not missing."""
    pattern = _POINT if decimal == "." else _COMMA
    return [i for i, cell in enumerate(cells) if not (cell.strip() in MISSING or pattern.fullmatch(cell.strip()))]


def numberlike(cell: str) -> bool:
    """Whether a cell is a number in any spelling: with thousands separators, a decimal comma, a unit of percent."""
    return _ODD.fullmatch(cell.strip()) is not None or _POINT.fullmatch(cell.strip()) is not None


def typed(cells: Sequence[str] | NDArray[Any], decimal: str = ".") -> NDArray[Any]:
    """Whole numbers, numbers, booleans or, where that would change a cell (``007``), text."""
    texts = [cell.strip() for cell in cells]
    if all(text in BOOLEANS for text in texts):
        return np.array([BOOLEANS[text] for text in texts])
    if any(re.fullmatch(r"[+-]?0\d+", text) for text in texts):
        return np.array(list(cells), dtype=object)
    if all(re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) for text in texts):
        return np.array([int(text) for text in texts], dtype=np.int64)
    values = numbers(cells, decimal)
    # "None" beside numbers is a missing one; where there are none it is a word
    words = values is None or (np.isnan(values).all() and not all(text in NONE for text in texts))
    return np.array(list(cells), dtype=object) if words else np.asarray(values)


def _split(
    text: str, separator: str, most: int | None, *, padded: bool = False, strict: bool = False
) -> list[list[str]]:
    """Rows that are not blank."""
    blanks = separator == BLANKS
    reader = csv.reader(StringIO(text), delimiter=separator, skipinitialspace=blanks or padded, strict=strict)
    written = (row for row in reader if row and not (len(row) == 1 and row[0].isspace()))
    found = list(islice(written, most))
    return [row[:-1] if blanks and row[-1] == "" else row for row in found]


def _separator(path: Path, text: str) -> tuple[str, list[list[str]]]:
    """What separates the cells, and the first two rows."""
    known = SEPARATORS.get(path.suffix.lower())
    marks = ("\t",) if known == "\t" else (",", ";") if known == "," else (",", ";", "\t", BLANKS)
    split = {mark: _split(text, mark, 2) for mark in marks}
    if not split[marks[0]]:
        raise DataError(f"cannot read the table {path}: it is empty")
    if known == "\t" or (known is None and max(map(len, split["\t"])) > 1):
        return "\t", split["\t"]
    counts = {mark: [len(row) for row in rows] for mark, rows in split.items()}
    # as many cells in both rows, or one name fewer; a header without any separator is not split by it
    regular = {m for m in (",", ";") if counts[m][0] > 1 and counts[m][0] in (counts[m][-1], counts[m][-1] - 1)}
    if regular == {",", ";"}:
        share = {mark: np.mean([_is_number(cell, mark) for cell in split[mark][-1]]) for mark in regular}
        if share[","] == share[";"]:
            raise DataError(f"{path} may be split at commas or at semicolons: write it with one of them, or with tabs")
        regular = {max(share, key=lambda mark: share[mark])}
    mark = ";" if regular == {";"} else BLANKS if known is None and "," not in regular else ","
    return mark, split[mark]


def _is_number(cell: str, separator: str) -> bool:
    text = cell.strip()
    return bool(_POINT.fullmatch(text) or (separator == ";" and _COMMA.fullmatch(text)))


def _grid(path: Path, rows: list[list[str]], separator: str) -> Grid:
    """Without the empty column of a separator at the end of rows; the header of R's tables moved above its columns."""
    header, body = rows[0], rows[1:] or rows
    lengths = {len(row) for row in body}
    width = max(lengths)
    if len(header) == width + 1 and header[-1] == "":
        header = header[:-1]
    if len(lengths) > 1 or len(header) not in (width, width - 1):
        raise DataError(f"the rows of {path} have different lengths: {listed(sorted(lengths | {len(header)}))}")
    if width > 1 and all(row[-1] == "" for row in body) and header[width - 1 :] in ([], [""]):
        header, body, width = header[: width - 1], [row[:-1] for row in body], width - 1
    short = len(header) < width
    if short and width == 2 and numbers([row[0] for row in body]) is not None:
        raise DataError(f"{path} has rows of 2 cells below a single name: write decimal points, not commas")
    cells = np.array([[""] * short + header, *(body if len(rows) > 1 else [])], dtype=object)
    return Grid(path, cells, _decimal(path, cells) if separator == ";" else ".", short)


def _decimal(path: Path, cells: NDArray[Any]) -> str:
    """The decimal mark between semicolons: a comma if any number has one, and then no number may have a point."""
    commas = [cell for cell in cells.flat if "," in cell and _COMMA.fullmatch(cell.strip())]
    points = [cell for cell in cells[1:].flat if "." in cell and _ODD.fullmatch(cell.strip())]
    if commas and points:
        raise DataError(
            f"{path} has numbers with commas ({commas[0]}) and with points ({points[0]}): write all without thousands "
            "separators and with one decimal mark"
        )
    return "," if commas else "."
