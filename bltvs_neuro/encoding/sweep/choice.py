"""Choosing a feature space within training folds, scored outside of them.

A choice by the scores of the other folds is no nested one: their models were trained on the fold that is then scored, and its
responses have their part in both (scores of noise are a symmetric form of the responses). The criterion that chooses
penalties sees training rows alone, and estimates the error of new rows: feature spaces are chosen by it too, at no cost.

References
----------
Varma & Simon (2006), doi:10.1186/1471-2105-7-91
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from .partition import shared_training


class Choice(NamedTuple):
    """The feature space chosen for each target; -1 and NaN where fewer than two folds have scores."""

    space: np.ndarray
    """(t,) position of the space that most folds chose."""
    stability: np.ndarray
    """(t,) share of folds that chose it."""
    score: np.ndarray
    """(t,) mean over folds of the score of what each fold chose."""
    ci_low: np.ndarray
    ci_high: np.ndarray
    margin: np.ndarray
    """(t,) mean lead over what each fold held for second best; NaN where there is one space."""
    margin_ci_low: np.ndarray
    margin_ci_high: np.ndarray


def nested_choice(inner: np.ndarray, outer: np.ndarray, n_test: np.ndarray, *, confidence: float = 0.95) -> Choice:
    """Choose in each fold by what its training rows say, and score by its test rows.

    Parameters
    ----------
    inner, outer : arrays of shape (space, fold, t)
        The expected R2 of training rows, and the score of test rows.
    n_test : array of shape (fold,)
        Test rows of each fold.
    confidence : float
        Of intervals over folds, which count their common training rows (Nadeau & Bengio 2003).

    Examples
    --------
    >>> inner = np.array([[[0.5], [0.4], [0.3]], [[0.1], [0.1], [0.4]]])
    >>> outer = np.array([[[0.3], [0.2], [0.4]], [[0.2], [0.2], [0.1]]])
    >>> found = nested_choice(inner, outer, np.full(3, 10))
    >>> found.space.tolist(), found.stability.round(2).tolist(), found.score.round(2).tolist(), found.margin.round(2).tolist()
    ([0], [0.67], [0.2], [-0.07])
    """
    there = np.isfinite(inner).all(axis=0) & np.isfinite(outer).all(axis=0)  # (fold, t)
    spaces, _, t = inner.shape
    order = np.argsort(-np.where(there, inner, 0.0), axis=0, kind="stable")  # (space, fold, t)
    first = np.take_along_axis(outer, order[:1], axis=0)[0]
    votes = ((order[:1] == np.arange(spaces)[:, None, None]) & there).sum(axis=1)  # (space, t)
    mean = np.where(there, inner, 0.0).sum(axis=1)
    # of those that most folds chose, the one with the best criterion
    space = np.where(votes == votes.max(axis=0), mean, -np.inf).argmax(axis=0)
    folds = there.sum(axis=0)
    enough = folds > 1
    score, low, high = mean_and_interval(np.where(there, first, np.nan), n_test, confidence)
    leads = np.full((3, t), np.nan)
    if spaces > 1:
        second = np.take_along_axis(outer, order[1:2], axis=0)[0]
        leads = np.array(mean_and_interval(np.where(there, first - second, np.nan), n_test, confidence))
    share = np.where(enough, votes[space, np.arange(t)] / np.maximum(folds, 1), np.nan)
    return Choice(np.where(enough, space, -1), share, score, low, high, *leads)


def mean_and_interval(
    values: np.ndarray, n_test: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over folds (fold, t) that are finite, and its interval; NaN for fewer than two."""
    there = np.isfinite(values)
    count = np.where(there.sum(axis=0) > 1, there.sum(axis=0), np.nan)
    mean = np.where(there, values, 0).sum(axis=0) / count
    variance = np.where(there, (values - mean) ** 2, 0).sum(axis=0) / (count - 1)
    half = student.ppf((1 + confidence) / 2, count - 1) * np.sqrt((1 / count + shared_training(n_test)) * variance)
    return mean, mean - half, mean + half
