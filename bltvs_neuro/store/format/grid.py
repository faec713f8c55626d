"""How the activations of a site lie in one file: cut into chunks, which are numbered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .encode import chunk_shape

if TYPE_CHECKING:
    from ..spec import SiteLayout


class Grid(NamedTuple):
    """The chunks of one site in one file, in the order stimulus, timestep, units; ``first`` is the number of its first one."""

    first: int
    shape: tuple[int, ...]
    chunk: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Chunks along each axis."""
        return tuple(-(-whole // piece) for whole, piece in zip(self.shape, self.chunk, strict=True))

    @property
    def n_chunks(self) -> int:
        """Chunks of this site."""
        return math.prod(self.counts)

    def number(self, place: Sequence[int]) -> int:
        """Number of the chunk that is ``place[i]``-th along axis ``i``; it does not depend on how many stimuli there are."""
        found = 0
        for at, count in zip(place, self.counts, strict=True):
            found = found * count + at
        return self.first + found

    def place(self, number: int) -> tuple[int, ...]:
        """The inverse of :meth:`number`."""
        left, found = number - self.first, []
        for count in reversed(self.counts):
            left, at = divmod(left, count)
            found.append(at)
        return tuple(reversed(found))


def grids(sites: Sequence[SiteLayout], n_stimuli: int, n_asked: int) -> dict[str, Grid]:
    """The chunks of all sites in a file of ``n_stimuli``; the chunks of a part are shaped by all that were asked for."""
    found: dict[str, Grid] = {}
    first = 0
    for layout in sites:
        shape = (n_stimuli, len(layout.timesteps), *layout.shape)
        grid = found[layout.site] = Grid(first, shape, chunk_shape(n_asked, layout.shape))
        first += grid.n_chunks
    return found
