"""Whether plain arrays are RDMs or responses: by their shape, a few of their values, and the number of stimuli.

A square, symmetric array with a diagonal of zeros is an RDM. A row as long as the pairs of some number of stimuli may
be a condensed RDM or a presentation: the list of stimuli tells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import SpecError, argument, unknown
from ...tables import SEPARATORS, Grid, numberlike, read_cells
from ..condensed import looks_like_rdm, n_pairs
from .columns import coordinate_of
from .files import Variable, kind, load_arrays, variables
from .ids import ID_KEYS, Stimuli, known_ids
from .peek import SIDE, corners
from .tables import SquareTable, apart, has_header, square

Holds = Literal["rdms", "responses"]

NEUROID_ARRAYS = ("subject", "roi", "voxel", "electrode", "neuroid_id", "i", "j", "k", "hemisphere", "ncsnr")
"""Arrays of a file that are coordinates on neuroid."""

CONTAINERS = ("npy", "npz", "matlab5", "matlab73", "hdf5")

MOST_IDS = 2**22
"""A longer array under a name of stimulus ids is not read to count them."""


def sniff(
    what: Holds, path: Path, stimuli: Stimuli | Mapping[str, str] = None, key: str | None = None,
    id_column: str | None = None, columns: str | Sequence[str] | None = None,
) -> Literal[0, 1]:  # fmt: skip
    """Whether a container or table has an array that is, or may be, RDMs or responses, given the options of the two readers.

    The number of ``stimuli`` tells rows of pairs from presentations; rows of chosen columns are presentations.
    """
    if kind(path) == "table":
        chosen = id_column is not None or columns is not None
        found: set[Holds] = {"responses"} if chosen else _table_holds(path, stimuli)
    elif kind(path) in CONTAINERS:
        found = set().union(*candidates(path, variables(path), stimuli, key).values())
    else:
        found = set()
    return 1 if what in found else 0


def candidates(
    path: Path, held: Mapping[str, Variable], stimuli: Stimuli | Mapping[str, str] = None, key: str | None = None
) -> dict[str, set[Holds]]:
    """Arrays that may be RDMs or responses, and which."""
    found: dict[str, set[Holds]] = {}
    counts = None
    for name, variable in held.items():
        type_ = _kind_of_type(variable.dtype)
        if (
            (is_label(name, variable.shape) if key is None else name != key)
            or type_ not in "fiub"
            or not math.prod(variable.shape)
        ):
            continue
        counts = _counts(path, held, stimuli) if counts is None else counts
        fits = shape_holds(variable.shape, counts)
        if _squares(variable.shape) and _mirrored(path, name, variable):
            fits = {"rdms"}
        if fits and (type_ != "b" or fits == {"rdms"}):  # other booleans are masks
            found[name] = fits
    large = {name: fits for name, fits in found.items() if sum(n > 1 for n in held[name].shape) > 1}
    return large or found  # vectors beside larger arrays are labels


def check_key(path: Path, key: str | None) -> None:
    """Refuse to choose an array by name where a file holds a single one without a name."""
    if key is not None and kind(path) in ("npy", "table"):
        raise SpecError(f"{path} holds one array, which has no name: leave {argument('key')} out")


def choose_array(
    path: Path, held: Mapping[str, Variable], stimuli: Stimuli | Mapping[str, str], key: str | None, what: Holds
) -> tuple[str | None, list[str]]:
    """The array that is meant, None where it is not clear, and the names of those that may be."""
    if key is not None and key not in held:
        raise unknown("key", key, list(held))
    found = candidates(path, held, stimuli)
    fits = [name for name, some in found.items() if some == {what}] or [n for n, some in found.items() if what in some]
    return key if key is not None else fits[0] if len(fits) == 1 else None, fits


def is_label(name: str, shape: tuple[int, ...]) -> bool:
    """Whether an array of this name and shape labels others."""
    vector = sum(n > 1 for n in shape) < 2
    return name in (*ID_KEYS, *NEUROID_ARRAYS, "time") or (vector and coordinate_of(name) is not None)


def shape_holds(shape: tuple[int, ...], counts: set[int]) -> set[Holds]:
    """What an array whose values tell nothing may be; ``counts`` are lengths of lists of stimuli that may belong to it."""
    if len(shape) == 3:
        return {"responses"} if shape[0] > 1 else set()
    if len(shape) not in (1, 2):
        return set()
    rows, width = (1, shape[0]) if len(shape) == 1 else shape
    column = n_stimuli(rows) if width == 1 else 0  # pairs below each other, as MATLAB may keep them
    fits: set[Holds] = set()
    # few columns, and as many as rows, are too common to be guessed as pairs
    if any(n in counts if counts else n > 3 and rows != width for n in (n_stimuli(width), column) if n):
        fits.add("rdms")
    if len(shape) == 2 and (rows in counts or (rows > 1 and (not counts or not fits))):
        fits.add("responses")
    return fits


def n_stimuli(pairs: int) -> int:
    """Number of stimuli with this many pairs, 0 if there is none."""
    n = (1 + math.isqrt(1 + 8 * pairs)) // 2
    return n if n > 1 and n_pairs(n) == pairs else 0


def either(path: Path) -> str:
    """How the two readings of an array differ, for an error message."""
    shapes = [variable.shape for name, variable in variables(path).items() if not is_label(name, variable.shape)]
    shape = next((shape for shape in shapes if len(shape) == 2 and n_stimuli(shape[1])), None)
    if shape is None:
        return "its rows may be condensed RDMs or presentations"
    return f"{shape[0]} rows of {shape[1]} may be RDMs of {n_stimuli(shape[1])} stimuli or presentations of neuroids"


def _counts(path: Path, held: Mapping[str, Variable], stimuli: Stimuli | Mapping[str, str]) -> set[int]:
    given = stimuli is not None and not isinstance(stimuli, Mapping)
    keys = [name for name in held if name in ID_KEYS and math.prod(held[name].shape) <= MOST_IDS and not given]
    lists = known_ids(path, stimuli, load_arrays(path, keys) if keys else {})[1]
    return {len(ids) for ids in lists}


def _table_holds(path: Path, stimuli: Stimuli | Mapping[str, str]) -> set[Holds]:
    """What a table may hold, from its first rows; a .txt file without numbers at its beginning is none."""
    if path.suffix.lower() not in SEPARATORS:
        with path.open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(4096)
        if not any(numberlike(word) for word in re.split(r"[\s,;\"]+", head)):
            return set()
    grid = read_cells(path, rows=SIDE + 1)
    whole = len(grid.cells) <= SIDE
    found = square(grid) if whole else _corner_of_table(grid)
    if found is not None and (found.agree or looks_like_rdm(found.values)):
        return {"rdms"}
    table = apart(grid)
    counts = {len(ids) for ids in known_ids(path, stimuli, {})[1]}
    if (table.ids is not None and not table.counted) or (table.coordinates and not counts):
        return {"responses"}
    if not whole:  # as many rows as a list has entries are not ruled out
        return shape_holds((max(counts, default=SIDE + 1), table.values.shape[1]), counts)
    return shape_holds(table.values.shape, counts)


def _corner_of_table(grid: Grid) -> SquareTable | None:
    """The upper left corner of a table that may be square, with or without a column of labels."""
    header = has_header(grid)
    side = len(grid.cells) - header
    for first in (0, 1):
        if grid.cells.shape[1] >= side + first:
            corner = Grid(grid.path, grid.cells[:, : side + first], grid.decimal, grid.short_header)
            found = square(corner)
            if found is not None and (found.agree or looks_like_rdm(found.values)):
                return found
    return None


def _squares(shape: tuple[int, ...]) -> bool:
    if len(shape) == 2:
        return shape[0] == shape[1] > 1
    return len(shape) == 3 and 1 < shape[1] in (shape[0], shape[2])


def _kind_of_type(dtype: str) -> str:
    """``"f"``, ``"i"``, ... of a type's name in numpy or MATLAB."""
    try:
        return np.dtype({"logical": "bool"}.get(dtype, dtype)).kind
    except TypeError:
        return "O"


def _mirrored(path: Path, name: str, variable: Variable) -> bool:
    """Whether the matrices of an array look like RDMs; one too large to be looked at is believed to."""
    readings = corners(path, name, variable)
    return not readings or any(
        all(np.isnan(corner).all() or looks_like_rdm(corner) for corner in matrices) for matrices in readings
    )
