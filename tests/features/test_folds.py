"""Folds: what must stay together is known for every row."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.features.folds import group_folds


@pytest.mark.parametrize(
    "labels",
    [np.array([1, np.nan, np.nan, 2]), [None, "a", None, "b"], np.array(["2020-01-01", "NaT", "NaT"], "datetime64[D]")],
)
def test_rows_without_their_group_are_refused(labels):
    with pytest.raises(DataError, match=f"2 of {len(labels)} rows lack the label"):
        group_folds(labels, 2)
