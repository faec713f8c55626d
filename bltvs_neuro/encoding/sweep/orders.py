"""Random orders of presentations, for permutations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import DataError, argument
from ...options import check_samples


@dataclass(frozen=True)
class Permutations:
    """How many permutations there are, and what for.

    Parameters
    ----------
    n_permutations : int
        Shuffles for p values; 0 for none.
    fwer : bool
        Also p values that hold for all feature spaces and targets together, from the largest score of each permutation. No
        target leaves the permutations then, which takes many times as long.

    Examples
    --------
    >>> Permutations(1000, fwer=True)
    Permutations(n_permutations=1000, fwer=True)
    """

    n_permutations: int = 0
    fwer: bool = False

    def __post_init__(self) -> None:
        check_samples("n_permutations", self.n_permutations)


class Orders:
    """Random orders of rows, in which groups of equal size change places and keep the order within.

    Raises
    ------
    DataError
        No two groups have the same number of rows.
    """

    def __init__(self, groups: np.ndarray, seed: int) -> None:
        order = np.argsort(groups, kind="stable")
        _, first, sizes = np.unique(groups[order], return_index=True, return_counts=True)
        self.rng = np.random.default_rng(seed)
        # of each size, the rows of its groups: (groups, size)
        self.blocks = [order[first[sizes == size, None] + np.arange(size)] for size in np.unique(sizes)]
        if all(len(block) == 1 for block in self.blocks):
            raise DataError(
                f"no two of the {len(sizes)} groups have as many presentations as each other, so that none can be "
                f"exchanged for p values: average them ({argument('repetitions', 'average')})"
            )

    def draw(self) -> np.ndarray:
        """The next order: row i of it takes the responses of the row that it names."""
        out = np.empty(sum(block.size for block in self.blocks), np.intp)
        for block in self.blocks:
            out[block] = block[self.rng.permutation(len(block))]
        return out
