"""The noise ceiling of one subject from repeats against the truth: a minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SEEDS = range(70_000, 70_040)  # whatever was tried used seeds below 1000


@dataclass(frozen=True)
class Design:
    """Channels, conditions, presentations; dimensions of the signal; noise of one presentation."""

    name: str
    channels: int = 40
    conditions: int = 60
    trials: int = 3
    rank: int = 5
    noise: float = 2.0
    correlated: bool = False
    """Whether the noise of channels is correlated."""
    metric: str = "correlation"
    similarity: str = "pearson"


DESIGNS = (
    Design("as published examples"),
    Design("noise 4", noise=4.0),
    Design("noise 6", noise=6.0),
    Design("noise 4, correlated", noise=4.0, correlated=True),
    Design("noise 4, 2 presentations", noise=4.0, trials=2),
    Design("200 channels, noise 6", channels=200, noise=6.0),
    Design("noise 4, spearman", noise=4.0, similarity="spearman"),
    Design("noise 4, euclidean", noise=4.0, metric="euclidean"),
    Design("many dimensions, noise 6", rank=30, noise=6.0),
)


def draw(design: Design, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Signal (condition, channel) and data (condition, trial, channel)."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(design.channels, design.rank)) @ rng.normal(size=(design.rank, design.conditions))
    noise = rng.normal(size=(design.channels, design.conditions, design.trials))
    if design.correlated:
        mix = rng.normal(size=(design.channels, 10)) / np.sqrt(20)
        noise = np.einsum("ck,kit->cit", mix, rng.normal(size=(10, *noise.shape[1:]))) + noise / np.sqrt(2)
    data = signal[:, :, None] + design.noise * noise
    return signal.T, data.transpose(1, 2, 0)


def table() -> Iterator[str]:
    """Mean truth and estimate over data sets, mean and standard deviation of the error, CPU seconds an estimate."""
    import time

    from tests.rsa.one_subject import estimate_and_truth

    yield "| design | truth | estimate | mean error | mean absolute error | sd of error | CPU s |"
    yield "|---|---|---|---|---|---|---|"
    for design in DESIGNS:
        start = time.process_time()
        found = np.array([estimate_and_truth(design, seed) for seed in SEEDS])  # (set, 2)
        seconds = (time.process_time() - start) / len(SEEDS)
        error = found[:, 0] - found[:, 1]
        cells = [found[:, 1].mean(), found[:, 0].mean(), error.mean(), np.abs(error).mean(), error.std(ddof=1), seconds]
        yield f"| {design.name} | " + " | ".join(f"{v:.4f}" for v in cells) + " |"
