"""Presentations grouped by stimulus and by fold, for means and for cross-validated dissimilarities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, SpecError, argument, listed

Array = NDArray[np.float64]


class Folds:
    """Which stimulus and which fold each row belongs to.

    Parameters
    ----------
    stimulus_ids : sequence of str, one per row
        Stimuli keep the order of their first appearance.
    folds : sequence, one per row, optional
        Run, session or repetition of each row; None when nothing is cross-validated.
    """

    def __init__(self, stimulus_ids: Sequence[str], folds: Iterable[Any] | None = None) -> None:
        rows = [str(s) for s in stimulus_ids]
        code = {s: i for i, s in enumerate(dict.fromkeys(rows))}
        self.stimulus_ids: tuple[str, ...] = tuple(code)
        stimulus = np.array([code[s] for s in rows])
        labels = [0] * len(rows) if folds is None else [_plain(f) for f in folds]
        if len(labels) != len(rows):
            raise SpecError(f"there are {len(rows)} rows but {len(labels)} fold labels")
        fold_code = {f: i for i, f in enumerate(dict.fromkeys(labels))}
        self.labels: tuple[Any, ...] = tuple(fold_code)
        cell = np.array([fold_code[f] for f in labels]) * len(code) + stimulus
        self.counts = np.bincount(cell, minlength=len(code) * len(fold_code)).reshape(len(fold_code), len(code))
        self._order = np.argsort(cell, kind="stable")
        self._single = len(rows) == len(code)
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(cell)[np.unique(cell)])[:-1]])
        self._cells = np.unique(cell)

    @property
    def n_stimuli(self) -> int:
        """Number of stimuli."""
        return len(self.stimulus_ids)

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.labels)

    def require_several(self) -> None:
        """Raise unless every stimulus lies in every one of at least two folds."""
        if self.n_folds < 2:
            raise SpecError(
                f"cross-validated dissimilarities need at least 2 folds; pass {argument('folds')}, the name of a "
                "coordinate such as 'run', 'session' or 'repetition'"
            )
        missing = np.argwhere(self.counts == 0)
        if len(missing):
            which = [f"{self.stimulus_ids[s]} in fold {self.labels[f]}" for f, s in missing]
            raise DataError(f"every stimulus must be in every fold; missing: {listed(which)}")

    @property
    def n_per_cell(self) -> int:
        """Presentations of every stimulus in every fold; 0 if they differ."""
        return int(self.counts.flat[0]) if (self.counts == self.counts.flat[0]).all() else 0

    def cells(self, tile: Array) -> Array:
        """Rows by fold and stimulus, one each: (rows, features) -> (folds, n, features); no copy if they lie so."""
        ordered = tile if (self._order == np.arange(len(self._order))).all() else tile[self._order]
        return ordered.reshape(self.n_folds, self.n_stimuli, -1)

    def sums(self, tile: Array) -> Array:
        """Sum rows per fold and stimulus: (rows, features) -> (folds, n, features)."""
        out = np.zeros((self.counts.size, tile.shape[1]))
        out[self._cells] = np.add.reduceat(tile[self._order], self._starts, axis=0)
        return out.reshape(self.n_folds, self.n_stimuli, -1)

    def mean(self, tile: Array) -> Array:
        """Mean over the rows of each stimulus: (rows, features) -> (n, features)."""
        if self._single:  # one row per stimulus, already in the order of the stimuli
            return tile
        return np.asarray(self.sums(tile).sum(axis=0) / self.counts.sum(axis=0)[:, None])

    def train_test(self, tile: Array) -> tuple[Array, Array]:
        """Mean patterns of all presentations outside each fold, and of each fold: two of (folds, n, features)."""
        sums = self.sums(tile)
        total, counts = sums.sum(axis=0), self.counts[:, :, None]
        return (total - sums) / (counts.sum(axis=0) - counts), sums / counts


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
