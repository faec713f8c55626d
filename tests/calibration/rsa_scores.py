"""RSA without categories: coverage of intervals, sizes of tests; about 25 minutes on one core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from bltvs_neuro.rsa.inference.bootstrap import bootstrap_rsa
from bltvs_neuro.rsa.inference.jackknife import jackknife_rsa
from bltvs_neuro.rsa.inference.tests import model_tests
from bltvs_neuro.rsa.inference.variance import Over, Spread
from bltvs_neuro.stats import t_interval

from .rsa_worlds import MODELS, Design, World, share

RUNS, SAMPLES = 500, 300
DESIGNS = (
    Design(12, 6), Design(20, 4), Design(20, 20), Design(40, 12), Design(92, 4), Design(92, 15),
    Design(40, 12, heavy=True), Design(92, 4, heavy=True), Design(48, 8, categories=6, new=False),
    Design(40, 12, similarity="pearson"), Design(40, 8, similarity="spearman"),
    *(Design(n, 2, same_subjects=True) for n in (12, 40, 92)),
)  # fmt: skip
Variance = Literal["bootstrap", "jackknife"]
By = Literal["stimuli", "categories"]


class Outcome(NamedTuple):
    """Of one experiment: estimates, half widths of their intervals, p values."""

    estimates: np.ndarray
    """Scores, differences from the lower ceiling, differences of pairs of models."""
    widths: np.ndarray
    zero: float
    """p of the unrelated model against zero."""
    equal: float
    """p of the two equally good models against each other."""
    below: float
    """p of the true model below the ceiling."""


FIRST, SECOND = np.triu_indices(len(MODELS), 1)


def outcome(world: World, similarity: str, variance: Variance, *, seed: int, by: By = "stimuli") -> Outcome:
    """What is reported of one experiment."""
    found = spread(world, similarity, variance, seed=seed, by=by)
    mean = found.mean
    parts = (
        (mean, found.variance, found.dof),
        (mean - found.ceiling.lower, found.ceiling_difference_variance[:, 0], found.ceiling_difference_dof[:, 0]),
        (mean[FIRST] - mean[SECOND], found.difference_variance[FIRST, SECOND], found.difference_dof[FIRST, SECOND]),
    )
    tests = model_tests(found)
    return Outcome(
        np.concatenate([p[0] for p in parts]),
        np.concatenate([t_interval(0.0, np.sqrt(v), dof)[1] for _, v, dof in parts]),
        tests.zero[3], tests.pairwise[1, 2], tests.ceiling[0],
    )  # fmt: skip


def spread(world: World, similarity: str, variance: Variance, *, seed: int, by: By = "stimuli") -> Spread:
    """Scores with their variances."""
    clusters = world.category if by == "categories" else None
    over: Over = "both" if len(world.data) > 2 else "stimuli"
    if variance == "jackknife":
        return jackknife_rsa(world.models, world.data, similarity, over=over, clusters=clusters)
    return bootstrap_rsa(
        world.models, world.data, similarity, over=over, n_samples=SAMPLES, seed=seed, clusters=clusters
    )


class Summary(NamedTuple):
    """Of many experiments of one design."""

    covered: np.ndarray
    """(runs, estimates) whether the interval holds the mean over experiments."""
    zero: np.ndarray
    equal: np.ndarray
    below: np.ndarray
    """(runs,) whether rejected at .05; NaN where no test was made."""


def summary(outcomes: Sequence[Outcome]) -> Summary:
    """Coverage and sizes; the truth is the mean over experiments."""
    estimates, widths = (np.array([getattr(o, name) for o in outcomes]) for name in ("estimates", "widths"))
    covered = np.abs(estimates - estimates.mean(axis=0)) <= widths
    p = np.array([(o.zero, o.equal, o.below) for o in outcomes])
    return Summary(covered, *np.where(np.isnan(p), np.nan, p <= 0.05).T)


HEAD = (
    "design", "variance", "true", "half", "unrelated", "to the ceiling", "pairs of models", "above zero", "pairwise",
    "below ceiling",
)  # fmt: skip


def row(name: str, variance: str, found: Summary) -> str:
    """One line of the table; of differences the lowest and highest coverage."""
    m = len(MODELS)
    scores, ceiling, pairs = np.split(found.covered.mean(axis=0), [m, 2 * m])
    cells = [name, variance, *(share(found.covered[:, i]) for i in (0, 1, 3))]
    cells += [f"{part.min():.3f} to {part.max():.3f}" for part in (ceiling, pairs)]
    cells += ["" if np.isnan(p).any() else share(p) for p in (found.zero, found.equal, found.below)]
    return "| " + " | ".join(cells) + " |"


def table(designs: Sequence[Design] = DESIGNS, runs: int = RUNS) -> Iterator[str]:
    """Coverage of 95 % intervals, and how often tests reject at 5 %, with Monte-Carlo errors."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    for design in designs:
        worlds = [design.draw(seed) for seed in range(runs)]
        for variance in ("bootstrap", "jackknife"):
            found = [outcome(w, design.similarity, variance, seed=i) for i, w in enumerate(worlds)]  # type: ignore[arg-type]
            yield row(str(design), variance, summary(found))
