"""Finding stimuli: the images below a folder, and the rows of a table."""

from __future__ import annotations

import logging
import mimetypes
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
from natsort import natsort_keygen, ns

from ..errors import DataError, StimulusError, StimulusWarning, argument, counted, listed
from ..leftovers import is_leftover
from ..paths import not_a_file, printable
from ..tables import NONE, read_cells, typed
from .decode import IMAGE_FORMATS, OTHER_PICTURES, signature

log = logging.getLogger(__name__)

ID_COLUMN = "stimulus_id"
PATH_COLUMNS = ("path", "stimulus_path", "filename", "file", "image", "image_path")
"""Columns of a table that are taken as the path when none is named."""

Identity = tuple[int, int]

_natural = natsort_keygen(alg=ns.PATH)


NO_KIND = "pictures of a kind that is not read (convert them to PNG)"
NO_ENDING = "pictures without the extension of one (rename them)"
CIRCLE = "linked folders that lead back to a folder they lie in"
LEFT_OUT = {NO_KIND: True, NO_ENDING: True, CIRCLE: True, "hidden or left by a system": False, "no image": False,
            "not matching the pattern": False}  # fmt: skip
"""Why a file or folder is no stimulus -> whether to warn of it, because it may have been meant to be one."""


def list_images(folder: Path, *, pattern: str = "*", recursive: bool = True) -> tuple[list[str], list[Path]]:
    """Ids and paths of the images below a folder, in natural order (``img2`` before ``img10``).

    Ids are paths relative to the folder, POSIX, with extension, NFC-normalised. Links to files and to folders are followed.
    What is left out is logged; a :class:`StimulusWarning` tells of pictures that cannot be read and of links that run in circles.
    """
    if not folder.is_dir():
        raise StimulusError(f"{folder} is {'not a folder' if folder.exists() else 'missing'}")
    pattern = unicodedata.normalize("NFC", pattern)
    found: dict[str, Path] = {}
    ignored: dict[str, list[str]] = {kind: [] for kind in LEFT_OUT}
    for relative in _walk(folder, "", recursive, ignored[CIRCLE], frozenset({_identity(folder)})):
        kind = _left_out(folder, relative, pattern)
        if kind is not None:
            ignored[kind].append(printable(relative))
            continue
        path = folder / relative
        if why := not_a_file(path):
            raise StimulusError(f"{why}; remove it" + (" or restore its target" if path.is_symlink() else ""))
        stimulus_id = normalised(relative)
        if stimulus_id in found:
            raise StimulusError(
                f"two files below {folder} have the id {stimulus_id!r}: their names differ only "
                "in how accents are encoded; rename one"
            )
        found[stimulus_id] = path
    said = {kind: f"{kind}: {len(names)} ({listed(sorted(names), 4)})" for kind, names in ignored.items() if names}
    if not found:
        raise StimulusError(
            f"no images {'in or below' if recursive else 'in'} {folder} "
            f"(extensions {', '.join(IMAGE_FORMATS)}; pattern {pattern!r}); found: {'; '.join(said.values()) or 'nothing'}"
        )
    told = [text for kind, text in said.items() if LEFT_OUT[kind]]
    if told:
        warnings.warn(f"{folder}: left out {'; '.join(told)}", StimulusWarning, stacklevel=3)
    quiet = [text for kind, text in said.items() if not LEFT_OUT[kind]]
    if quiet:
        log.info("%s: ignored %s", folder, "; ".join(quiet))
    ids = sorted(found, key=lambda stimulus_id: (_natural(stimulus_id), stimulus_id))
    return ids, [found[stimulus_id] for stimulus_id in ids]


def folder_columns(ids: Sequence[str]) -> dict[str, list[str]]:
    """What the folders of a set of pictures tell: ``category`` where each lies in one of several folders.

    Pictures that all lie deeper have a column for each level instead, ``folder_1``, ``folder_2``, ...: which of them is the
    category is not for us to guess. Where some lie deeper than others, or all in one folder, folders tell nothing.

    Examples
    --------
    >>> folder_columns(["cat/1.png", "dog/1.png"]), folder_columns(["cat/1.png", "1.png"])
    ({'category': ['cat', 'dog']}, {})
    """
    folders = [stimulus_id.split("/")[:-1] for stimulus_id in ids]
    if len(set(map(len, folders))) != 1 or len(set(map(tuple, folders))) < 2:
        return {}
    levels = [list(level) for level in zip(*folders, strict=True)]
    return {"category": levels[0]} if len(levels) == 1 else {f"folder_{n}": level for n, level in enumerate(levels, 1)}


def _left_out(folder: Path, relative: str, pattern: str) -> str | None:
    """Why a file is no stimulus, a key of :data:`LEFT_OUT`; None where it is one."""
    if is_leftover(relative):
        return "hidden or left by a system"
    ending = os.path.splitext(relative)[1].lower()
    named = ending in IMAGE_FORMATS
    if named or ending in OTHER_PICTURES or _begins_like_one(folder / relative):
        if not fnmatchcase(unicodedata.normalize("NFC", relative), pattern):
            return "not matching the pattern"
        return None if named else NO_KIND if ending in OTHER_PICTURES else NO_ENDING
    return "no image"


def _begins_like_one(path: Path) -> bool:
    """Whether a file whose extension says nothing begins like a picture."""
    if mimetypes.guess_type(path.name)[0] is not None or not_a_file(path) is not None:
        return False
    try:
        return signature(path) is not None
    except OSError:  # may not be read
        return False


def _walk(folder: Path, below: str, recursive: bool, circles: list[str], above: frozenset[Identity]) -> Iterator[str]:
    """Relative POSIX paths of all files, links to folders followed unless they lead to one of those ``above``."""
    try:
        with os.scandir(folder / below) as entries:
            here = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise StimulusError(f"the folder {folder / below} cannot be read ({error.strerror})") from None
    for entry in here:
        relative = below + entry.name
        # os.path.isdir takes a link to itself for no folder, where entry.is_dir would raise
        if not os.path.isdir(entry.path):
            yield relative
        elif recursive and is_leftover(entry.name):
            yield relative + "/"
        elif recursive:
            identity = _identity(entry.path)
            if identity in above:
                circles.append(printable(relative) + "/")
            else:
                yield from _walk(folder, relative + "/", recursive, circles, above | {identity})


def _identity(folder: str | Path) -> Identity:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


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
    """Ids, paths and metadata of the stimuli of a table, see :func:`bltvs_neuro.tables.read_cells`.

    Ids are the text of the id column (``007`` stays ``007``), without one of the path column. Relative paths are relative to
    the table's folder. All other columns that have a name are metadata: whole numbers, numbers, booleans or text.
    """
    try:
        grid = read_cells(path)
        text = grid.frame()
    except DataError as error:
        raise StimulusError(str(error)) from error
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
        empty = [str(row + 2) for row, cell in enumerate(text[column]) if cell == ""]
        if empty:
            raise StimulusError(f"{path}: column {column!r} is empty in row {listed(empty)} (the header is row 1)")
    ids = [normalised(str(value)) for value in text[id_column]]
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise StimulusError(
            f"{path}: {counted(len(repeated), 'ids', 'are')} in more than one row: {listed(repeated)}; "
            "a stimulus set lists every stimulus once, presentations belong to the responses"
        )
    paths = [path.parent / value for value in text[path_column]]
    missing = [str(file) for file in paths if not_a_file(file)]
    if missing:
        raise StimulusError(f"{path}: {len(missing)} of {len(paths)} files are missing: {listed(missing, 4)}")
    metadata = {}
    for name in columns:
        if name not in (id_column, path_column, ""):
            values = typed(text[name].tolist(), grid.decimal)
            metadata[name] = [None if cell in NONE else cell for cell in values] if values.dtype == object else values
    return ids, paths, pd.DataFrame(metadata, index=pd.RangeIndex(len(ids)))
