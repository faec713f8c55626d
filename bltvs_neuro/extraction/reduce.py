"""Reductions of a site's activations, applied on the fly inside extraction.

A reduction is bound to a site, which fixes what comes out (dims, shape, labels) and gives the function that is
applied to every batch. The same site has the same reduction at all timesteps, so components can be followed in time.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import SpecError, listed, unknown
from ..model import Grid
from ..schema import Site

Coords = dict[str, tuple[str, np.ndarray]]
DIMS: dict[int, tuple[str, ...]] = {1: ("channel",), 2: ("channel", "token"), 3: ("channel", "y", "x")}
"""Dimensions of a site by their number."""


@dataclass(frozen=True)
class Bound:
    """A reduction at one site.

    Attributes
    ----------
    dims : tuple of str
    shape : tuple of int
    coords : dict of str to (dim, values)
        ``y`` and ``x`` are pixels of the transformed image, the centre of a unit's receptive field.
    apply : callable
        Tensor (B, *full shape) -> Tensor (B, *shape), float32.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Coords
    apply: Callable[[Tensor], Tensor]


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
    def name(self) -> str:
        """As it is written on the command line."""
        return "mean"

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        coords: Coords = {"channel": ("channel", np.arange(shape[0]))}
        return Bound(
            ("channel",),
            shape[:1],
            coords,
            lambda maps: maps.float().flatten(2).mean(2) if maps.ndim > 2 else maps.float(),
        )


@dataclass(frozen=True)
class Pool(Reduction):
    """Adaptive average pooling to ``size`` x ``size`` positions."""

    size: int = 4

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SpecError(f"pooling needs at least 1 x 1 positions; got {self.size}")

    @property
    def name(self) -> str:
        """As it is written on the command line."""
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
    def name(self) -> str:
        """As it is written on the command line."""
        if self.channels is not None:
            return f"channels:{','.join(map(str, self.channels))}"
        return f"units:{self.units}" if isinstance(self.units, int) else "units"

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
            if not 1 <= self.units <= size:
                raise SpecError(f"cannot draw {self.units} units of {site}, which has {size}")
            return np.sort(site_rng(self.seed, site, size, self.units).choice(size, self.units, replace=False))
        assert self.units is not None
        if str(site) not in self.units:
            raise SpecError(f"no units are listed for {site}; listed: {listed(self.units)}")
        index = np.asarray(self.units[str(site)], dtype=np.int64)
        if (
            index.ndim != 1
            or len(index) == 0
            or index.min() < 0
            or index.max() >= size
            or len(np.unique(index)) < len(index)
        ):
            raise SpecError(f"units of {site} are flat indices from 0 to {size - 1}, each once")
        return index


@dataclass(frozen=True)
class Project(Reduction):
    """Very sparse random projection, which preserves distances between stimuli.

    Parameters
    ----------
    n : int
        Components. Sites with fewer units are kept whole in as many components as they have units.
    seed : int

    Notes
    -----
    Entries are +-sqrt(1 / (density n)) with probability density / 2 each, density = 1 / sqrt(units), and zero
    otherwise, so that squared distances are preserved in expectation. The matrix is drawn as gaps between its
    non-zero entries and is never held densely; it depends on the seed and the site alone.

    References
    ----------
    Li, Hastie & Church 2006, Very sparse random projections, KDD. doi:10.1145/1150402.1150436
    """

    n: int = 2048
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise SpecError(f"a projection needs at least 1 component; got {self.n}")

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return f"project:{self.n}"

    def describe(self) -> dict[str, Any]:  # noqa: D102
        return {"name": "project", "n": self.n, "seed": self.seed, "density": "1/sqrt(units)"}

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        units = math.prod(shape)
        coords: Coords = {"component": ("component", np.arange(min(self.n, units)))}
        if units <= self.n:
            return Bound(("component",), (units,), coords, lambda maps: maps.flatten(1).float())
        rows, columns, values = sparse_projection(self.n, units, site_rng(self.seed, site, units, self.n))
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.n))])
        with warnings.catch_warnings():  # torch calls sparse matrices a beta feature, whatever is done with them
            warnings.filterwarnings("ignore", message="Sparse ")
            matrix = torch.sparse_csr_tensor(
                torch.from_numpy(starts), torch.from_numpy(columns), torch.from_numpy(values), (self.n, units),
                device=device,
            )  # fmt: skip

        def apply(maps: Tensor) -> Tensor:
            flat = maps.flatten(1).float()  # (B, C, H, W) -> (B, units)
            return (matrix @ flat.T.contiguous()).T.contiguous()  # (n, units) @ (units, B) -> (B, n)

        return Bound(("component",), (self.n,), coords, apply)


@dataclass(frozen=True)
class Components(Reduction):
    """Projection onto given components, such as principal components fitted beforehand.

    Parameters
    ----------
    bases : mapping of site name to (mean, components)
        ``mean`` (units,), ``components`` (n, units), float32.
    described : mapping
        How they were fitted, for provenance.
    """

    bases: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    described: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return str(self.described.get("name", "components"))

    def describe(self) -> dict[str, Any]:  # noqa: D102
        digest = hashlib.sha256()
        for site in sorted(self.bases):
            digest.update(site.encode())
            for array in self.bases[site]:
                digest.update(np.ascontiguousarray(array, dtype=np.float32).tobytes())
        return {**self.described, "sha256": digest.hexdigest()}

    def bind(self, site: Site, shape: tuple[int, ...], grid: Grid, device: torch.device) -> Bound:  # noqa: D102
        if str(site) not in self.bases:
            raise SpecError(f"no components were fitted for {site}; fitted: {listed(self.bases)}")
        mean, basis = (torch.as_tensor(np.asarray(a, dtype=np.float32), device=device) for a in self.bases[str(site)])
        if basis.shape[1] != math.prod(shape):
            raise SpecError(f"components of {site} have {basis.shape[1]} units, the site has {math.prod(shape)}")
        coords: Coords = {"component": ("component", np.arange(len(basis)))}
        return Bound(("component",), (len(basis),), coords, lambda maps: (maps.flatten(1).float() - mean) @ basis.T)


def site_rng(seed: int, site: Site, *size: int) -> np.random.Generator:
    """Give a generator that depends on the seed, the site and the sizes, not on what else is recorded."""
    key = hashlib.sha256(f"{seed}:{site}:{size}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))


def sparse_projection(n: int, units: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the non-zero entries of an (n, units) projection.

    Returns
    -------
    rows, columns : array of int64, (n_nonzero,)
        Sorted by row, then column.
    values : array of float32, (n_nonzero,)
    """
    density, total = 1 / math.sqrt(units), n * units
    positions: list[np.ndarray] = []
    last = -1
    while last < total:
        gaps = rng.geometric(density, size=1 + int(1.05 * density * total))
        positions.append(last + np.cumsum(gaps))
        last = int(positions[-1][-1])
    flat = np.concatenate(positions)
    flat = flat[flat < total]
    signs = rng.integers(0, 2, len(flat)) * 2 - 1
    return flat // units, flat % units, (signs / math.sqrt(density * n)).astype(np.float32)


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


def project(n: int | None = None, seed: int = 0, *, n_stimuli: int | None = None, eps: float = 0.1) -> Project:
    """Sparse random projection to ``n`` components.

    Parameters
    ----------
    n : int, optional
        Components; None takes the Johnson-Lindenstrauss size for ``n_stimuli`` and ``eps``.
    seed : int
    n_stimuli : int, optional
    eps : float
        Relative error of squared distances that the Johnson-Lindenstrauss size guarantees.

    References
    ----------
    Dasgupta & Gupta 2003. doi:10.1002/rsa.10073

    Examples
    --------
    >>> project(2048).name, project(n_stimuli=1000, eps=0.2).n
    ('project:2048', 1594)
    """
    if n is None:
        if n_stimuli is None:
            raise SpecError("project() needs the number of components, or n_stimuli to choose it by eps")
        from sklearn.random_projection import johnson_lindenstrauss_min_dim

        n = int(johnson_lindenstrauss_min_dim(n_stimuli, eps=eps))
    return Project(n, seed)


REDUCTIONS: dict[str, tuple[str, Callable[[str], Reduction]]] = {
    "full": ("full maps", lambda _: Reduction()),
    "mean": ("mean over space", lambda _: Mean()),
    "pool": ("average pooling, pool:4 gives 4 x 4 positions", lambda text: Pool(int(text))),
    "project": ("sparse random projection, project:2048 or project:2048@SEED", lambda text: Project(*_ints(text, "@"))),
    "units": ("random units, units:500 or units:500@SEED", lambda text: Select(None, *_ints(text, "@"))),
    "channels": ("chosen channels, channels:0,5,7", lambda text: channels(_ints(text, ","))),
}
"""Name -> description and reader of the text behind the colon: the reductions that the command line knows."""


def parse_reduction(spec: str | Reduction | None) -> Reduction:
    """Turn ``"pool:4"``, a reduction or None (full maps) into a reduction; SpecError for anything else."""
    if spec is None:
        return Reduction()
    if isinstance(spec, Reduction):
        return spec
    name, _, text = str(spec).partition(":")
    if name not in REDUCTIONS:
        raise unknown("reduction", name, list(REDUCTIONS))
    description, read = REDUCTIONS[name]
    try:
        return read(text)
    except (ValueError, TypeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"cannot read the reduction {spec!r}; expected {description}") from None


def _ints(text: str, separator: str) -> list[int]:
    return [int(part) for part in text.split(separator)]
