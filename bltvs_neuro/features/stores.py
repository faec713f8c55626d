"""Stores as an analysis is given them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..errors import SpecError, unknown
from ..schema import STIMULUS_ID
from ..store import open_store

if TYPE_CHECKING:
    import pandas as pd

Activations = Any
"""A store or its path, or a mapping of sites to arrays."""


def store_of(activations: Activations) -> Any:
    """Open the store at a path; whatever else is given stays as it is."""
    return open_store(activations) if isinstance(activations, str | os.PathLike) else activations


def origin_of(activations: Activations) -> dict[str, Any]:
    """The name of a store as ``path``, and its provenance; what has none is silent."""
    path = getattr(activations, "path", None)
    return {**({} if path is None else {"path": path.name}), **(getattr(activations, "provenance", None) or {})}


def stimulus_column(stimuli: pd.DataFrame, name: str) -> pd.Series:
    """A column of a store's stimuli; a SpecError says which there are, or how stimuli come to have some."""
    if name in stimuli:
        return stimuli[name]
    columns = [str(column) for column in stimuli.columns if column != STIMULUS_ID]
    if not columns:
        raise SpecError(
            f"the store's stimuli have no column {name!r}, and no other: extract from a folder with one folder per class, or "
            "from a table with columns"
        )
    raise unknown("column of the stimuli", name, columns)
