"""The loop itself: decode, compute and reduce here, write in a thread beside it."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import StimulusError, StoreError, argument
from ..model import Network, State
from ..progress import Clock
from ..schema import Site
from ..stimuli import StimulusSet
from ..store import Block, Writer
from ..store.parts.part import Part
from .background import Background
from .batches import Batch, decoded
from .hooks import hooked
from .options import OnError
from .plan import human_bytes
from .precision import Precision, as_laid_out, computing, kernels
from .reduce import Bound

log = logging.getLogger(__name__)

Task = Callable[[Part], None]
"""Something to write into the part that is open."""


class Loop:
    """One run over the pending blocks of a writer."""

    def __init__(
        self, model: Network, states: tuple[State, ...], bound: Mapping[Site, Bound], stimuli: StimulusSet,
        writer: Writer, batch_size: int, device: torch.device, precision: Precision, on_error: OnError,
    ) -> None:  # fmt: skip
        self.model, self.states, self.bound, self.stimuli, self.writer = model, states, bound, stimuli, writer
        self.batch_size, self.device, self.precision = batch_size, device, precision
        self.on_error = on_error
        self.kernels = kernels(model, precision)
        self.bytes_written = self.computed = 0

    def run(self, pending: Sequence[Block], workers: int | None) -> None:
        """Compute and write every pending block; batches never reach across blocks, so that resuming repeats them."""
        rows = [
            list(range(start, min(start + self.batch_size, block.stop)))
            for block in pending
            for start in range(block.start, block.stop, self.batch_size)
        ]
        total = len(self.stimuli)
        before = total - sum(block.stop - block.start for block in pending)
        clock = Clock(total, before)
        batches = decoded(self.stimuli, self.model.transform, rows, workers)
        # Decoding processes are forked with the first batch: before there is a second thread, whose locks (HDF5's, say)
        # they would find held for ever.
        batches = itertools.chain([next(batches)], batches)
        with Background[Task | None](lambda tasks: self._write(pending, tasks)) as background:
            for block in pending:
                count = -(-(block.stop - block.start) // self.batch_size)
                for batch in itertools.islice(batches, count):
                    self._failed(batch, background)
                    if batch.rows:
                        self._compute(batch, background)
                    self.computed += len(batch.rows) + len(batch.failed)
                    speed = self.computed / max(time.monotonic() - clock.start, 1e-9)
                    said = f"{speed:.1f} images/s, {human_bytes(self.bytes_written)} written"
                    clock.tell(before + self.computed, said)
                background.put(None)

    def _write(self, pending: Sequence[Block], tasks: Iterator[Task | None]) -> None:
        """In the writing thread: one part per block, each whole when None comes."""
        for block in pending:
            with self.writer.part(block) as part:
                for task in iter(tasks.__next__, None):
                    task(part)

    def _compute(self, batch: Batch, background: Background[Task | None]) -> None:
        """Run the model on one batch; what is recorded goes on to be written as soon as it is computed."""
        ids = [self.stimuli.ids[row] for row in batch.rows]
        background.put(lambda part: part.stimuli(ids, list(batch.digests)))

        def receive(state: State, activations: Tensor) -> None:
            with torch.autocast(self.device.type, enabled=False):  # a reduction is float32 whatever the precision
                values = self.bound[Site(state.area, state.stream)].apply(activations)
            if self.model.overwrites and values.data_ptr() == activations.data_ptr():
                values = values.clone()
            ready = None
            if values.device.type == "cuda":
                values = values.to("cpu", non_blocking=True)  # into pinned memory, which is not there before the event
                ready = torch.cuda.Event()
                ready.record(torch.cuda.current_stream(self.device))
            self.bytes_written += values.nbytes
            background.put(_Values(state, values, ids, ready, self.precision), values.nbytes)

        images = self.model.transform.scale(batch.pixels.to(self.device, non_blocking=True))
        images = as_laid_out(self.model, images)
        with computing(self.device, self.precision), self.kernels(), hooked(self.model, self.states, receive):
            self.model.run(images)

    def _failed(self, batch: Batch, background: Background[Task | None]) -> None:
        for row, reason in batch.failed:
            if self.on_error == "stop":
                raise StimulusError(
                    f"{reason}; what was finished is kept: mend it and run the same again, or use "
                    f"{argument('on_error', 'skip')}"
                )
            log.warning("skipped: %s", reason)
            name = self.stimuli.ids[row]
            background.put(lambda part, name=name, reason=reason: part.skip(name, reason))  # type: ignore[misc]


@dataclass(frozen=True)
class _Values:
    """The activations of one batch at one state, to be written."""

    state: State
    values: Tensor
    ids: Sequence[str]
    ready: torch.cuda.Event | None
    precision: Precision

    def __call__(self, part: Part) -> None:
        if self.ready is not None:
            self.ready.synchronize()
        array = self.values.numpy()
        area, stream, timestep = self.state
        part.write(f"{area}/{stream}", timestep, array)
        if part.nonfinite:
            bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
            names = ", ".join(name for name, wrong in zip(self.ids, bad, strict=True) if wrong)
            half = self.precision == "float16"
            hint = f"try {argument('precision', 'bfloat16')} or 'float32'" if half else "are the weights sound?"
            raise StoreError(f"{area}/{stream} at timestep {timestep} is not finite for {names}; {hint}")
