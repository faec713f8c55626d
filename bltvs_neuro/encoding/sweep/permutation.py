"""Are targets predicted better than with other stimuli's responses? Permutations of stimuli, everything fitted anew.

A cross-validated score of noise is a symmetric form y'Ky of the responses: training and test rows of one fold change places
in another, so that its variance is twice that of scores whose predictions are kept and shuffled. Responses are therefore
exchanged between stimuli over all rows, and every fold is fitted again, penalties included. Features keep their rows, so
that a fold's decomposition serves all permutations.

References
----------
Besag & Clifford (1991), sequential Monte Carlo p values, doi:10.1093/biomet/78.2.301;
Phipson & Smyth (2010), permutation p values are never zero, doi:10.2202/1544-6115.1585;
Ojala & Garriga (2010), permutation tests of cross-validated scores, https://www.jmlr.org/papers/v11/ojala10a.html
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..scores.score import pearson_and_r2
from ..solvers.estimators import PLS
from .inputs import Inputs
from .orders import Orders
from .plan import Plan
from .solve import outcomes

ENOUGH = 20
"""A target is permuted no more once so many permutations have reached its score: its p value is far from small."""


def permutation_p_values(inputs: Inputs, plan: Plan, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-sided p values of mean cross-validated r, and the largest r of each permutation.

    Parameters
    ----------
    inputs, plan
        Of a feature space and its sweep.
    r : array of shape (folds, t)
        Scores of the data as they are; NaN where a fold defines none, which counts as 0 here and in permutations.

    Returns
    -------
    p_values : array of shape (t,)
        ``(1 + reached) / (1 + n)`` where n permutations reached the score fewer than :data:`ENOUGH` times; else
        ``ENOUGH / l``, where the l-th permutation was the last of these (Besag & Clifford 1991). NaN where r is everywhere.
    largest : array of shape (permutations,)
        Over targets, where family-wise errors are asked for: no target leaves then. Else empty.
    """
    y, observed = plan.targets.values, np.nan_to_num(r).mean(axis=0) - 1e-6  # ties with the observed order count
    # these see all targets at once: no target may leave, and permutations do not share a fit
    together = isinstance(plan.solver, PLS) or plan.transformer is not None
    width = max(1, plan.memory // (64 * len(y)))
    p, reached = np.full(len(observed), np.nan), np.zeros(len(observed), np.int64)
    left = np.flatnonzero(np.isfinite(r).any(axis=0))
    orders, done, total = Orders(plan.targets.groups, plan.settings.seed), 0, plan.permutations.n_permutations
    stay, largest = plan.permutations.fwer, []
    while done < total and len(left):
        some = np.arange(len(observed)) if together else left
        count = 1 if together else min(max(1, width // len(some)), total - done)
        rows = [orders.draw() for _ in range(count)]
        scores = _scores(inputs, plan, np.concatenate([y[order][:, some] for order in rows], axis=1))
        scores = scores.reshape(count, len(some))
        scores = scores if not together else scores[:, left]
        times = reached[left] + (scores >= observed[left]).cumsum(axis=0)
        enough = (times[-1] >= ENOUGH) & (not stay)
        p[left[enough]] = ENOUGH / (done + 1 + (times[:, enough] >= ENOUGH).argmax(axis=0))
        reached[left] = times[-1]
        if stay:
            largest.append(scores.max(axis=1))
        left, done = left[~enough], done + count
    p[left] = (1 + reached[left]) / (1 + total)
    return p, np.concatenate(largest) if largest else np.zeros(0)


def family_wise(r: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Family-wise p values, for all spaces and targets together.

    Parameters
    ----------
    r : array of shape (space, fold, ...)
        Scores of the data as they are.
    largest : array of shape (space, permutations)
        Of the same permutations in every space.

    Returns
    -------
    array of shape (space, ...)
        ``(1 + permutations whose largest score of all reached this one) / (1 + permutations)``; NaN where r is everywhere.

    References
    ----------
    Westfall & Young (1993), Resampling-Based Multiple Testing; Nichols & Holmes (2002), doi:10.1002/hbm.1058
    """
    observed = np.nan_to_num(r).mean(axis=1) - 1e-6
    every = np.sort(largest.max(axis=0))
    reached = len(every) - np.searchsorted(every, observed, side="left")
    return np.where(np.isfinite(r).any(axis=1), (1 + reached) / (1 + len(every)), np.nan)


def _scores(inputs: Inputs, plan: Plan, values: np.ndarray) -> np.ndarray:
    """Mean r over folds of other responses (n, columns), every fold fitted to them."""
    other = dataclasses.replace(plan, targets=plan.targets._replace(values=values))
    total = np.zeros(values.shape[1])
    for f, outcome in enumerate(outcomes(inputs, other)):
        total += np.nan_to_num(pearson_and_r2(other.targets_of(f).truth, outcome.prediction)[0])
    return total / len(plan.folds)
