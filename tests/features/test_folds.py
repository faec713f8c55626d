"""Folds: what must stay together is known for every row."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.folds import Folds, group_folds, inner_blocks, join_groups


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


def test_folds_that_there_are():
    assert (Folds().folds, Folds(2).folds) == (5, 2)
    assert sorted(fold.test.tolist() for fold in group_folds(["a", "b"], 2)) == [[0], [1]]
    for folds in (1, True, 2.0, "3"):
        with pytest.raises(SpecError, match="folds is an integer of at least 2|folds"):
            Folds(folds)


def test_the_largest_group_is_dealt_first():
    """Groups of 4, 1, 1, 1 and 1 rows make two folds of 4; the other way around one would have more."""
    for seed in range(5):
        folds = group_folds(["a", "b", "c", "c", "c", "c", "d", "e"], 2, seed=seed)
        assert sorted(fold.test.tolist() for fold in folds) == [[0, 1, 6, 7], [2, 3, 4, 5]]
        assert all(sorted([*fold.train, *fold.test]) == list(range(8)) for fold in folds)


def test_folds_of_no_seed_are_those_of_seed_0():
    labels = [f"s{i}" for i in range(12)]
    for a, b in zip(group_folds(labels, 3), group_folds(labels, 3, seed=0), strict=True):
        assert a.test.tolist() == b.test.tolist()
    train = np.arange(2, 12)
    made = inner_blocks(labels, train, 2)
    assert [block.tolist() for block in made] == [b.tolist() for b in inner_blocks(labels, train, 2, seed=0)]
    assert [block.tolist() for block in made] != [b.tolist() for b in inner_blocks(labels, train, 2, seed=1)]
