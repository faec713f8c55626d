"""What an extraction will take, by arithmetic: bytes of the store and of memory."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import StoreError
from ..model import Network, State
from ..paths import nearest_folder
from ..schema import Site
from ..store import SiteLayout
from .background import WAITING_BYTES
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


@dataclass(frozen=True)
class Plan:
    """What an extraction will take.

    Attributes
    ----------
    n_stimuli : int
    store_bytes : int
        Of the finished store, uncompressed.
    disk_bytes, free_bytes : int
        Needed at the end, when parts and joined file lie side by side (``join="copy"``); free where the store goes.
    memory_bytes : int
        Of recorded activations held at once: what waits to be written, at most two batches, and unfinished chunks.
    """

    n_stimuli: int
    store_bytes: int
    disk_bytes: int
    free_bytes: int
    memory_bytes: int


def make_plan(
    model: Network, states: tuple[State, ...], reduction: Reduction, n_stimuli: int, path: Path, batch_size: int,
) -> Plan:  # fmt: skip
    """Plan an extraction of ``n_stimuli`` to ``path``, without measuring anything (see :mod:`.forecast`)."""
    each = bytes_per_stimulus(model, states, reduction)
    memory = min(2 * each * batch_size, WAITING_BYTES) + 8 * each
    return Plan(n_stimuli, each * n_stimuli, 2 * each * n_stimuli, free_bytes(path), memory)


def free_bytes(path: Path) -> int:
    """Free space of the file system where ``path`` will lie."""
    return shutil.disk_usage(nearest_folder(path.parent)).free


def usual_reductions(model: Network, states: tuple[State, ...]) -> list[Reduction]:
    """Reductions that are possible for every site of ``states``, from the most to the least detailed."""
    shapes = [model.shape(site) for site in by_site(states)]
    smallest = min((shape[1] if len(shape) == 3 else 0 for shape in shapes if len(shape) > 1), default=1)
    return [r for r in USUAL if not isinstance(r, Pool) or r.size <= smallest]


def check_disk(plan: Plan, model: Network, states: tuple[State, ...], path: Path, done_bytes: int = 0) -> None:
    """Refuse an extraction that the disk cannot hold, naming the reductions that would fit."""
    if plan.store_bytes - done_bytes <= plan.free_bytes:
        return
    fitting = []
    for reduction in usual_reductions(model, states):
        size = bytes_per_stimulus(model, states, reduction) * plan.n_stimuli
        if 2 * size <= plan.free_bytes:
            fitting.append(f"{reduction.name} ({human_bytes(size)})")
    remedy = f"reductions that would fit: {', '.join(fitting)}" if fitting else "no reduction would fit either"
    raise StoreError(
        f"the store needs {human_bytes(plan.store_bytes)} for {plan.n_stimuli} stimuli, but {path.absolute().parent} has "
        f"{human_bytes(plan.free_bytes)} free; {remedy}"
    )


def human_bytes(n: float) -> str:
    """``1234567`` -> ``'1.2 MB'``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(n) < 1000 or unit == "TB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    raise AssertionError
