"""What an extraction will take, by arithmetic: bytes of the store."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import StoreError, counted
from ..model import Network, State
from ..paths import nearest_folder
from ..schema import Site
from ..store import SiteLayout
from .projection import Project
from .reduce import Bound, Mean, Pool, Reduction
from .sites import by_site

USUAL: tuple[Reduction, ...] = (Pool(7), Pool(4), Project(2048), Mean())


def bind_all(
    model: Network, states: tuple[State, ...], reduction: Reduction, device: torch.device
) -> dict[Site, Bound]:
    """Bind a reduction to every site of ``states``."""
    return {site: reduction.bind(site, model.shape(site), model.grid(site), device) for site in by_site(states)}


def layouts(model: Network, states: tuple[State, ...], bound: Mapping[Site, Bound]) -> tuple[SiteLayout, ...]:
    """Describe what the store will hold, site by site."""
    return tuple(
        SiteLayout(
            site=str(site), timesteps=timesteps, dims=bound[site].dims, shape=bound[site].shape,
            coords=bound[site].coords, onset=model.onset(site),
            constant=tuple(t for t in timesteps if model.is_constant(State(*site, t))),
        )
        for site, timesteps in by_site(states).items()
    )  # fmt: skip


def bytes_per_stimulus(model: Network, states: tuple[State, ...], reduction: Reduction) -> int:
    """Bytes that one stimulus takes in the store, float32, uncompressed."""
    total = 0
    for site, timesteps in by_site(states).items():
        shape = model.shape(site)
        if isinstance(reduction, Project):  # known without drawing the matrix
            size = min(reduction.n, math.prod(shape))
        else:
            size = math.prod(reduction.bind(site, shape, model.grid(site), torch.device("cpu")).shape)
        total += 4 * size * len(timesteps)
    return total


def free_bytes(path: Path) -> int:
    """Free space of the file system where ``path`` will lie."""
    return shutil.disk_usage(nearest_folder(path.parent)).free


def usual_reductions(model: Network, states: tuple[State, ...]) -> list[Reduction]:
    """Reductions that are possible for every site of ``states``, from the most to the least detailed."""
    shapes = [model.shape(site) for site in by_site(states)]
    smallest = min((shape[1] if len(shape) == 3 else 0 for shape in shapes if len(shape) > 1), default=1)
    return [r for r in USUAL if not isinstance(r, Pool) or r.size <= smallest]


def check_disk(
    each: int, n_stimuli: int, model: Network, states: tuple[State, ...], path: Path, n_done: int = 0
) -> None:
    """Refuse an extraction of ``each`` bytes per stimulus that the disk cannot hold, naming reductions that would fit."""
    free = free_bytes(path)
    if each * (n_stimuli - n_done) <= free:
        return
    sizes = {r.name: bytes_per_stimulus(model, states, r) * n_stimuli for r in usual_reductions(model, states)}
    fitting = [f"{name} ({human_bytes(size)})" for name, size in sizes.items() if 2 * size <= free]
    remedy = f"reductions that would fit: {', '.join(fitting)}" if fitting else "no reduction would fit either"
    raise StoreError(
        f"the store needs {human_bytes(each * n_stimuli)} for {counted(n_stimuli, 'stimuli')}, but {path.absolute().parent} has "
        f"{human_bytes(free)} free; {remedy}"
    )


def human_bytes(n: float) -> str:
    """``1234567`` -> ``'1.2 MB'``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(n) < 1000 or unit == "TB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    raise AssertionError
