"""The best of many models, chosen on one half of the data and scored on the other.

The highest of many scores is too high, and its interval says nothing of the search. Here what results generalise to, stimuli (or
categories) and subjects, is halved again and again; the best model of one half is scored on the other. The mean of these scores
is that of a model chosen so, without bias. How often the halves choose the same model is the stability of the choice.

The variance is that of a score on all data, averaged over what was chosen: halves of one data set are no new data. It is too
wide where many models are equally good, because then their mean varies less than each of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..comparing.similarity import SIMILARITIES
from ..comparing.weighted import Units, n_units
from .bootstrap import sample_scores
from .variance import Spread

Array = NDArray[np.float64]
SPLITS = 50
SPLITS_OF_ORDER = 10
"""tau-a counts pairs of pairs: fewer."""
LEAST_HALF = 4
"""Fewer stimuli than this on one side choose nothing."""


class Nested(NamedTuple):
    """What choosing on halves found."""

    chosen: Array
    """(models,) share of halves in which each model is the best."""
    score: float
    """Mean score in the other halves."""
    se: float
    dof: float


def nested_best(
    models: Array, data: Array, similarity: str, found: Spread, *, seed: int, clusters: Units = None
) -> Nested:
    """Choose the best model on halves and score it on the others.

    Parameters
    ----------
    models, data : arrays (n_models, n_pairs), (n_subjects, n_pairs)
        Without NaN.
    similarity : str
    found : Spread
        Scores on all data and their variances, over what is halved.
    seed : int
    clusters : int array (n,), optional
        Number of the category of each stimulus: whole categories go to one half.

    Returns
    -------
    Nested
        NaN where there are too few stimuli or subjects for two halves.
    """
    n, k = n_units(models, clusters), len(data)
    nothing = Nested(np.full(len(models), np.nan), np.nan, np.nan, np.nan)
    if (found.over != "subjects" and n < 2 * LEAST_HALF) or (found.over != "stimuli" and k < 2):
        return nothing
    rng = np.random.default_rng(seed)
    splits = SPLITS_OF_ORDER if SIMILARITIES[similarity].family == "order" else SPLITS
    inside = _halves(splits, n, rng) if found.over != "subjects" else np.ones((splits, n), dtype=bool)
    mine = _halves(splits, k, rng) if found.over != "stimuli" else np.ones((splits, k), dtype=bool)
    if found.over == "subjects":
        halves = np.broadcast_to(found.scores, (2, splits, *found.scores.shape))
    else:
        counts = np.concatenate([inside, ~inside]).astype(np.int64)
        none = np.zeros((len(counts), 0, k), dtype=np.int64)
        halves = sample_scores(models, data, similarity, counts, none, clusters).scores
        halves = halves.reshape(2, splits, len(models), k)
    theirs = ~mine if found.over != "stimuli" else mine
    first, second = (_mean(half, who) for half, who in zip(halves, (mine, theirs), strict=True))
    both = np.concatenate([first, second]), np.concatenate([second, first])  # (2 splits, models): chosen on, scored on
    known = np.isfinite(both[0]).any(axis=1)
    if not known.any():
        return nothing
    best = np.nanargmax(both[0][known], axis=1)
    chosen = np.bincount(best, minlength=len(models)) / len(best)
    outside = both[1][known][np.arange(len(best)), best]
    picked = chosen > 0
    variance, dof = (float(chosen[picked] @ v[picked]) for v in (found.variance, found.dof))
    return Nested(chosen, float(np.nanmean(outside)), float(np.sqrt(variance)), dof)


def _halves(splits: int, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(splits, n) whether in the first half, which has the odd one."""
    order = np.argsort(rng.random((splits, n)), axis=1)
    return order < (n + 1) // 2


def _mean(scores: Array, who: NDArray[np.bool_]) -> Array:
    """Mean over the subjects of a half: (splits, models, subjects) -> (splits, models)."""
    return np.asarray(np.einsum("smk,sk->sm", scores, who) / who.sum(axis=1)[:, None])
