"""What an extraction will take with each reduction: bytes, hours and memory, measured on two batches of the stimuli.

One batch goes through everything an extraction does: decoding, the model, every reduction, writing parts to the disk where
the store will lie. The rest is arithmetic.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..durable import scratch_folder, told
from ..errors import StimulusError
from ..model import Network, State
from ..paths import nearest_folder
from ..schema import Site
from ..stimuli import StimulusSet
from ..store import StoreSpec, open_writer
from . import plan
from .background import WAITING_BYTES
from .batches import Batch, decoded, default_workers
from .hooks import hooked
from .plan import bind_all, bytes_per_stimulus, layouts
from .precision import Precision, as_laid_out, computing, kernels
from .projection import Pca, Project
from .reduce import Bound, Reduction


@dataclass(frozen=True)
class Forecast:
    """What an extraction with one reduction will take.

    ``store_bytes`` are those of the finished store, uncompressed; ``disk_bytes`` are needed while parts and joined file lie
    side by side, and ``free_bytes`` are free there. ``seconds`` are one process's: divide by the number of GPUs or jobs.
    ``memory_bytes`` is the peak of the process that computes, decoding processes not counted.
    """

    reduction: str
    store_bytes: int
    disk_bytes: int
    free_bytes: int
    seconds: float
    memory_bytes: int

    @property
    def fits(self) -> bool:
        """Whether the disk holds the store while it is joined by copying."""
        return self.disk_bytes <= self.free_bytes


@dataclass
class _Cost:
    """Seconds of one batch for one reduction, and bytes it holds all the time."""

    reduce: float = 0.0
    write: float = 0.0
    held: int = 0


def forecast(
    model: Network, stimuli: StimulusSet, states: tuple[State, ...], reductions: Sequence[Reduction], path: Path,
    batch_size: int, *, precision: Precision = "float32", keep_bits: Any = None,
) -> list[Forecast]:  # fmt: skip
    """Measure two batches and forecast the extraction of all ``stimuli`` with each of ``reductions``.

    Principal components count as a projection to as many, and are not fitted. StimulusError where none of the stimuli tried
    can be read.
    """
    device = next(model.parameters()).device
    size = min(batch_size, len(stimuli))
    decode, batch = _decode(model, stimuli, size)
    n = len(batch.rows)
    _run(
        model, states, batch, device, precision, lambda state, values: None
    )  # warm-up: kernels are chosen, memory grows
    forward_memory = _peak()
    costs = {reduction.name: _Cost() for reduction in reductions}
    bounds: dict[str, dict[Site, Bound]] = {}
    for reduction in reductions:
        before = _resident()
        bounds[reduction.name] = bind_all(model, states, _stand_in(reduction), device)
        costs[reduction.name].held = max(0, _resident() - before)
    ids = tuple(f"s{row}" for row in range(n))
    with told(path), scratch_folder(nearest_folder(path.parent)) as folder, contextlib.ExitStack() as stack:
        parts: dict[str, Any] = {}
        for k, (name, bound) in enumerate(bounds.items()):
            spec = StoreSpec(
                layouts(model, states, bound), model.timesteps, ids, {}, {}, keep_bits=keep_bits, block=-(-n // 8) * 8
            )
            writer = stack.enter_context(open_writer(folder / f"{k}.h5", spec))
            part = writer.part(next(writer.pending()))
            parts[name] = (part, part.__enter__())

        def receive(state: State, activations: Tensor) -> None:
            for name, bound in bounds.items():
                start = time.perf_counter()
                with torch.autocast(device.type, enabled=False):  # as in an extraction
                    values = bound[Site(state.area, state.stream)].apply(activations).to("cpu")
                middle = time.perf_counter()
                parts[name][1].write(f"{state.area}/{state.stream}", state.timestep, values.numpy())
                costs[name].reduce += middle - start
                costs[name].write += time.perf_counter() - middle

        total = _run(model, states, batch, device, precision, receive)
        forward = total - sum(cost.reduce + cost.write for cost in costs.values())
        for name, (manager, part) in parts.items():
            start = time.perf_counter()
            part.stimuli(ids, ["0" * 64] * n)
            manager.__exit__(None, None, None)
            costs[name].write += time.perf_counter() - start
    found = []
    for reduction in reductions:
        cost = costs[reduction.name]
        each = bytes_per_stimulus(model, states, _stand_in(reduction))
        seconds = _seconds(forward + cost.reduce, cost.write, decode * n, device) / n * len(stimuli)
        memory = forward_memory + cost.held + min(2 * each * n, WAITING_BYTES) + 8 * each
        total_bytes = each * len(stimuli)
        found.append(Forecast(reduction.name, total_bytes, 2 * total_bytes, plan.free_bytes(path), seconds, memory))
    return found


def _stand_in(reduction: Reduction) -> Reduction:
    return Project(reduction.n) if isinstance(reduction, Pca) else reduction


def _decode(model: Network, stimuli: StimulusSet, size: int) -> tuple[float, Batch]:
    """Seconds of one stimulus, and a batch from the middle of the set that can be read."""
    for start in (len(stimuli) // 2, 0, max(0, len(stimuli) - size)):
        rows = list(range(start, min(start + size, len(stimuli))))
        clock = time.perf_counter()
        (batch,) = decoded(stimuli, model.transform, [rows], workers=0)
        if batch.rows:
            return (time.perf_counter() - clock) / len(rows), batch
    raise StimulusError(f"none of the stimuli that were tried can be read: {batch.failed[0][1]}")


def _run(
    model: Network, states: tuple[State, ...], batch: Batch, device: torch.device, precision: Precision, receive: Any
) -> float:
    images = as_laid_out(model, model.transform.scale(batch.pixels.to(device)))
    prepared = kernels(model, precision)  # once for a run
    start = time.perf_counter()
    with computing(device, precision), prepared(), hooked(model, states, receive):
        model.run(images)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _seconds(compute: float, write: float, decode: float, device: torch.device) -> float:
    """Wall seconds of a batch: computing, writing and decoding go on side by side as far as there are cores for it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = 1 if device.type == "cuda" else min(torch.get_num_threads(), cores)
    return max(compute, write, decode / default_workers(), (compute * threads + write + decode) / cores)


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return _peak()
