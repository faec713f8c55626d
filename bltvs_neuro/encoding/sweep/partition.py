"""What explains what: commonality of feature spaces, and the best space of each target with an honest margin."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from ...errors import SpecError, listed


def commonality(r2: Mapping[frozenset[str], np.ndarray]) -> dict[frozenset[str], np.ndarray]:
    """Unique and shared variance from the R2 of every combination of feature spaces.

    Parameters
    ----------
    r2 : mapping of frozenset of names to arrays of any one shape
        One entry for every non-empty subset of the names: 3 for two spaces, 7 for three.

    Returns
    -------
    dict of frozenset of names to arrays
        For each subset, the variance that exactly these spaces share and no other explains; ``{"bu"}`` alone is what bu
        explains uniquely. The entries sum to the R2 of all spaces together. With cross-validated R2 an entry can be
        negative (a space that adds nothing costs a little:
        :mod:`bltvs_neuro.encoding.sweep.simulated_null` measures how much); it is not clipped, which would bias the mean.

    Raises
    ------
    SpecError
        A subset is missing.

    References
    ----------
    Seibold & McPhee (1979), doi:10.1111/j.1468-2958.1979.tb00651.x

    Examples
    --------
    >>> parts = commonality({frozenset("a"): 0.3, frozenset("b"): 0.2, frozenset("ab"): 0.4})
    >>> {"".join(sorted(k)): round(float(v), 3) for k, v in parts.items()}
    {'a': 0.2, 'b': 0.1, 'ab': 0.1}
    """
    names = sorted(set().union(*r2)) if r2 else []
    subsets = [frozenset(c) for k in range(1, len(names) + 1) for c in combinations(names, k)]
    missing = [" + ".join(sorted(s)) for s in subsets if s not in r2]
    if not names or missing:
        raise SpecError(f"commonality needs the R2 of every combination; missing: {listed(missing) or 'all'}")
    everything = frozenset(names)

    def explained(subset: frozenset[str]) -> np.ndarray | float:
        return np.asarray(r2[subset], np.float64) if subset else 0.0

    out = {}
    for subset in subsets:
        rest = everything - subset
        # what the rest leaves unexplained and every member of the subset could explain: inclusion-exclusion
        total: np.ndarray | float = 0.0
        for k in range(len(subset) + 1):
            for some in combinations(sorted(subset), k):
                total = total + (-1) ** (k + 1) * explained(rest | frozenset(some))
        out[subset] = np.asarray(total, np.float64)
    return out


def corrected_interval(per_fold: np.ndarray, n_test: np.ndarray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a mean over folds of one cross-validation, which share training rows.

    Parameters
    ----------
    per_fold : array of shape (fold,)
        A difference of scores in each fold, averaged over neuroids first: those share stimuli, so that their number tells
        little of how certain the mean is.
    n_test : array
        Test rows of every fold, also of those without a score.
    confidence : float

    Returns
    -------
    low, high
        ``mean +- t(J - 1) sqrt((1 / J + n_test / n_train) s^2)`` with J folds, s^2 their variance (ddof 1) and the mean
        numbers of rows: sqrt(1 + J / (J - 1)) times as wide as if folds were independent.

    Raises
    ------
    SpecError
        Fewer than 2 folds.

    References
    ----------
    Nadeau & Bengio (2003), doi:10.1023/A:1024068626366

    Examples
    --------
    >>> low, high = corrected_interval(np.array([0.1, 0.2, 0.3, 0.2]), np.full(4, 25))
    >>> round(low, 3), round(high, 3)
    (0.002, 0.398)
    """
    folds = len(per_fold)
    if folds < 2:
        raise SpecError(f"an interval over folds needs 2 or more; got {folds}")
    half = student.ppf((1 + confidence) / 2, folds - 1) * np.sqrt(
        (1 / folds + shared_training(n_test)) * np.var(per_fold, ddof=1)
    )
    return float(np.mean(per_fold) - half), float(np.mean(per_fold) + half)


def shared_training(n_test: np.ndarray) -> float:
    """Test rows over training rows, means over folds: what common training rows add to the variance of a mean."""
    tested = float(np.mean(n_test))
    return tested / (float(np.sum(n_test)) - tested)


class Best(NamedTuple):
    """The best feature space of each target."""

    winner: np.ndarray
    """(t,) position of the winner over the folds in which all scores are there; -1 where there is none."""
    margin: np.ndarray
    """(t,) mean lead over the runner-up in folds that had no part in choosing either; NaN where fewer than two folds or
    spaces are there, and so for what follows."""
    standard_error: np.ndarray
    """(t,) of the margin over folds (folds share training rows: a rough guide)."""
    agreement: np.ndarray
    """(t,) share of folds in which the others chose the same winner."""


def best_space(scores: np.ndarray) -> Best:
    """Choose the best of several feature spaces per target, with a cross-validated margin.

    Parameters
    ----------
    scores : array of shape (space, fold, t)
        Scores per test fold, such as r or R2.

    Returns
    -------
    Best
        For each fold, winner and runner-up are chosen on the mean of the other folds and compared on that fold: a margin
        whose mean is zero or below when all spaces are equally good (the plain lead of the maximum is always positive).

    Raises
    ------
    SpecError
        No space, or fewer than 2 folds.
    """
    if scores.ndim != 3 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise SpecError(f"scores have shape (spaces, folds, targets) with 2 or more folds; got {scores.shape}")
    spaces, n_folds, t = scores.shape
    there = np.isfinite(scores).all(axis=0)  # (fold, t)
    values, count = np.where(there, scores, 0.0), there.sum(axis=0)
    total = values.sum(axis=1)
    winner = np.where(count > 0, total.argmax(axis=0), -1)
    if spaces == 1:
        return Best(winner, *np.full((3, t), np.nan))
    leads, agree = np.zeros((n_folds, t)), np.zeros(t)
    columns = np.arange(t)
    for fold in range(n_folds):
        order = np.argsort(-(total - values[:, fold]), axis=0, kind="stable")
        leads[fold] = values[order[0], fold, columns] - values[order[1], fold, columns]
        agree += there[fold] & (order[0] == winner)
    n = np.where(count > 1, count, np.nan)
    margin = leads.sum(axis=0) / n
    error = np.sqrt((there * (leads - margin) ** 2).sum(axis=0) / (n - 1) / n)
    return Best(winner, margin, error, agree / n)
