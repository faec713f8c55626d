"""The labels that both forms share: unique ids, the ids of pairs, counts of repetitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, listed


def pair_coords(stimulus_ids: Sequence[str]) -> dict[str, NDArray[np.object_]]:
    """``stimulus_a`` and ``stimulus_b`` of every pair in condensed order.

    They are object arrays, whose entries share the ids: text arrays would weigh more than the dissimilarities.
    """
    ids = np.empty(len(stimulus_ids), dtype=object)
    ids[:] = list(stimulus_ids)
    row, column = np.triu_indices(len(ids), 1)
    return {"stimulus_a": ids[row], "stimulus_b": ids[column]}


def unique_ids(stimulus_ids: Iterable[str]) -> tuple[str, ...]:
    """``stimulus_ids`` as text; a DataError names those that repeat."""
    ids = tuple(str(stimulus) for stimulus in stimulus_ids)
    if len(set(ids)) != len(ids):
        seen: dict[str, int] = {}
        for stimulus in ids:
            seen[stimulus] = seen.get(stimulus, 0) + 1
        twice = [f"{stimulus} ({count} times)" for stimulus, count in seen.items() if count > 1]
        raise DataError(f"stimulus ids are unique; these repeat: {listed(twice)}")
    return ids


def count_repetitions(stimulus_ids: Iterable[str]) -> NDArray[np.int64]:
    """How often each presentation's stimulus was shown before."""
    seen: dict[str, int] = {}
    counts = []
    for stimulus in stimulus_ids:
        counts.append(seen.get(stimulus, 0))
        seen[stimulus] = counts[-1] + 1
    return np.array(counts, dtype=np.int64)
