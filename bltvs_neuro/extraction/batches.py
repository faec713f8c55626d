"""Decoding in worker processes: batches of transformed pixels in a fixed order, with what could not be read."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import StimulusError, argument
from ..model.transform import Transform
from ..stimuli import StimulusSet, pixel_sha256


@dataclass(frozen=True)
class Batch:
    """Stimuli of one batch: ``rows`` of the set that could be read, in order, with ``digests`` (sha256 of decoded pixels).

    ``pixels`` are uint8, (len(rows), 3, size, size); ``failed`` are rows that could not be read, with the reason.
    """

    rows: tuple[int, ...]
    digests: tuple[str, ...]
    pixels: Tensor
    failed: tuple[tuple[int, str], ...]


class _Decoder(Dataset):
    """Decodes one row of a stimulus set; a row that cannot be read becomes its reason."""

    def __init__(self, stimuli: StimulusSet, transform: Transform) -> None:
        self.stimuli, self.transform = stimuli, transform

    def __len__(self) -> int:
        return len(self.stimuli)

    def __getitem__(self, row: int) -> tuple[int, str, np.ndarray | None]:
        try:
            rgb = self.stimuli.load(row)
            return row, pixel_sha256(rgb), self.transform.crop(rgb)
        except StimulusError as error:
            return row, str(error), None

    def collate(self, items: list[tuple[int, str, np.ndarray | None]]) -> Batch:
        """Stack in the worker, so that one tensor a batch crosses to the main process."""
        size = self.transform.size
        good = [(row, text, pixels) for row, text, pixels in items if pixels is not None]
        pixels = np.stack([p for *_, p in good]) if good else np.empty((0, 3, size, size), np.uint8)
        return Batch(
            tuple(row for row, *_ in good), tuple(text for _, text, _ in good), torch.from_numpy(pixels),
            tuple((row, text) for row, text, pixels in items if pixels is None),
        )  # fmt: skip


def default_workers() -> int:
    """Processes that decode: half of the cores this process may use, at least one and at most four."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(4, cores // 2))


def decoded(
    stimuli: StimulusSet, transform: Transform, batches: Sequence[Sequence[int]], workers: int | None = None
) -> Iterator[Batch]:
    """Decode batches of rows in the given order, whatever the number of ``workers`` (0 decodes in this process)."""
    decoder = _Decoder(stimuli, transform)
    count = default_workers() if workers is None else workers
    if len(batches) == 1:
        count = 0  # a worker would cost more than it decodes
    if multiprocessing.current_process().daemon:
        count = 0  # a worker of a cluster may have no children
    loader = DataLoader(decoder, batch_sampler=batches, num_workers=count, collate_fn=decoder.collate)  # type: ignore[arg-type]
    try:
        yield from loader
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        raise StimulusError(
            f"a decoding process died ({error}); it may have run out of memory: try {argument('workers', 0)} or fewer workers"
        ) from None
