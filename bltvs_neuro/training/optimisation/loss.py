"""Cross entropy over all timesteps, with class weights and label smoothing, exact for any split into batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import DataError, counted, listed


def class_weights(labels: np.ndarray, classes: Sequence[str]) -> Tensor:
    """Weights inversely proportional to the frequency of each class in ``labels`` (n,), with mean 1: float32 (classes,)."""
    counts = np.bincount(labels, minlength=len(classes))
    empty = [classes[int(at)] for at in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(f"{counted(len(empty), 'classes', 'have')} no training picture: {listed(empty)}")
    weights = 1 / counts
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


class Criterion:
    """Label-smoothed cross entropy, weighted by class, averaged over timesteps and over pictures by their class's weight.

    Equal to the mean over timesteps of ``torch.nn.CrossEntropyLoss(weight, label_smoothing=...)`` on the whole batch.
    Sum and normaliser are separate, so that processes which hold parts of a batch arrive at the loss of the whole.
    """

    def __init__(self, weight: Tensor, label_smoothing: float) -> None:
        self.weight, self.label_smoothing = weight, label_smoothing

    def total(self, outputs: Sequence[Tensor], labels: Tensor) -> Tensor:
        """The mean over timesteps of the summed loss, of every timestep's logits (B, classes) and labels (B,)."""
        losses = [
            F.cross_entropy(logits.float(), labels, self.weight, reduction="sum", label_smoothing=self.label_smoothing)
            for logits in outputs
        ]
        return torch.stack(losses).mean()

    def normaliser(self, labels: Tensor) -> Tensor:
        """The summed weight of the pictures: what :meth:`total` is divided by."""
        return self.weight[labels].sum()
