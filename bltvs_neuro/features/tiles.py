"""Features in tiles: a site of any size passes through a bounded amount of memory, and kernels add up over tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from ..devices import pick_float64_device
from ..errors import DataError, listed
from ..schema import TIMESTEP

Array = NDArray[np.float64]
CACHE = 2**23
"""Bytes of a tile that is worked on."""


def unit_blocks(shape: Sequence[int], most: int) -> Iterator[tuple[slice, ...]]:
    """Cut an array of units into boxes of at most ``most`` units, whole along the last dimensions where possible.

    Examples
    --------
    >>> list(unit_blocks((3, 4), 8))
    [(slice(0, 2, None), slice(None, None, None)), (slice(2, 3, None), slice(None, None, None))]
    """
    rest = math.prod(shape[1:])
    whole = tuple(slice(None) for _ in shape[1:])
    if rest <= most or len(shape) == 1:
        rows = max(1, most // max(rest, 1))
        for start in range(0, shape[0], rows):
            yield (slice(start, min(start + rows, shape[0])), *whole)
    else:
        for i in range(shape[0]):
            for block in unit_blocks(shape[1:], most):
                yield (slice(i, i + 1), *block)


@dataclass(frozen=True)
class Features:
    """Rows (stimuli or presentations) by features, read tile by tile; ``what`` names them in messages.

    ``parts`` are (row, *unit dims), lazy or not, joined along features; one that still has ``timestep`` is averaged over
    it.
    """

    parts: tuple[xr.DataArray, ...]
    what: str

    @property
    def n_features(self) -> int:
        """Number of features over all parts."""
        return sum(math.prod(p.sizes[d] for d in self._units(p)) for p in self.parts)

    @staticmethod
    def _units(part: xr.DataArray) -> tuple[str, ...]:
        return tuple(str(d) for d in part.dims[1:] if d != TIMESTEP)

    def tiles(self, memory: int) -> Iterator[Array]:
        """Yield float64 tiles (rows, features) whose working set stays near ``memory`` bytes."""
        for part in self.parts:
            units = self._units(part)
            steps = part.sizes.get(TIMESTEP, 1)
            # A tile, its transformed copy and what is read for it lie in memory at once.
            most = max(1, int(memory // (8 * part.shape[0] * (2 + steps))))
            for block in unit_blocks([part.sizes[d] for d in units], most):
                read = part.isel(dict(zip(units, block, strict=True)))
                if TIMESTEP in read.dims:
                    values = np.asarray(read.values, dtype=np.float64).mean(axis=read.dims.index(TIMESTEP))
                else:
                    values = np.asarray(read.values)
                flat = values.reshape(len(values), -1)  # (rows, *units) -> (rows, features)
                # What is read at once suits the disk; what is worked on at once suits the processor's cache.
                width = max(256, CACHE // (8 * len(flat)))
                for start in range(0, flat.shape[1], width):
                    tile = np.array(flat[:, start : start + width], dtype=np.float64, order="C")
                    if not np.isfinite(tile.sum()):
                        self._check_finite(tile)
                    yield tile

    def _check_finite(self, tile: Array) -> None:
        rows = np.flatnonzero(~np.isfinite(tile).all(axis=1))
        if len(rows):
            raise DataError(
                f"{self.what} holds values that are not finite in {len(rows)} of {len(tile)} rows "
                f"(rows {listed(rows)}); leave these stimuli out"
            )


def add_up(
    tiles: Iterator[Any], left: Callable[[Any], Array], right: Callable[[Any], Array] | None, n: int, device: str
) -> Array:
    """Sum ``left(tile) @ right(tile).T`` over tiles in float64; without ``right``, ``left`` twice, at half the work."""
    if device == "cpu" and right is None:
        total = np.zeros((n, n), order="F")
        for tile in tiles:
            # BLAS adds in place and fills one triangle
            total = dsyrk(1.0, left(tile).T, beta=1.0, c=total, trans=1, overwrite_c=1)
        return np.triu(total) + np.triu(total, 1).T
    if device == "cpu":
        total = np.zeros((n, n))
        for tile in tiles:
            total += left(tile) @ right(tile).T  # type: ignore[misc]
        return total
    import torch  # the only place here that needs it, and only for a device that asks for it

    sum_on_device = torch.zeros((n, n), dtype=torch.float64, device=pick_float64_device(device))
    for tile in tiles:
        left_there = torch.from_numpy(left(tile)).to(device)
        right_there = left_there if right is None else torch.from_numpy(right(tile)).to(device)
        sum_on_device += left_there @ right_there.T
    return np.asarray(sum_on_device.cpu().numpy(), dtype=np.float64)
