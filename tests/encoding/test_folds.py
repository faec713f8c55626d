from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.folds import group_folds, inner_blocks, join_groups


@settings(max_examples=50, deadline=None)
@given(groups=st.lists(st.integers(0, 12), min_size=8, max_size=60), seed=st.integers(0, 5), k=st.integers(2, 5))
def test_no_group_straddles_and_every_row_is_tested_once(groups: list[int], seed: int, k: int) -> None:
    if len(set(groups)) < k:
        with pytest.raises(DataError, match=f"{len(set(groups))} stimuli cannot be split into {k} folds"):
            group_folds(groups, k, seed=seed)
        return
    labels = np.array(groups)
    folds = group_folds(labels, k, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in folds])), np.arange(len(groups)))
    for fold in folds:
        assert not set(labels[fold.train]) & set(labels[fold.test])
        assert len(fold.train) + len(fold.test) == len(groups)
        assert len(fold.test)


def test_folds_of_equal_groups_are_equal_and_follow_the_seed() -> None:
    groups = np.repeat(np.arange(20), 3)
    a, b, c = (group_folds(groups, 5, seed=seed) for seed in (0, 0, 1))
    assert {len(f.test) for f in a} == {12}
    assert all(np.array_equal(x.test, y.test) for x, y in zip(a, b, strict=True))
    assert any(not np.array_equal(x.test, y.test) for x, y in zip(a, c, strict=True))


def test_inner_blocks_are_nested_within_the_training_rows() -> None:
    groups = np.repeat(np.arange(20), 3)
    train = group_folds(groups, 5)[0].train
    blocks = inner_blocks(groups, train, 4)
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(len(train)))
    held = [set(groups[train][block]) for block in blocks]
    assert sum(map(len, held)) == len(set().union(*held))


def test_stimuli_and_runs_that_overlap_form_one_group() -> None:
    assert join_groups(["a", "b", "a", "c", "d"], [1, 1, 2, 2, 3]).tolist() == [0, 0, 0, 0, 1]
    assert join_groups(["x", "y", "x"]).tolist() == [0, 1, 0]
    with pytest.raises(SpecError, match=r"one label per row; got lengths \[2, 3\]"):
        join_groups(["a", "b"], [1, 2, 3])


def test_one_fold_is_refused() -> None:
    with pytest.raises(SpecError, match="at least 2 folds"):
        group_folds(["a", "b"], 1)
