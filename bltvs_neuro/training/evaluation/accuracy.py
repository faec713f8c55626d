"""Loss and accuracy of a model on labelled pictures, timestep by timestep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader

from ...model.network import Network
from ..optimisation.loss import Criterion
from ..pictures.data import Labelled, PlainPictures
from ..running.processes import Processes


@dataclass(frozen=True)
class Scores:
    """What a model makes of labelled pictures: the mean loss, and top-1 and top-5 in percent at each timestep with logits."""

    timesteps: tuple[int, ...]
    loss: float
    top1: np.ndarray
    top5: np.ndarray


@torch.no_grad()
def measure(
    model: Network, data: Labelled, criterion: Criterion, processes: Processes, *, batch_size: int, workers: int = 0,
    autocast: Callable[[], torch.autocast] | None = None,
) -> Scores:  # fmt: skip
    """Score a model, in eval mode on ``processes.device``, on all pictures, shared among the processes."""
    timesteps = model.logit_timesteps
    loader = DataLoader(
        PlainPictures(data, model.transform), batch_size, sampler=range(processes.rank, len(data), processes.world),
        num_workers=workers,
    )  # fmt: skip
    count = len(timesteps)
    sums = torch.zeros(2 + 2 * count, dtype=torch.float64, device=processes.device)
    for pixels, labels in loader:
        pixels, labels = pixels.to(processes.device), labels.to(processes.device)
        with autocast() if autocast else torch.autocast("cpu", enabled=False):
            outputs = model(model.transform.scale(pixels))
        logits = torch.stack([output.float() for output in outputs])  # (T, B, classes)
        ranked = logits.topk(min(5, logits.shape[-1]), dim=-1).indices == labels[None, :, None]
        sums[0] += criterion.total(outputs, labels)
        sums[1] += criterion.normaliser(labels)
        sums[2 : 2 + count] += ranked[..., 0].sum(dim=1)
        sums[2 + count :] += ranked.any(dim=-1).sum(dim=1)
    total = processes.summed(sums).cpu().numpy()
    percent = 100 * total[2:] / len(data)
    return Scores(timesteps, float(total[0] / total[1]), percent[:count], percent[count:])
