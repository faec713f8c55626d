"""Events of BIDS: which table belongs to an image, the stimulus of each volume, and what else the rows say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, argument, counted, listed
from ...leftovers import data_files
from ...tables import read_cells
from ..reader import same_label
from .bids_names import Named, agree, named
from .ids import ID_KEYS
from .labels import RESERVED

if TYPE_CHECKING:
    import pandas as pd

NO_STIMULUS = ("", "n/a", "nan")
"""What a cell says, in lower case, where there is none."""

LABELS = ("session", "run")
"""Columns that are labels even where they look like numbers."""

TAKEN = RESERVED | {"subject", "roi", "i", "j", "k"}


def events_of(image: Named, root: Path) -> Path:
    """The ``_events.tsv`` with most of an image's entities, beside it or else below ``root``; DataError for none or several."""
    fitting: list[Named] = []
    for folder, recursive in ((image.path.parent, False), (root, True)):
        tables = map(named, data_files(folder, "*_events.tsv", recursive=recursive))
        fitting = [table for table in tables if table is not None and agree(table.entities, image)]
        if fitting:
            break
    most = max((len(table.entities) for table in fitting), default=0)
    nearest = [table.path for table in fitting if len(table.entities) == most]
    if not nearest:
        raise DataError(
            f"{image.path} does not name its volumes: there is no _events.tsv with its entities "
            f"({listed(f'{key}-{value}' for key, value in image.entities.items())}); pass {argument('stimuli')}"
        )
    if len(nearest) > 1:
        raise DataError(f"{image.path} has {len(nearest)} tables of events, {listed(nearest)}: keep one of them")
    return nearest[0]


def read_events(path: Path, image: Named, count: int, column: str | None) -> pd.DataFrame:
    """The rows that show a stimulus, as text, with its id as ``stimulus_id``; one per volume of the image, or a DataError."""
    table = read_cells(path).frame()
    if column is None:
        have = [key for key in ID_KEYS if key in table]
        column = next((key for key in have if _shown(table[key]).any()), have[0] if have else None)
        if column is None:
            raise DataError(
                f"{path} has no column of stimulus ids ({listed(ID_KEYS)}); its columns: {listed(table.columns)}; "
                f"name one with {argument('column')}"
            )
    elif column not in table:
        raise DataError(f"{path} has no column {column!r}; its columns: {listed(table.columns)}")
    shown = _shown(table[column])
    if shown.sum() != count:
        none = f" ({int((~shown).sum())} of {len(table)} rows say n/a)" if not shown.all() else ""
        raise DataError(
            f"{path} names {counted(int(shown.sum()), 'stimuli')} in its column {column}{none}, but {image.path.name} has "
            f"{count} volumes; pass {argument('stimuli')} for all of them, or another {argument('column')}"
        )
    rows = table[shown].reset_index(drop=True)
    for word, key in (("session", "ses"), ("run", "run")):
        own = image.entities.get(key)
        other = [v for v in rows.get(word, ()) if own is not None and _is_said(v) and not same_label(v, own)]
        if other:
            raise DataError(f"{path} says {word} {listed(dict.fromkeys(other))}, but the names say {key}-{own}")
    return rows.assign(stimulus_id=rows[column])


def presentation_coords(tables: Sequence[pd.DataFrame]) -> dict[str, NDArray[Any]]:
    """Columns that all tables have, one value per presentation: numbers where all cells are (NaN for n/a), else text."""
    import pandas as pd

    joined = pd.concat(tables, join="inner", ignore_index=True)
    coords = {}
    for name in joined.columns:
        if name in TAKEN or not name.isidentifier():
            continue
        cells = joined[name].where(_shown(joined[name]), "")
        numbers = pd.to_numeric(cells.replace("", "nan"), errors="coerce")
        if name in LABELS or (numbers.isna() & (cells != "")).any() or numbers.isna().all():
            coords[name] = cells.to_numpy(object)
        else:
            coords[name] = numbers.to_numpy(np.float64 if numbers.isna().any() else None)
    return coords


def _shown(cells: pd.Series) -> NDArray[np.bool_]:
    return np.array([_is_said(cell) for cell in cells], dtype=bool)


def _is_said(cell: str) -> bool:
    return cell.lower() not in NO_STIMULUS
