"""Tables of responses and of RDMs: which row is the header, and which columns are ids, coordinates and values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, argument, listed, unknown
from ...schema import STIMULUS_ID
from ...tables import Grid, numberlike, numbers, text_among, typed
from ..condensed import looks_like_rdm
from .columns import choose_ids, coordinate_of, is_id


@dataclass(frozen=True)
class Table:
    """A table taken apart: numbers in columns that are no coordinates, the names of these, and the stimuli of the rows.

    Where ``ids`` are ``counted``, row numbers in a nameless column, any other list goes before.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...] | None
    ids: list[str] | None
    counted: bool
    coordinates: dict[str, NDArray[Any]]


def apart(grid: Grid, *, id_column: str | None = None, columns: str | Sequence[str] | None = None) -> Table:
    """The parts of a table whose rows are presentations (or RDMs); DataError where a column is neither numbers nor text.

    ``id_column`` is that of the stimulus ids (default: by its name, else the first where it has none), ``columns`` those of
    the values (default: all of numbers whose name is not a coordinate's).
    """
    if not has_header(grid):
        return _without_header(grid, id_column, columns)
    frame = grid.frame(row_names=True)
    have = list(frame.columns)
    texts = {name: frame[name].tolist() for name in have}
    if id_column is not None and id_column not in have:
        raise unknown("column of ids", id_column, have)
    ids_in = id_column if id_column is not None else choose_ids(texts, grid.path)
    if ids_in is None and have[0] == "":
        ids_in = ""
    counted = ids_in == "" and is_counting(texts[""])
    ids = None if ids_in is None else checked_ids(grid.path, texts[ids_in], ids_in)
    wanted = _wanted(columns, have)
    values: dict[str, NDArray[np.float64]] = {}
    coordinates: dict[str, NDArray[Any]] = {}
    for name in have:
        if name == ids_in or name == "":  # an index beside better ids
            continue
        known = coordinate_of(name) if wanted is None else None if name in wanted else coordinate_of(name) or name
        if known is None:
            found = numbers(texts[name], grid.decimal)
            if found is not None:
                values[name] = found
                continue
            _refuse_numbers_in_text(grid, name, texts[name], wanted, have)
            known = name
        label = known if known not in coordinates else name
        if label == STIMULUS_ID:  # another column was chosen
            continue
        coordinates[label] = (
            np.array(texts[name], dtype=object) if label == "subject" else typed(texts[name], grid.decimal)
        )
    if not values:
        raise DataError(
            f"{grid.path} has no column of values; its columns: {listed(have)}. {argument('columns', 'V1,V2')} names them"
        )
    return Table(np.stack(list(values.values()), axis=1), tuple(values), ids, counted, coordinates)


class SquareTable(NamedTuple):
    """A table with as many columns of numbers as rows, in the order of the rows where both have the same labels."""

    values: NDArray[np.float64]
    """(n, n)"""
    labels: list[str] | None
    """Of the rows, else of the columns."""
    agree: bool | None
    """Whether rows and columns have the same labels; None where only one of them has any."""
    columns: list[str] | None
    """Labels of the columns."""


def square(grid: Grid) -> SquareTable | None:
    """A table as a square matrix, beside a first column of labels or not; None if it is none."""
    names, cells = None, grid.cells
    if has_header(grid):
        names, cells = [cell.strip() for cell in cells[0]], cells[1:]
    n, width = cells.shape
    if n < 2 or width not in (n, n + 1):
        return None
    labels = None
    if width == n + 1:
        labels, cells = cells[:, 0].tolist(), cells[:, 1:]
        names = names[1:] if names is not None else None
    values = numbers(cells, grid.decimal)
    if values is None:
        return None
    if names is None or labels is None:
        return SquareTable(values, names if labels is None else labels, None, names)
    place = {name: i for i, name in enumerate(names)}
    agree = len(place) == n and {label.strip() for label in labels} == set(place)
    if agree:
        values = values[:, [place[label.strip()] for label in labels]]
    return SquareTable(values, labels, agree, names)


def has_header(grid: Grid) -> bool:
    """Whether the first row holds names: text, or numbers as pandas writes them; DataError where it may be names or values."""
    first, rest = [cell.strip() for cell in grid.cells[0]], grid.cells[1:]
    corner, behind = first[0], first[1:] or first
    if grid.short_header or text_among(behind, grid.decimal):
        return True
    if not len(rest):
        return False
    if len(first) == 1:
        return corner == "0" and len(text_among(rest[:, 0], grid.decimal)) == len(rest)
    text_corner, text_below = bool(text_among([corner], grid.decimal)), bool(text_among(rest[:, 0], grid.decimal))
    if text_corner and is_id(corner):
        return True
    names = behind if text_corner or not corner else first
    labels = _whole(names) and len(set(names)) == len(names)
    counting = labels and is_counting(names)
    body = rest[:, len(first) - len(names) :]
    fractions = [not _whole(column) for column in body.T]
    # ids are seldom fractions; a first column of nothing else holds values, the first of them missing
    idlike = any(cell.strip() and (_whole([cell]) or not numberlike(cell)) for cell in rest[:, 0])
    if not corner and (text_below or (idlike and (counting or (labels and all(fractions))))):
        return True
    if _mirrored(grid.cells[:, 1:] if text_corner else grid.cells, grid.decimal):
        return False
    if counting and len(names) > 1:
        if _mirrored(body, grid.decimal) or not any(_whole([cell]) for cell in body.flat):
            return True
        if len(names) > 3 and any(fractions):
            return True
    unclear = not corner or (counting and len(names) > 1) or (labels and all(fractions))
    # text below is refused for itself, whatever the first row is
    if unclear and not text_among(body[:, 1:].flatten(), grid.decimal):
        raise DataError(
            f"the first row of {grid.path} ({listed(first, 4)}) may be names or values: write a row of names such as "
            "stimulus_id, v1, v2 above the values"
        )
    return False


def _without_header(grid: Grid, id_column: str | None, columns: str | Sequence[str] | None) -> Table:
    if id_column is not None or columns is not None:
        name = "id_column" if id_column is not None else "columns"
        raise DataError(f"{grid.path} has no names of columns to choose from by {argument(name)}")
    cells, ids = grid.cells, None
    if text_among(cells[:, 0], grid.decimal):
        ids, cells = checked_ids(grid.path, cells[:, 0].tolist(), first_row=1), cells[:, 1:]
    values = numbers(cells, grid.decimal) if cells.shape[1] else None
    if values is None:
        odd = [cell for cell in cells.flat if text_among([cell], grid.decimal)]
        raise DataError(f"{grid.path} holds text among its numbers: {listed(odd, 3) or listed(ids or [], 3)}")
    return Table(values, None, ids, False, {})


def checked_ids(path: Path, ids: list[str], column: str | None = None, *, first_row: int = 2) -> list[str]:
    """``ids`` without blanks around them, or a DataError that names the rows where there is none."""
    empty = [str(row + first_row) for row, cell in enumerate(ids) if not cell.strip()]
    if empty:
        where = "" if column is None else f" (column {column!r}; the header is row 1)"
        raise DataError(f"the stimulus id in row {listed(empty)} of {path} is empty{where}")
    return [cell.strip() for cell in ids]


def _wanted(columns: str | Sequence[str] | None, have: Sequence[str]) -> set[str] | None:
    if columns is None:
        return None
    names = [columns] if columns in have else columns.split(",") if isinstance(columns, str) else list(columns)
    chosen = [str(name).strip() for name in names]
    for name in chosen:
        if name not in have:
            raise unknown("column", name, have)
    return set(chosen)


def _refuse_numbers_in_text(
    grid: Grid, name: str, cells: list[str], wanted: set[str] | None, have: Sequence[str]
) -> None:
    """A column of words is a coordinate; one in which numbers stand, in any spelling, is damage."""
    if not any(numberlike(cell) for cell in cells) and not (wanted and name in wanted):
        return
    row = text_among(cells, grid.decimal)[0]
    raise DataError(
        f"column {name!r} of {grid.path} holds text among its numbers: {cells[row]!r} in row {row + 2} (decimal points, no "
        f"thousands separators); its columns: {listed(have)}. {argument('columns', 'V1,V2')} names those with values"
    )


def _whole(cells: Sequence[str] | NDArray[Any]) -> bool:
    return all(re.fullmatch(r"\d+", cell.strip(), re.ASCII) for cell in cells)


def is_counting(cells: Sequence[str]) -> bool:
    """0, 1, 2, ... or 1, 2, 3, ..."""
    texts = [cell.strip() for cell in cells]
    return texts in ([str(i) for i in range(len(texts))], [str(i + 1) for i in range(len(texts))])


def _mirrored(cells: NDArray[Any], decimal: str) -> bool:
    if cells.shape[0] != cells.shape[1] or len(cells) < 2:
        return False
    values = numbers(cells, decimal)
    return values is not None and looks_like_rdm(values)
