"""The labels that both forms share: unique ids, the ids of pairs, counts of repetitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import DataError, listed
from ...foreign.text import utf8_names

RESERVED = frozenset((
    "stimulus_id", "repetition", "presentation", "neuroid", "time", "values", "stimulus_ids", "neuroid_coords", "attrs",
))  # fmt: skip
"""Names that mean something else in responses, or are arguments of ``make_responses``."""


def pair_coords(stimulus_ids: Sequence[str]) -> dict[str, NDArray[np.object_]]:
    """``stimulus_a`` and ``stimulus_b`` of every pair in condensed order.

    They are object arrays, whose entries share the ids: text arrays would weigh more than the dissimilarities.
    """
    ids = np.empty(len(stimulus_ids), dtype=object)
    ids[:] = list(stimulus_ids)
    row, column = np.triu_indices(len(ids), 1)
    return {"stimulus_a": ids[row], "stimulus_b": ids[column]}


def id_text(value: Any) -> str | None:
    """An id as text, or None for what stands for a missing one: None, NaN, an empty text.

    Whole numbers that a column with gaps turned into floats are whole again.

    Examples
    --------
    >>> id_text(11.0), id_text(7), id_text("007"), id_text(float("nan")), id_text(" ")
    ('11', '7', '007', None, None)
    """
    if value is None or (np.ndim(value) == 0 and not isinstance(value, str | bytes) and pd.isna(value)):
        return None
    if isinstance(value, bytes):
        value = utf8_names([value], "labels in a binary file")[0]
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    text = str(value)
    if "\0" in text:  # numpy and pandas end a text there, so that two of them would become one
        raise DataError(f"the label {text!r} holds a NUL")
    return text if text.strip() else None


def id_texts(stimulus_ids: Iterable[Any]) -> list[str]:
    """Ids as text; a DataError says which are missing, so that no two unlabelled items are taken for one stimulus."""
    ids = [id_text(stimulus) for stimulus in stimulus_ids]
    gone = [position for position, stimulus in enumerate(ids) if stimulus is None]
    if gone:
        raise DataError(
            f"{len(gone)} of {len(ids)} stimulus ids are missing (None, NaN or empty), at positions {listed(gone)} from 0"
        )
    return [stimulus for stimulus in ids if stimulus is not None]


def unique_ids(stimulus_ids: Iterable[str]) -> tuple[str, ...]:
    """``stimulus_ids`` as text; a DataError names those that repeat or are missing."""
    ids = tuple(id_texts(stimulus_ids))
    twice = [f"{stimulus} ({count} times)" for stimulus, count in Counter(ids).items() if count > 1]
    if twice:
        raise DataError(f"stimulus ids are unique; these repeat: {listed(twice)}")
    return ids


def count_repetitions(stimulus_ids: Iterable[Hashable]) -> NDArray[np.int64]:
    """How often each presentation's stimulus was shown before."""
    shown: dict[Hashable, int] = {}  # not pandas, whose older versions end a text at a NUL
    before = []
    for stimulus in stimulus_ids:
        before.append(shown.get(stimulus, 0))
        shown[stimulus] = before[-1] + 1
    return np.array(before, np.int64)
