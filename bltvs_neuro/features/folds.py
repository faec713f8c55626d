"""Cross-validation that never splits a group: repetitions of a stimulus, or runs, stay on one side of every fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import DataError, SpecError


class Fold(NamedTuple):
    """Row positions of one fold, ascending."""

    train: np.ndarray
    test: np.ndarray


def join_groups(*labels: Sequence[object] | np.ndarray) -> np.ndarray:
    """Number the groups that must stay together when rows share any one of several labels.

    Parameters
    ----------
    *labels : sequences of length n
        For example the stimulus and the run of every presentation.

    Returns
    -------
    array of int, shape (n,)
        Rows that share a label, directly or through other rows, have the same number; in order of first appearance.

    Examples
    --------
    >>> join_groups(["a", "b", "b", "c"], [1, 1, 2, 3]).tolist()
    [0, 0, 0, 1]
    """
    if not labels or len({len(label) for label in labels}) != 1:
        raise SpecError(f"groups need one label per row; got lengths {[len(label) for label in labels]}")
    n = len(labels[0])
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for label in labels:
        first: dict[object, int] = {}
        for i, value in enumerate(np.asarray(label).tolist()):
            a, b = root(first.setdefault(value, i)), root(i)
            parent[max(a, b)] = min(a, b)
    roots = [root(i) for i in range(n)]
    number = {r: k for k, r in enumerate(dict.fromkeys(roots))}
    return np.array([number[r] for r in roots], dtype=np.intp)


def group_folds(
    groups: Sequence[object] | np.ndarray, n_folds: int, *, seed: int = 0, what: str = "stimuli"
) -> list[Fold]:
    """Split rows into folds by group.

    Groups are shuffled, then dealt out from the largest to the smallest, each to the fold with the fewest rows.

    Parameters
    ----------
    groups : sequence of length n
        What must stay together, for example the stimulus_id of every presentation.
    n_folds : int
        At least 2.
    seed : int
        Of the shuffle.
    what : str
        What the groups are, for the error message.

    Returns
    -------
    list of Fold
        Every row is in the test set of exactly one fold.

    Raises
    ------
    SpecError
        Fewer than 2 folds.
    DataError
        Fewer groups than folds.

    Examples
    --------
    >>> [fold.test.tolist() for fold in group_folds(["a", "a", "b", "b"], 2)]
    [[0, 1], [2, 3]]
    """
    if n_folds < 2:
        raise SpecError(f"cross-validation needs at least 2 folds; got {n_folds}")
    number = join_groups(groups)
    sizes = np.bincount(number)
    if len(sizes) < n_folds:
        raise DataError(
            f"{len(sizes)} {what} cannot be split into {n_folds} folds without putting one on both sides: use at most"
            f" {len(sizes)} folds, or more {what}"
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(n_folds, dtype=np.intp)
    fold_of = np.empty(len(sizes), dtype=np.intp)
    for group in order:
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    held = fold_of[number]
    return [Fold(np.flatnonzero(held != k), np.flatnonzero(held == k)) for k in range(n_folds)]


def inner_blocks(
    groups: Sequence[object] | np.ndarray, train: np.ndarray, n_folds: int, *, seed: int = 0, what: str = "stimuli"
) -> list[np.ndarray]:
    """Held-out blocks within the training rows of an outer fold, by the same groups.

    Returns
    -------
    list of arrays
        Positions within ``train``, as :func:`bltvs_neuro.encoding.solvers.ridge.fit_ridge` takes them.
    """
    return [fold.test for fold in group_folds(np.asarray(groups)[train], n_folds, seed=seed, what=what)]
