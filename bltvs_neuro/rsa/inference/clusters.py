"""Stimuli in categories: whole categories are drawn and left out, so that results hold for new categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError, SpecError, argument, listed
from ..comparing.weighted import Units
from .variance import Over

LEAST_CATEGORIES = 6
"""Fewer categories say nothing about others."""
FEW_CATEGORIES = 12
"""With fewer, intervals are rough, which is said."""


def read_clusters(clusters: Any) -> dict[str, str] | None:
    """Categories of stimuli as {id: category}, from a mapping or a pandas.Series with ids as index."""
    if clusters is None:
        return None
    if not isinstance(clusters, Mapping | pd.Series):
        raise SpecError(
            f"{argument('clusters')} is the category of each stimulus, {{id: category}}, such as "
            f"stimuli.set_index('stimulus_id')['category']; got {clusters!r}"
        )
    return {str(key): str(value) for key, value in clusters.items() if not pd.isna(value)}


def cluster_numbers(clusters: Mapping[str, str] | None, ids: Sequence[str]) -> Units:
    """Number of the category of each stimulus, (n,).

    Raises
    ------
    DataError
        A stimulus without category, or fewer than :data:`LEAST_CATEGORIES`.
    """
    if clusters is None:
        return None
    absent = [one for one in ids if one not in clusters]
    if absent:
        raise DataError(f"stimuli without category: {listed(absent)}")
    names = list(dict.fromkeys(clusters[one] for one in ids))
    if len(names) < LEAST_CATEGORIES:
        raise DataError(
            f"results for new categories need at least {LEAST_CATEGORIES}; got {len(names)}: {listed(names)}. "
            f"Without {argument('clusters')} results hold for new stimuli of these categories"
        )
    return np.array([names.index(clusters[one]) for one in ids])


def generalises_to(over: Over, clusters: Units) -> str:
    """What intervals and tests hold for, in words."""
    stimuli = "new stimuli of the same categories" if clusters is None else "new categories of stimuli"
    return {
        "both": f"new subjects, {stimuli}",
        "stimuli": f"these subjects, {stimuli}",
        "subjects": "new subjects, these stimuli",
    }[over]
