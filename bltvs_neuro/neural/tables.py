"""Tables of numbers in text files, with or without labels in the first row and column."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed


def read_table(path: Path) -> tuple[NDArray[np.float64], list[str] | None]:
    """Numbers and labels of a .csv, .tsv or blank-separated .txt file.

    Returns
    -------
    array of shape (rows, columns), list of str or None
        The labels are those of the columns, else those of the rows.

    Raises
    ------
    DataError
        Rows of different lengths, cells that are no numbers, or row and column labels that disagree.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        if path.suffix.lower() == ".txt":
            rows = [line.split() for line in stream if line.strip()]
        else:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream, delimiter=delimiter) if any(row)]
    if not rows:
        raise DataError(f"{path} is empty")
    # the first cell may be a row's label: a header has text behind it
    header = None if all(_is_number(cell) for cell in rows[0][1:] or rows[0]) else rows.pop(0)
    if header is not None and not rows:
        raise DataError(f"{path} has a header but no rows")
    # a corner cell without text, or text below it, means that the first column holds labels
    labelled = not all(_is_number(row[0]) for row in rows) or (header is not None and header[0] == "")
    row_labels = [row[0] for row in rows] if labelled else None
    if labelled:
        rows = [row[1:] for row in rows]
        header = header[-len(rows[0]) :] if header is not None else None
    widths = {len(row) for row in rows} | ({len(header)} if header is not None else set())
    if len(widths) != 1:
        raise DataError(f"the rows of {path} have different lengths: {listed(sorted(widths))}")
    try:
        values = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    except ValueError as error:
        raise DataError(f"{path} holds text among its numbers: {error}") from error
    if header is not None and row_labels is not None and len(header) == len(row_labels) and header != row_labels:
        raise DataError(
            f"the row labels of {path} differ from its column labels: {listed(row_labels)}; {listed(header)}"
        )
    return values, header if header is not None else row_labels


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == ""
    return True
