"""Worlds of RSA in which the truth is known: stimuli (in categories), subjects and models drawn from populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial.distance import pdist

DIMS = 12
MODELS = ("true", "half", "other half", "unrelated")
"""What the subjects share; half of its features beside own ones; the other half likewise, equally good; nothing of it."""
SEED = 20261127
"""Of everything that stands in the docs; earlier simulations, which formulas were chosen with, had other seeds."""


class World(NamedTuple):
    """One experiment."""

    models: np.ndarray
    """(models, pairs)"""
    data: np.ndarray
    """(subjects, pairs)"""
    category: np.ndarray
    """(stimuli,) number of the category."""


@dataclass(frozen=True)
class Design:
    """How an experiment is drawn.

    ``categories``: how many, 0 for none; stimuli of a category share half of their variance. ``new``: drawn anew in each
    experiment, else the same in all. ``uneven``: every other category is three times as large. ``heavy``: features and noise of t
    with 3 degrees of freedom. ``same_subjects``: in all experiments, so that results hold for them alone.
    """

    stimuli: int
    subjects: int
    categories: int = 0
    new: bool = True
    uneven: bool = False
    heavy: bool = False
    similarity: str = "corr_cov"
    noise: float = 1.0
    same_subjects: bool = False

    def __str__(self) -> str:
        parts = [f"{self.stimuli} stimuli, {self.subjects} " + ("same " if self.same_subjects else "") + "subjects"]
        if self.categories:
            kind = ("new " if self.new else "fixed ") + ("uneven " if self.uneven else "") + "categories"
            parts.append(f"{self.categories} {kind}")
        if self.heavy:
            parts.append("heavy tails")
        if self.similarity != "corr_cov":
            parts.append(self.similarity)
        return ", ".join(parts)

    def draw(self, seed: int) -> World:
        """Draw one experiment."""
        rng = np.random.default_rng([SEED, self.stimuli, self.subjects, self.categories, seed])
        category = self._categories()
        true = self._features(rng, category, of=0)
        own = [self._features(rng, category, of=None) for _ in range(3)]
        d = DIMS // 2
        sites = (
            true,
            np.hstack([true[:, :d], own[0][:, :d]]),
            np.hstack([true[:, d:], own[1][:, :d]]),
            own[2],
        )
        of_subjects = np.random.default_rng(SEED) if self.same_subjects else rng
        gain = np.exp(of_subjects.normal(0, 0.35, (self.subjects, 1, DIMS)))
        measured = true * gain + self.noise * self._noise(rng, (self.subjects, self.stimuli, DIMS))
        return World(
            np.stack([pdist(x, "sqeuclidean") for x in sites]),
            np.stack([pdist(y, "sqeuclidean") for y in measured]),
            category,
        )

    def _categories(self) -> np.ndarray:
        """Which category each stimulus is of; alternating small and large ones where they are uneven."""
        if not self.categories:
            return np.arange(self.stimuli)
        weight = np.where(np.arange(self.categories) % 2, 3, 1) if self.uneven else np.ones(self.categories)
        ends = np.rint(np.cumsum(weight) / weight.sum() * self.stimuli).astype(int)
        return np.searchsorted(ends, np.arange(self.stimuli), side="right")

    def _features(self, rng: np.random.Generator, category: np.ndarray, *, of: Literal[0] | None) -> np.ndarray:
        """Features of stimuli; fixed categories are a matter of what subjects share, other features have none."""
        each = self._noise(rng, (self.stimuli, DIMS))
        if not self.categories or (of is None and not self.new):
            return each
        source = rng if self.new else np.random.default_rng(SEED)
        return np.sqrt(0.5) * (source.normal(size=(self.categories, DIMS))[category] + each)

    def _noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_t(3, shape) / np.sqrt(3) if self.heavy else rng.normal(size=shape)


def share(hits: np.ndarray) -> str:
    """A share with its Monte-Carlo standard error."""
    p = float(np.mean(hits))
    return f"{p:.3f} ± {np.sqrt(max(p * (1 - p), 1e-12) / np.size(hits)):.3f}"
