"""One process's share of an extraction: decode, compute, reduce, write; resumable, with bounded memory."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from ..devices import pick_device
from ..errors import StimulusError, argument, counted, listed
from ..model import Network, State
from ..model.released.weights import weights_sha256
from ..schema import Site
from ..stimuli import StimulusSet
from ..store import Block, Shard, StoreSpec, Writer, default_block, open_writer
from ..store.parts.shards import block_for
from ..versions import versions
from .batches import decoded
from .loop import Loop
from .options import ExtractRun, Join, KeepBits, OnError
from .pca import fitted
from .plan import bind_all, check_disk, layouts
from .precision import Precision, deviation, placed
from .reduce import Bound, Reduction

log = logging.getLogger(__name__)

CPU_BATCH = 8


@dataclass(frozen=True)
class Choices:
    """What :func:`.run.extract` was asked for, checked; it can be sent to other processes."""

    states: tuple[State, ...]
    reduction: Reduction
    keep_bits: KeepBits | None
    on_error: OnError
    run: ExtractRun


def extract_share(
    model: Network, stimuli: StimulusSet, path: Path, choices: Choices, *, device: str | torch.device,
    share: Shard | range | None = None, block: int | None = None, resume: bool = True, join: Join | Literal["later"] = "auto",
) -> Path:  # fmt: skip
    """Extract a share of the stimuli: all, those of a shard, or a range of blocks (of ``block`` stimuli each).

    The store is joined when nothing is missing, unless ``join="later"``.
    """
    states, run = choices.states, choices.run
    where = pick_device(device)
    with placed(model, where, run.memory_format):
        size = run.batch_size or auto_batch_size(model, states, where)
        reduction = fitted(choices.reduction, model, stimuli, states, path, size, run.workers, replace=not resume)
        bound = bind_all(model, states, reduction, where)
        spec = make_spec(model, stimuli, replace(choices, reduction=reduction), bound, size, share, block)
        with open_writer(path, spec, resume=resume, share=share) as writer:
            pending = to_do(writer, model, stimuli, choices)
            writer.attributes = dict(provenance(model, stimuli, where), batch_size=size)
            if pending:
                if run.precision != "float32":
                    found = _deviation(model, states, stimuli, where, run.precision)
                    writer.attributes["deviation_from_float32"] = found
                loop = Loop(model, states, bound, stimuli, writer, size, where, run.precision, choices.on_error)
                loop.run(pending, run.workers)
            if join == "later" or (isinstance(share, Shard) and writer.missing_shards()):
                return path
            return Path(writer.finish(join=join))


def to_do(writer: Writer, model: Network, stimuli: StimulusSet, choices: Choices) -> list[Block]:
    """The blocks that are not written yet; refused where the disk cannot hold them or stimuli have changed."""
    recorded = writer.recorded()
    each = writer.spec.bytes_per_stimulus
    check_disk(each, len(stimuli), model, choices.states, writer.path, n_done=len(recorded))
    check_unchanged(stimuli, recorded, model, choices.run.workers)
    return list(writer.pending())


def make_spec(
    model: Network, stimuli: StimulusSet, choices: Choices, bound: dict[Site, Bound], batch_size: int,
    share: Shard | range | None, block: int | None,
) -> StoreSpec:  # fmt: skip
    """Describe the store that is asked for."""
    shards = share.checked().count if isinstance(share, Shard) else 1
    sites = layouts(model, choices.states, bound)
    if block is None:
        block = default_block(len(stimuli), sum(layout.bytes_per_stimulus for layout in sites))
        if shards > 1:
            block = block_for(len(stimuli), block, shards, batch_size)
    return StoreSpec(
        sites=sites, n_timesteps=model.timesteps, stimulus_ids=tuple(stimuli.ids),
        metadata={str(name): column.to_numpy() for name, column in stimuli.metadata.items()},
        identity=identity(model, choices), keep_bits=choices.keep_bits, block=block, shards=shards,
    )  # fmt: skip


def auto_batch_size(model: Network, states: tuple[State, ...], device: torch.device) -> int:
    """Stimuli per forward pass: 8 on a CPU; on a GPU a multiple of 8 that half of the free memory holds, at most 256."""
    if device.type != "cuda":
        return CPU_BATCH
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    with torch.no_grad():
        model.run(torch.zeros(8, 3, model.image_size, model.image_size, device=device), outputs=states)
    each = max(1, (torch.cuda.max_memory_allocated(device) - before) // 8)
    free, _ = torch.cuda.mem_get_info(device)
    return int(min(256, max(8, free // 2 // each // 8 * 8)))


def identity(model: Network, choices: Choices) -> dict[str, Any]:
    """What must be the same for two runs to go into the same store."""
    return {
        "model": model.provenance.get("model", "Network"),
        "config": model.config,
        "weights": model.provenance.get("weights", "as constructed"),
        "weights_sha256": weights_sha256(model),
        "schedule": model.schedule_name,
        "transform": model.transform.describe(),
        "reduction": choices.reduction.describe(),
        "precision": choices.run.precision,
        "memory_format": choices.run.memory_format,
        **({"lesions": [one.describe() for one in model.lesions]} if model.lesions else {}),
    }


def provenance(model: Network, stimuli: StimulusSet, device: torch.device) -> dict[str, Any]:
    """What else a store should say about how it came to be."""
    return {
        "checkpoint": model.provenance,
        "stimuli": stimuli.source,
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or platform.machine(),
        "torch_threads": torch.get_num_threads(),
        "versions": versions(),
    }


def check_unchanged(stimuli: StimulusSet, recorded: dict[str, str], model: Network, workers: int | None) -> None:
    """Compare the pixels of stimuli that finished parts hold with what is there now."""
    if not recorded:
        return
    rows = [row for row, name in enumerate(stimuli.ids) if name in recorded]
    changed = []
    for batch in decoded(stimuli, model.transform, [rows[at : at + 32] for at in range(0, len(rows), 32)], workers):
        now: Iterable[tuple[int, str]] = zip(batch.rows, batch.digests, strict=True)
        changed += [stimuli.ids[row] for row, digest in now if recorded[stimuli.ids[row]] != digest]
        changed += [stimuli.ids[row] for row, _ in batch.failed]
    if changed:
        raise StimulusError(
            f"{counted(len(changed), 'stimuli', 'are')} "
            f"not what they were when this store was begun: {listed(changed)}; restore them, "
            f"start anew with {argument('resume', False)}, or write to another path"
        )


def _deviation(
    model: Network, states: tuple[State, ...], stimuli: StimulusSet, device: torch.device, precision: Precision
) -> dict[str, float]:
    rows = [list(range(min(2, len(stimuli))))]
    (batch,) = decoded(stimuli, model.transform, rows, workers=0)
    if not batch.rows:
        return {}
    worst = deviation(model, states, model.transform.scale(batch.pixels.to(device)), precision)
    log.info("%s deviates from float32 by at most %.2g standard deviations", precision, max(worst.values()))
    return worst
