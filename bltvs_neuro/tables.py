"""Tables in text files, split into cells by pandas; every cell stays as it was written until somebody asks for numbers.

Commas, tabs, semicolons with decimal commas, and blanks (.txt) separate; rows of different lengths are refused.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError, listed
from .paths import regular

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
"""What separates cells, by suffix. A .csv with semicolons is one of a spreadsheet; other files are looked into."""

BLANKS = r"\s+"

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

_ENCODINGS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE | re.ASCII)
_COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE | re.ASCII)
_ODD = re.compile(r"[+-]?[$€]?\d[\d.,'_ \u00a0\u202f]*([eEdD][+-]?\d+)?\s*%?")


@dataclass(frozen=True)
class Grid:
    """The cells of a table.

    Attributes
    ----------
    path : Path
    cells : array of str, shape (rows, columns)
        A header, if there is one, is the first row.
    decimal : "." or ","
        What stands before the fraction of a number.
    short_header : bool
        The first row lacks the name of the first column, as R writes it; that cell is empty here.
    """

    path: Path
    cells: NDArray[Any]
    decimal: str
    short_header: bool = False

    def frame(self) -> pd.DataFrame:
        """The cells below the header, as text, by the names in the header.

        Raises
        ------
        DataError
            Names repeat, or a column has none (but for the first, whose name is then ``""``).
        """
        names = [cell.strip() for cell in self.cells[0]]
        nameless = [str(place + 1) for place, name in enumerate(names) if not name and place > 0]
        if nameless:
            raise DataError(f"column {listed(nameless)} of {self.path} has no name in the header")
        twice = list(dict.fromkeys(name for name in names if names.count(name) > 1))
        if twice:
            raise DataError(f"{self.path} has several columns called {listed(twice)}; names of columns are unique")
        if len(self.cells) < 2:
            raise DataError(f"{self.path} has a header but no rows")
        return pd.DataFrame(self.cells[1:], columns=pd.Index(names, dtype=object), dtype=object)


def read_cells(path: Path, *, rows: int | None = None) -> Grid:
    """Split a table into cells.

    Parameters
    ----------
    path : Path
        .csv (commas, or semicolons as European spreadsheets write them), .tsv or .tab (tabs), or other text (tabs,
        semicolons, commas or blanks). UTF-8, or UTF-16 with a byte order mark.
    rows : int, optional
        Read no more than these.

    Raises
    ------
    DataError
        No text, nothing in it, rows of different lengths, or cells that two separators split equally well.
    """
    try:
        regular(path)
    except OSError as error:  # a pipe would be waited for
        raise DataError(str(error)) from None
    with path.open("rb") as stream:
        head = stream.read(3)
    encoding = next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), "utf-8")
    try:
        separator, first = _separator(path, encoding)
        width = max(map(len, first))
        # blanks after every separator are how the file is laid out; those of single cells are part of them
        padded = len(first[0]) > 1 and all(cell.startswith(" ") for row in first for cell in row[1:])
        frame = pd.read_csv(
            path, sep=separator, header=None, names=range(width), dtype=object, keep_default_na=False, nrows=rows,
            encoding=encoding, skipinitialspace=padded,
        )  # fmt: skip
        cells = frame.to_numpy(dtype=object)
        lengths = [len(row) for row in first]
        if len(cells) and (cells[:, -1] == "").any():  # pandas fills short rows without a word
            lengths = [len(row) for row in _rows(path, encoding, separator, rows)]
    except UnicodeError as error:
        raise DataError(f"cannot read the table {path}: it is not UTF-8 text ({error}); save it as UTF-8") from error
    except (ValueError, csv.Error) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"cannot read the table {path}: {' '.join(str(error).split())}") from error
    grid = _ends(path, cells, lengths, _decimal(path, cells) if separator == ";" else ".")
    if not grid.short_header and len(set(lengths[1:] or lengths)) > 1:
        raise _ragged(path, lengths)
    return grid


def numbers(cells: Sequence[str] | NDArray[Any], decimal: str = ".") -> NDArray[np.float64] | None:
    """The cells of any shape as numbers, :data:`MISSING` as NaN; None where one is text."""
    array = np.asarray(cells, dtype=object)
    pattern = _POINT if decimal == "." else _COMMA
    try:
        if decimal == ".":  # the usual case, at C speed; float() alone also takes 1_000 and digits of other scripts
            values: NDArray[np.float64] = array.astype(np.float64)
            if not any("_" in cell or not cell.isascii() for cell in array.flat):
                return values
    except ValueError:
        pass
    out = np.empty(array.size)
    for i, cell in enumerate(array.flat):
        text = cell.strip()
        if text in MISSING:
            out[i] = np.nan
        elif pattern.fullmatch(text):
            out[i] = float(text.replace(",", "."))
        else:
            return None
    return out.reshape(array.shape)


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


def _rows(path: Path, encoding: str, separator: str, most: int | None = None) -> list[list[str]]:
    """Rows that are not blank, without pandas' filling up."""
    blanks = separator == BLANKS
    with path.open(encoding=encoding, newline="") as stream:
        reader = csv.reader(stream, delimiter=" " if blanks else separator, skipinitialspace=blanks)
        written = (row for row in reader if row and not (len(row) == 1 and row[0].isspace()))
        found = list(islice(written, most))
    return [row[:-1] if blanks and row[-1] == "" else row for row in found]


def _separator(path: Path, encoding: str) -> tuple[str, list[list[str]]]:
    """What separates the cells, and the first two rows."""
    known = SEPARATORS.get(path.suffix.lower())
    if known == "\t":
        return known, _first(path, encoding, known)
    split = {mark: _first(path, encoding, mark) for mark in (",", ";", *("\t", BLANKS)[: 2 if known is None else 0])}
    if known is None and max(map(len, split["\t"])) > 1:
        return "\t", split["\t"]
    counts = {mark: [len(row) for row in rows] for mark, rows in split.items()}
    # as many cells in both rows, or one name fewer; a header without any separator is not split by it
    regular = {m for m in (",", ";") if counts[m][0] > 1 and counts[m][0] in (counts[m][-1], counts[m][-1] - 1)}
    if regular == {",", ";"}:
        share = {mark: np.mean([_is_number(cell, mark) for cell in split[mark][-1]]) for mark in regular}
        if share[","] == share[";"]:
            raise DataError(f"{path} may be split at commas or at semicolons: write it with one of them, or with tabs")
        regular = {max(share, key=lambda mark: share[mark])}
    if regular == {";"}:
        return ";", split[";"]
    if known is None and "," not in regular:
        return BLANKS, split[BLANKS]
    return ",", split[","]


def _first(path: Path, encoding: str, separator: str) -> list[list[str]]:
    rows = _rows(path, encoding, separator, 2)
    if not rows:
        raise DataError(f"cannot read the table {path}: it is empty")
    return rows


def _is_number(cell: str, separator: str) -> bool:
    text = cell.strip()
    return bool(_POINT.fullmatch(text) or (separator == ";" and _COMMA.fullmatch(text)))


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


def _ends(path: Path, cells: NDArray[Any], lengths: list[int], decimal: str) -> Grid:
    """Without the empty column of a separator at the end of rows; the header of R's tables moved above its columns."""
    header, rest = lengths[0], lengths[-1]
    body = cells[1:] if len(cells) > 1 else cells
    if cells.shape[1] > 1 and (body[:, -1] == "").all() and cells[0, -1] == "":
        return Grid(path, cells[:, :-1], decimal)
    if len(cells) > 1 and header == rest - 1:
        if len(set(lengths[1:])) > 1:
            raise _ragged(path, lengths)
        if header == 1 and numbers(cells[1:, 0]) is not None:
            raise DataError(f"{path} has rows of 2 cells below a single name: write decimal points, not commas")
        moved = cells.copy()
        moved[0] = ["", *cells[0, :-1]]
        return Grid(path, moved, decimal, short_header=True)
    if header != rest:
        raise _ragged(path, lengths)
    return Grid(path, cells, decimal)


def _ragged(path: Path, lengths: list[int]) -> DataError:
    return DataError(f"the rows of {path} have different lengths: {listed(sorted(set(lengths)))}")
