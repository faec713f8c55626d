"""Folds: what must stay together is known for every row."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.features.folds import group_folds, join_groups


@pytest.mark.parametrize(
    "labels",
    [np.array([1, np.nan, np.nan, 2]), [None, "a", None, "b"], np.array(["2020-01-01", "NaT", "NaT"], "datetime64[D]")],
)
def test_rows_without_their_group_are_refused(labels):
    with pytest.raises(DataError, match=f"2 of {len(labels)} rows lack the label"):
        group_folds(labels, 2)


def test_texts_that_differ_behind_a_nul_are_other_groups() -> None:
    """pandas 2 ends a text at a NUL."""
    assert join_groups(["a\0b", "a\0c", "a\0b"]).tolist() == [0, 1, 0]
