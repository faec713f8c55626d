"""Sums of a validation pass against plain counting, for one process and shared among two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from bltvs_neuro.model.transform import symmetric
from bltvs_neuro.stimuli import StimulusSet
from bltvs_neuro.training.evaluation.accuracy import measure
from bltvs_neuro.training.optimisation.loss import Criterion
from bltvs_neuro.training.pictures.data import Labelled
from bltvs_neuro.training.running.processes import Processes

N, CLASSES = 23, 7


class Answers(torch.nn.Module):
    """Two timesteps of logits that a table holds; a picture's red value is its row."""

    logit_timesteps, transform = (1, 4), symmetric(32)

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.from_numpy(logits)  # (n, T, classes)

    def forward(self, images: Tensor) -> list[Tensor]:
        rows = ((images[:, 0, 0, 0] + 1) / 2 * 255).round().long()
        return list(self.logits[rows].unbind(1))


@dataclass(frozen=True)
class Shared(Processes):
    """One of several processes that run one after the other; sums pile up."""

    pile: Tensor

    def summed(self, values: Tensor) -> Tensor:
        self.pile.add_(values)
        return self.pile


@pytest.fixture(scope="module")
def answered() -> tuple[Answers, Labelled, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, N)
    logits = rng.standard_normal((N, 2, CLASSES)).astype(np.float32)
    logits[np.arange(N), 1, labels] += 0.5
    pictures = np.repeat(np.arange(N, dtype=np.uint8), 32 * 32 * 3).reshape(N, 32, 32, 3)
    data = Labelled(StimulusSet.from_arrays(pictures), labels, tuple("abcdefg"))
    return Answers(logits), data, logits, labels


@pytest.mark.parametrize("world", [1, 2])
def test_loss_and_accuracies_are_those_of_plain_counting(answered, world):
    model, data, logits, labels = answered
    weight = torch.linspace(0.5, 1.5, CLASSES)
    pile = torch.zeros(2 + 2 * 2, dtype=torch.float64)
    for rank in range(world):
        processes = Shared(rank, world, torch.device("cpu"), pile)
        scores = measure(model, data, Criterion(weight, 0.1), processes, batch_size=5)
    position = (logits > logits[np.arange(N), :, labels][..., None]).sum(axis=-1)  # (n, T), 0 is the first
    assert scores.timesteps == (1, 4)
    np.testing.assert_allclose(scores.top1, 100 * np.mean(position < 1, axis=0))
    np.testing.assert_allclose(scores.top5, 100 * np.mean(position < 5, axis=0))
    assert (scores.top1 < scores.top5).all() and scores.top5.max() < 100
    whole = torch.nn.CrossEntropyLoss(weight, label_smoothing=0.1)
    losses = [float(whole(torch.from_numpy(logits[:, t]), torch.from_numpy(labels))) for t in range(2)]
    assert scores.loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_fewer_classes_than_five_are_all_among_the_first_five(answered):
    _, data, logits, labels = answered
    few = Labelled(data.stimuli, labels % 3, tuple("abc"))
    processes = Processes(0, 1, torch.device("cpu"))
    scores = measure(Answers(logits[..., :3]), few, Criterion(torch.ones(3), 0.0), processes, batch_size=8)
    assert scores.top5.tolist() == [100, 100]
    np.testing.assert_allclose(scores.top1, 100 * np.mean(logits[..., :3].argmax(-1) == (labels % 3)[:, None], axis=0))
