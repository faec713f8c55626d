"""Several processes that train one model, as torchrun starts them; one process alone is the same with less."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from ...devices import pick_device
from ...errors import SpecError


@dataclass(frozen=True)
class Processes:
    """The present process, computing on ``device``, among ``world`` processes."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same on each."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def gathered(self, value: Tensor) -> list[Tensor]:
        """Every process's tensor, in the order of ranks."""
        if self.world == 1:
            return [value]
        parts = [torch.empty_like(value, device=self.device) for _ in range(self.world)]
        dist.all_gather(parts, value.to(self.device))
        return [part.to(value.device) for part in parts]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did, each on the GPU of its local rank, and leave them at the end."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    try:
        here = pick_device(device)
        if here.type == "cuda":
            here = pick_device(f"cuda:{os.environ.get('LOCAL_RANK', 0) if world > 1 else here.index or 0}")
    except SpecError as error:
        raise SpecError(f"run.device: {error}") from None
    if world == 1:
        yield Processes(0, 1, here)
        return
    if here.type == "cuda":
        torch.cuda.set_device(here)
    dist.init_process_group("nccl" if here.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), world, here)
    finally:
        dist.destroy_process_group()
