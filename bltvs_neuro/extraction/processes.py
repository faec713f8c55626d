"""One extraction by several processes: one for each GPU of this machine, or the workers of a cluster.

The blocks of the store are the tasks. Each becomes a part, an immutable file, so a process that dies leaves the work of all
others, and its own up to the block it was at.
"""

from __future__ import annotations

import copy
import itertools
import logging
import math
import multiprocessing
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..cluster import Cluster, connected, everywhere, map_tasks, n_workers
from ..devices import pick_device, pick_devices
from ..errors import BltvsError, SpecError, StoreError
from ..model import Network
from ..progress import Clock
from ..stimuli import StimulusSet
from ..store import Block, default_block, open_writer
from ..store.format.encode import CHUNK_ROWS
from ..store.parts.shards import block_for
from .options import Join
from .pca import fitted
from .plan import bind_all, bytes_per_stimulus
from .precision import placed, try_device
from .share import CPU_BATCH, Choices, auto_batch_size, extract_share, make_spec, to_do

log = logging.getLogger(__name__)

TASKS_PER_WORKER = 8


@dataclass(frozen=True)
class Work:
    """What every task needs; it is pickled once for each process."""

    model: Network
    stimuli: StimulusSet
    path: Path
    choices: Choices
    block: int
    device: str


def extract_in_tasks(
    model: Network, stimuli: StimulusSet, path: Path, choices: Choices, *, cluster: Cluster | None, resume: bool,
    join: Join,
) -> Path:  # fmt: skip
    """Extract by the workers of ``cluster``, or by one process for each of several devices; then join."""
    device = str(choices.run.device)
    if cluster is None:
        names = [str(one) for one in pick_devices(device)]
        return _extract(model, stimuli, path, choices, names, None, len(names), resume=resume, join=join)
    with connected(cluster) as client:
        for slow in filter(None, dict.fromkeys(everywhere(client, try_device, device, choices.run.precision))):
            log.warning("on workers of the cluster %s", slow)
        return _extract(model, stimuli, path, choices, [device], client, n_workers(client), resume=resume, join=join)


def _extract(
    model: Network, stimuli: StimulusSet, path: Path, choices: Choices, names: list[str], client: Any, workers: int, *,
    resume: bool, join: Join,
) -> Path:  # fmt: skip
    path = path.absolute()
    states, run = choices.states, choices.run
    where = pick_device("cpu" if client is not None else names[0])
    with placed(model, where, run.memory_format):
        size = run.batch_size
        if size is None and client is None:
            size = auto_batch_size(model, states, where)
        whole = size or CPU_BATCH
        reduction = fitted(choices.reduction, model, stimuli, states, path, whole, run.workers, replace=not resume)
        choices = replace(choices, reduction=reduction)
        shares = min(TASKS_PER_WORKER * workers, math.ceil(len(stimuli) / CHUNK_ROWS))
        default = default_block(len(stimuli), bytes_per_stimulus(model, states, reduction))
        block = block_for(len(stimuli), default, shares, whole)
        spec = make_spec(
            model, stimuli, choices, bind_all(model, states, reduction, where), whole, share=None, block=block
        )
    with open_writer(path, spec, resume=resume) as writer:
        pending, block = to_do(writer, model, stimuli, choices), writer.spec.block
    choices = replace(choices, run=replace(run, batch_size=size))
    work = Work(_sendable(model), stimuli, path, choices, block, names[0])
    tasks = list(_runs(pending, math.ceil(len(pending) / max(1, shares))))
    show = _Shown(len(stimuli), sum(b.stop - b.start for b in pending))
    if client is not None:
        map_tasks(extract_run, tasks, shared=(work,), cluster=client, done=show)
    elif tasks:
        _on_devices(tasks, work, names, show)
    with open_writer(path, spec) as writer:
        return Path(writer.finish(join=join))


def _runs(pending: Sequence[Block], most: int) -> Iterator[range]:
    """Blocks that follow one another, at most ``most`` together."""
    for _, run in itertools.groupby(enumerate(pending), lambda pair: pair[1].index - pair[0]):
        indices = [block.index for _, block in run]
        for at in range(0, len(indices), most):
            some = indices[at : at + most]
            yield range(some[0], some[-1] + 1)


def extract_run(blocks: range, work: Work) -> int:
    """Extract a run of blocks, in whatever process; returns the number of stimuli."""
    extract_share(
        work.model, work.stimuli, work.path, work.choices, device=work.device, share=blocks,
        block=work.block, join="later",
    )  # fmt: skip
    return min(blocks.stop * work.block, len(work.stimuli)) - blocks.start * work.block


def _sendable(model: Network) -> Network:
    """The model on the CPU; SpecError when it cannot be sent to another process."""
    if next(model.parameters()).device.type != "cpu":
        model = copy.deepcopy(model).cpu()
    try:
        pickle.dumps(model)
    except Exception as error:
        raise SpecError(
            f"this model cannot be sent to other processes ({error}); a compiled or hooked model has to stay in its own"
        ) from None
    return model


class _Shown:
    """Turns finished tasks into progress."""

    def __init__(self, total: int, pending: int) -> None:
        self.done = total - pending
        self.clock = Clock(total, self.done)

    def __call__(self, index: int, stimuli: int) -> None:
        self.done += stimuli
        self.clock.tell(self.done)


_work: Work | None = None


def _begin(work: Work, names: Any) -> None:
    """In each process of a pool: take a device of one's own."""
    global _work
    _work = replace(work, device=names.get())


def _in_pool(blocks: range) -> int:
    assert _work is not None
    return extract_run(blocks, _work)


def _on_devices(tasks: list[range], work: Work, names: list[str], show: _Shown) -> None:
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    queue: Any = context.Queue()
    for name in names:
        queue.put(name)
    with ProcessPoolExecutor(len(names), mp_context=context, initializer=_begin, initargs=(work, queue)) as pool:
        futures = {pool.submit(_in_pool, task): i for i, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                show(futures[future], future.result())
        except BrokenProcessPool:
            raise StoreError(
                f"a process of this extraction died (out of memory?); what was finished is kept in {work.path}.parts: run the "
                "same again to go on"
            ) from None
        except (BltvsError, KeyboardInterrupt):
            pool.shutdown(wait=False, cancel_futures=True)
            raise
