"""The order of the training pictures: a function of seed and step alone, the same for any number of processes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ...errors import SpecError

Key = tuple[int, int]
"""Pass through the data, and row."""


class Order:
    """Which of ``n`` pictures every step takes, ``batch_size`` for all processes together.

    In every pass all pictures come in a new random order; those that do not fill a last batch are left out of it. There
    is no state but the number of the step, so that a run goes on anywhere as if it had never stopped.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        if batch_size > n:
            raise SpecError(f"run.batch_size is {batch_size}, but there are {n} training pictures")
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self.steps_per_pass = n // batch_size
        self._pass, self._permutation = -1, np.empty(0, np.int64)

    def batch(self, step: int) -> list[Key]:
        """The pictures of one step, from 0."""
        number, position = divmod(step, self.steps_per_pass)
        if number != self._pass:
            self._pass = number
            self._permutation = np.random.default_rng([self.seed, number]).permutation(self.n)
        rows = self._permutation[position * self.batch_size : (position + 1) * self.batch_size]
        return [(number, int(row)) for row in rows]

    def share(self, start: int, rank: int, world: int) -> Iterator[list[Key]]:
        """What process ``rank`` of ``world`` takes from step ``start`` on, without an end."""
        if self.batch_size % world:
            raise SpecError(f"run.batch_size {self.batch_size} is not a multiple of the {world} processes")
        for step in itertools.count(start):
            yield self.batch(step)[rank::world]
