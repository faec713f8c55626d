"""Reductions of a site's activations, applied on the fly inside extraction.

A reduction is bound to a site, which fixes what comes out (dims, shape, labels) and gives the function that is
applied to every batch. The same site has the same reduction at all timesteps, so components can be followed in time.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import SpecError, listed
from ..model import Grid
from ..options import check_seed
from ..schema import Site

Coords = dict[str, tuple[str, np.ndarray]]
DIMS: dict[int, tuple[str, ...]] = {1: ("channel",), 2: ("channel", "token"), 3: ("channel", "y", "x")}
"""Dimensions of a site by their number."""


@dataclass(frozen=True)
class Bound:
    """A reduction at one site: what comes out, and ``apply``, (B, *full shape) -> (B, *shape), float32.

    The coordinates ``y`` and ``x`` are pixels of the transformed image, the centre of a unit's receptive field.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Coords
    apply: Callable[[Tensor], Tensor]


def numbered(dim: str, size: int, apply: Callable[[Tensor], Tensor]) -> Bound:
    """A reduction to one dimension whose positions are only numbered."""
    return Bound((dim,), (size,), {dim: (dim, np.arange(size))}, apply)


@dataclass(frozen=True)
class Reduction:
    """Keep the full maps; the base of the other reductions.

    Methods take a site, its full shape ((C, H, W), (C, tokens), or (C,) for logits) and where the units of its map are.
    """

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return "full"

    def describe(self) -> dict[str, Any]:
        """What identifies the reduction, for provenance and for resuming."""
        return {"name": self.name}

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:
        """Fix the reduction to a site."""
        dims = DIMS[len(shape)]
        places = [grid.centres(n) for n in shape[1:]] if len(shape) == 3 else [np.arange(n) for n in shape[1:]]
        values = (np.arange(shape[0]), *places)
        coords = {dim: (dim, value) for dim, value in zip(dims, values, strict=True)}
        return Bound(dims, shape, coords, lambda maps: maps.float())


@dataclass(frozen=True)
class Mean(Reduction):
    """Mean over space: one value per channel."""

    @property
    def name(self) -> str:  # noqa: D102
        return "mean"

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        return numbered(
            "channel", shape[0], lambda maps: maps.float().flatten(2).mean(2) if maps.ndim > 2 else maps.float()
        )


@dataclass(frozen=True)
class Pool(Reduction):
    """Adaptive average pooling to ``size`` x ``size`` positions."""

    size: int = 4

    def __post_init__(self) -> None:
        whole(self.size, "pooling needs at least 1 x 1 positions")

    @property
    def name(self) -> str:  # noqa: D102
        return f"pool:{self.size}"

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        if len(shape) == 1:
            return Reduction().bind(site, shape, grid, device)
        if len(shape) == 2:
            raise SpecError(f"cannot pool {site}, whose units are tokens without a map; use mean, project or units")
        if self.size > min(shape[1:]):
            raise SpecError(f"cannot pool {site} to {self.size} x {self.size}: its map is {shape[1]} x {shape[2]}")
        centres = [
            F.adaptive_avg_pool1d(torch.from_numpy(grid.centres(n))[None, None], self.size)[0, 0].numpy()
            for n in shape[1:]
        ]
        coords: Coords = {"channel": ("channel", np.arange(shape[0])), "y": ("y", centres[0]), "x": ("x", centres[1])}
        return Bound(
            ("channel", "y", "x"), (shape[0], self.size, self.size), coords,
            lambda maps: F.adaptive_avg_pool2d(maps.float(), self.size),
        )  # fmt: skip


@dataclass(frozen=True)
class Select(Reduction):
    """Keep some channels (all positions), or some units.

    Parameters
    ----------
    channels : tuple of int, optional
    units : int or mapping of site name to sequence of int, optional
        A number of units drawn at random per site, or flat indices into (channel, y, x) per site.
    seed : int
        Of the draw.
    """

    channels: tuple[int, ...] | None = None
    units: int | Mapping[str, Sequence[int]] | None = None
    seed: int = 0

    @property
    def name(self) -> str:  # noqa: D102
        if self.channels is not None:
            return f"channels:{','.join(map(str, self.channels))}"
        return f"units:{self.units}" if isinstance(self.units, int) else "units"

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.channels is not None and not self.channels:
            raise SpecError("no channels are chosen")
        if self.channels is None and not isinstance(self.units, Mapping):
            whole(self.units, "units are a number of at least 1, or indices by site")

    def describe(self) -> dict[str, Any]:  # noqa: D102
        if self.channels is not None:
            return {"name": "channels", "channels": list(self.channels)}
        if isinstance(self.units, int):
            return {"name": "units", "n": self.units, "seed": self.seed}
        assert self.units is not None
        return {"name": "units", "units": {site: [int(i) for i in index] for site, index in self.units.items()}}

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        full = Reduction().bind(site, shape, grid, device)
        if self.channels is not None:
            wrong = [c for c in self.channels if not 0 <= c < shape[0]]
            if wrong or len(set(self.channels)) < len(self.channels):
                raise SpecError(
                    f"{site} has channels 0 to {shape[0] - 1}, each once; got {listed(wrong or self.channels)}"
                )
            pick = torch.tensor(self.channels, device=device)
            coords: Coords = {**full.coords, "channel": ("channel", np.array(self.channels))}
            return Bound(
                full.dims, (len(self.channels), *shape[1:]), coords, lambda maps: maps.index_select(1, pick).float()
            )
        index = self._index(site, math.prod(shape))
        positions = np.unravel_index(index, shape)
        coords = {
            dim: ("unit", full.coords[dim][1][position]) for dim, position in zip(full.dims, positions, strict=True)
        }
        chosen = torch.as_tensor(index, device=device)
        return Bound(("unit",), (len(index),), coords, lambda maps: maps.flatten(1).index_select(1, chosen).float())

    def _index(self, site: Site, size: int) -> np.ndarray:
        if isinstance(self.units, int):
            if self.units > size:
                raise SpecError(f"cannot draw {self.units} units of {site}, which has {size}")
            return np.sort(site_rng(self.seed, site, size, self.units).choice(size, self.units, replace=False))
        assert self.units is not None
        if str(site) not in self.units:
            raise SpecError(f"no units are listed for {site}; listed: {listed(self.units)}")
        index = np.asarray(self.units[str(site)])
        if index.dtype.kind not in "iu":
            index = np.array([-1])
        distinct = np.unique(index)
        if len(distinct) < index.size or index.ndim != 1 or not len(index) or distinct[0] < 0 or distinct[-1] >= size:
            raise SpecError(f"units of {site} are flat indices from 0 to {size - 1}, each once")
        return index


def whole(value: object, said: str) -> None:
    """Raise a SpecError unless ``value`` is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise SpecError(f"{said}; got {value}")


def site_rng(seed: int, site: Site, *size: int) -> np.random.Generator:
    """Give a generator that depends on the seed, the site and the sizes, not on what else is recorded."""
    key = hashlib.sha256(f"{seed}:{site}:{size}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))


def mean() -> Mean:
    """Mean over space: one value per channel.

    Examples
    --------
    >>> mean().name
    'mean'
    """
    return Mean()


def pool(size: int) -> Pool:
    """Adaptive average pooling to ``size`` x ``size`` positions per channel.

    Examples
    --------
    >>> pool(4).name
    'pool:4'
    """
    return Pool(size)


def channels(index: Sequence[int]) -> Select:
    """Keep these channels of every site, at all positions.

    Examples
    --------
    >>> channels([0, 5]).name
    'channels:0,5'
    """
    return Select(channels=tuple(int(i) for i in index))


def units(which: int | Mapping[str, Sequence[int]], seed: int = 0) -> Select:
    """Keep ``which`` units drawn at random per site, or flat indices into (channel, y, x) per site.

    Examples
    --------
    >>> units(500, seed=1).name
    'units:500'
    """
    return Select(units=which, seed=seed)
