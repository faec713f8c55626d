"""Coverage of intervals over images: of a mean score, a difference of two models, a normalised score; a few minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEW, VOXELS, SETS = 4000, 20, 300
TRIED, HELD_OUT = (
    range(SETS),
    range(30_000, 30_000 + SETS),
)  # intervals were chosen on the first, and are told of the second


@dataclass(frozen=True)
class Design:
    """Two models' features, how much of the responses each explains, presentations."""

    name: str
    stimuli: int
    features: int
    signal: float
    """Share of the variance of a presentation that a linear model of the first features gives."""
    repeats: tuple[int, ...] = (1,)
    alike: float = 0.0
    """Share of variance that the second model's features have in common with the first's; 1 for equally good models."""
    common: float = 0.0
    """Share of the noise that all voxels have in common."""
    folds: int = 5


DESIGNS = (
    Design("60 stimuli", 60, 20, 0.5, alike=0.5),
    Design("100 stimuli, weak", 100, 50, 0.2, alike=0.5),
    Design("200 stimuli, common noise", 200, 50, 0.4, alike=0.8, common=0.3),
    Design("100 stimuli, 1 to 3 presentations", 100, 30, 0.3, (1, 2, 3), alike=0.5),
    Design("40 stimuli, 10 folds", 40, 10, 0.5, alike=0.5, folds=10),
    Design("100 stimuli, no signal", 100, 50, 0.0),
)


def draw(design: Design, seed: int, weights: np.ndarray | None = None, new: int = 0) -> dict[str, np.ndarray]:
    """Features of two models and trials of one data set; ``weights`` of an earlier draw give new stimuli of the same voxels."""
    rng = np.random.default_rng([DESIGNS.index(design), seed, new])
    n = new or design.stimuli
    first = rng.standard_normal((n, design.features))
    second = np.sqrt(design.alike) * first + np.sqrt(1 - design.alike) * rng.standard_normal(first.shape)
    if weights is None:
        weights = rng.standard_normal((design.features, VOXELS)) / np.sqrt(design.features)
    repeats = np.resize(design.repeats, n)
    shown = np.repeat(np.arange(n), repeats)
    shared, own = rng.standard_normal((len(shown), 1)), rng.standard_normal((len(shown), VOXELS))
    noise = np.sqrt(design.common) * shared + np.sqrt(1 - design.common) * own
    trials = np.sqrt(design.signal) * (first @ weights)[shown] + np.sqrt(1 - design.signal) * noise
    return {"first": first, "second": second, "weights": weights, "shown": shown, "trials": trials}


def table() -> Iterator[str]:
    """Coverage, on held-out seeds, of the score of the fitted models on new images (and of its mean over data sets)."""
    from tests.encoding.images import coverage

    yield "| design | score | difference | normalised | score, mean of new fits | difference, mean of new fits |"
    yield "|---|---|---|---|---|---|"
    for design in DESIGNS:
        found = coverage(design, HELD_OUT)
        yield f"| {design.name} | " + " | ".join(f"{v:.3f}" for v in found.values()) + " |"
