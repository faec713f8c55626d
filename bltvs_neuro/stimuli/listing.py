"""Finding stimuli: the images below a folder, and the rows of a table."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
from natsort import natsort_keygen, ns

from ..errors import DataError, StimulusError, argument, listed
from ..tables import NONE, read_cells, typed
from .decode import IMAGE_FORMATS

log = logging.getLogger(__name__)

ID_COLUMN = "stimulus_id"
PATH_COLUMNS = ("path", "stimulus_path", "filename", "file", "image", "image_path")
"""Columns of a table that are taken as the path when none is named."""

_natural = natsort_keygen(alg=ns.PATH)


def list_images(folder: Path, *, pattern: str = "*", recursive: bool = True) -> tuple[list[str], list[Path]]:
    """The images below a folder, in natural order (``img2`` before ``img10``).

    Returns
    -------
    ids : list of str
        Paths relative to the folder, POSIX, with extension, NFC-normalised.
    paths : list of Path
        The files.

    Raises
    ------
    StimulusError
        No folder, no image in it, two files with one id, a link that leads nowhere, a name that is no Unicode.
    """
    if not folder.is_dir():
        raise StimulusError(f"{folder} is {'not a folder' if folder.exists() else 'missing'}")
    found: dict[str, Path] = {}
    ignored: dict[str, list[str]] = {
        "hidden": [],
        "no image": [],
        "not matching the pattern": [],
        "in linked folders": [],
    }
    for relative in _walk(folder, recursive, ignored["in linked folders"]):
        hidden = relative.startswith(".") or "/." in relative or relative.startswith("__MACOSX/")
        image = os.path.splitext(relative)[1].lower() in IMAGE_FORMATS
        kind = "hidden" if hidden else "no image" if not image else ""
        if not kind and not fnmatchcase(relative, pattern):
            kind = "not matching the pattern"
        if kind:
            ignored[kind].append(relative)
            continue
        path = folder / relative
        if not path.is_file():
            raise StimulusError(f"{path} is a link that leads nowhere; remove it or restore its target")
        stimulus_id = normalised(relative)
        if stimulus_id in found:
            raise StimulusError(
                f"two files below {folder} have the id {stimulus_id!r}: their names differ only "
                "in how accents are encoded; rename one"
            )
        found[stimulus_id] = path
    said = "; ".join(f"{len(names)} {kind} ({listed(sorted(names), 4)})" for kind, names in ignored.items() if names)
    if not found:
        raise StimulusError(
            f"no images {'in or below' if recursive else 'in'} {folder} "
            f"(extensions {', '.join(IMAGE_FORMATS)}; pattern {pattern!r}); found: {said or 'nothing'}"
        )
    if said:
        log.info("%s: ignored %s", folder, said)
    ids = sorted(found, key=lambda stimulus_id: (_natural(stimulus_id), stimulus_id))
    return ids, [found[stimulus_id] for stimulus_id in ids]


def _walk(folder: Path, recursive: bool, linked: list[str]) -> Iterator[str]:
    """Relative POSIX paths of all files. Links to files are followed (a folder of links is a usual way to choose
    stimuli), links to folders are not (they can run in circles).
    """
    for here, folders, files in os.walk(folder):
        base = Path(here).relative_to(folder)
        linked.extend((base / name).as_posix() + "/" for name in folders if os.path.islink(os.path.join(here, name)))
        for name in files:
            yield (base / name).as_posix()
        if not recursive:
            return


def normalised(text: str) -> str:
    """NFC, so that a file listed on macOS and on Linux has one id; refuses names that are not valid Unicode."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise StimulusError(f"the file name {text!r} is not valid Unicode; rename it") from None
    return unicodedata.normalize("NFC", text)


def read_table(
    path: Path, *, id_column: str | None = None, path_column: str | None = None
) -> tuple[list[str], list[Path], pd.DataFrame]:
    """The stimuli of a table, see :func:`bltvs_neuro.tables.read_cells`.

    Returns
    -------
    ids : list of str
        The id column as text (``007`` stays ``007``); without one, the path column.
    paths : list of Path
        Relative ones are relative to the table's folder.
    metadata : DataFrame
        All other columns that have a name, as whole numbers, numbers, booleans or text (``007`` stays text).

    Raises
    ------
    StimulusError
        The table cannot be read, has no such column, an empty cell in one of the two, repeated ids or missing files.
    """
    try:
        grid = read_cells(path)
        text = grid.frame()
    except FileNotFoundError:
        raise StimulusError(f"there is no table {path}") from None
    except (DataError, OSError) as error:
        raise StimulusError(str(error)) from error
    if grid.short_header:
        raise StimulusError(f"{path}: rows have more cells than the header has columns")
    columns = list(text.columns)
    if id_column is None:
        id_column = next((column for column in columns if column.lower() == ID_COLUMN), None)
    if path_column is None:
        candidates = [column for column in columns if column.lower() in PATH_COLUMNS]
        if len(candidates) != 1:
            what = f"any of {', '.join(candidates)}" if candidates else "none of the columns"
            say = argument("path_column", "NAME", otherwise="the name 'path' for one column alone")
            raise StimulusError(f"{path}: {what} may be the path; say {say}; its columns: {', '.join(columns)}")
        path_column = candidates[0]
    id_column = path_column if id_column is None else id_column
    for column in (id_column, path_column):
        if column not in columns:
            raise StimulusError(f"{path} has no column {column!r}; it has: {', '.join(columns)}")
    for column in (id_column, path_column):
        text[column] = text[column].str.strip()
        empty = [str(row + 2) for row, cell in enumerate(text[column]) if cell == ""]
        if empty:
            raise StimulusError(f"{path}: column {column!r} is empty in row {listed(empty)} (the header is row 1)")
    ids = [normalised(str(value)) for value in text[id_column]]
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise StimulusError(
            f"{path}: {len(repeated)} ids are in more than one row: {listed(repeated)}; "
            "a stimulus set lists every stimulus once, presentations belong to the responses"
        )
    paths = [path.parent / value for value in text[path_column]]
    missing = [str(file) for file in paths if not file.is_file()]
    if missing:
        raise StimulusError(f"{path}: {len(missing)} of {len(paths)} files are missing: {listed(missing, 4)}")
    metadata = {
        name: _metadata(text[name], grid.decimal) for name in columns if name not in (id_column, path_column, "")
    }
    return ids, paths, pd.DataFrame(metadata, index=pd.RangeIndex(len(ids)))


def _metadata(cells: pd.Series, decimal: str) -> pd.Series:
    """A column with the type of what it holds; text that says that there is none is missing."""
    values = typed(cells.tolist(), decimal)
    return pd.Series([None if cell in NONE else cell for cell in values] if values.dtype == object else values)
