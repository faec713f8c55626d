"""Cross-validation that never splits a group: repetitions of a stimulus, or runs, stay on one side of every fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from ..errors import DataError, SpecError, argument, counted, unknown

Repetitions = Literal["average", "single"]
OnMismatch = Literal["raise", "intersect"]


@dataclass(frozen=True)
class Folds:
    """Which presentations are used, and how they are split for cross-validation.

    Parameters
    ----------
    folds : int
        Folds that score.
    groups : str or tuple of str
        Coordinates on presentation whose rows stay on one side of every fold, such as ``stimulus_id,run``; the stimulus
        is always one of them.
    repetitions : {"average", "single"}
        Predict the mean over a stimulus' repetitions (run and session are lost), or every presentation.
    on_mismatch : {"raise", "intersect"}
        Where stimuli are on one side only: refuse, naming them, or keep the common ones and count the others.

    Examples
    --------
    >>> Folds(10, groups="stimulus_id,run").names
    ('stimulus_id', 'run')
    """

    folds: int = 5
    groups: str | tuple[str, ...] = "stimulus_id"
    repetitions: Repetitions = "average"
    on_mismatch: OnMismatch = "raise"

    def __post_init__(self) -> None:
        if isinstance(self.folds, bool) or not isinstance(self.folds, int) or self.folds < 2:
            raise SpecError(f"{argument('folds')} is an integer of at least 2; got {self.folds!r}")
        for name, valid in (("repetitions", get_args(Repetitions)), ("on_mismatch", get_args(OnMismatch))):
            if getattr(self, name) not in valid:
                raise unknown(name, getattr(self, name), valid)

    @property
    def names(self) -> tuple[str, ...]:
        """The coordinates of ``groups``."""
        return tuple(part.strip() for part in self.groups.split(",")) if isinstance(self.groups, str) else self.groups


class Fold(NamedTuple):
    """Row positions of one fold, ascending."""

    train: np.ndarray
    test: np.ndarray


def join_groups(*labels: Sequence[object] | np.ndarray) -> np.ndarray:
    """Number the groups that must stay together when rows share any one of several labels (each of length n).

    Rows that share a label, directly or through other rows, have the same number; in order of first appearance.

    Examples
    --------
    >>> join_groups(["a", "b", "b", "c"], [1, 1, 2, 3]).tolist()
    [0, 0, 0, 1]
    """
    import pandas as pd  # not above: the help of commands reads this file for its options
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not labels or len({len(label) for label in labels}) != 1:
        raise SpecError(f"groups need one label per row; got lengths {[len(label) for label in labels]}")
    n = nodes = len(labels[0])
    groups = []
    for label in labels:  # rows and labels are the nodes of a graph
        if missing := int(pd.isna(np.asarray(label)).sum()):
            raise DataError(f"{missing} of {n} rows lack the label that groups them; leave them out")
        node: dict[object, int] = {}  # not pandas, whose older versions end a text at a NUL
        groups.append([nodes + node.setdefault(one, len(node)) for one in np.asarray(label).tolist()])
        nodes += len(node)
    rows, columns = np.tile(np.arange(n), len(labels)), np.concatenate(groups)
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), (nodes, nodes))
    component = connected_components(graph, directed=False)[1][:n]
    return pd.factorize(component)[0].astype(np.intp)


def group_folds(
    groups: Sequence[object] | np.ndarray, n_folds: int, *, seed: int = 0, what: str = "stimuli"
) -> list[Fold]:
    """Split rows into folds so that a group (for example a stimulus) stays together; every row is tested exactly once.

    Groups are shuffled, then dealt out from the largest to the smallest, each to the fold with the fewest rows. ``what``
    names the groups in messages.

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
            f" {counted(len(sizes), 'folds')}, or more {what}"
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
    """Held-out blocks, as positions within ``train``, of the training rows of an outer fold, by the same groups."""
    return [fold.test for fold in group_folds(np.asarray(groups)[train], n_folds, seed=seed, what=what)]
