"""Scores per target, per fold: pearson r and R2, permutation p values, targets above chance.

Scores are worked out within each test fold and then averaged. Pooling the predictions of all folds and correlating once
is biased: each fold's mean leans away from its test rows, so that pure noise gets a negative r (leave-one-out with a
large alpha: exactly -1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...errors import DataError, SpecError


def pearson(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Pearson correlation of each target.

    Parameters
    ----------
    truth, prediction : arrays of shape (n, t)

    Returns
    -------
    array of shape (t,), float64
        0 where the prediction is constant (it tells nothing), NaN where the truth is.
    """
    _same_shape(truth, prediction)
    return pearson_and_r2(read_truth(truth), prediction)[0]


def r2(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Coefficient of determination of each target, against the mean of the rows scored.

    Takes what :func:`pearson` takes.

    Returns
    -------
    array of shape (t,), float64
        ``1 - sum (y - prediction)^2 / sum (y - mean y)^2``; negative where the mean would be better, NaN where the truth
        is constant.
    """
    _same_shape(truth, prediction)
    return pearson_and_r2(read_truth(truth), prediction)[1]


class Truth(NamedTuple):
    """The rows scored, with what every prediction of them needs."""

    values: np.ndarray
    """(n, t)"""
    mean: np.ndarray
    """(t,)"""
    squares: np.ndarray
    """(t,) sum of squares about the mean."""
    varies: np.ndarray
    """(t,) not constant."""


def read_truth(values: np.ndarray) -> Truth:
    """Prepare responses of shape (n, t) for scoring."""
    mean, squares, varies = (np.empty(values.shape[1], kind) for kind in (np.float64, np.float64, bool))
    for columns in _cuts(values.shape[1]):
        part = values[:, columns]
        mean[columns] = part.mean(axis=0, dtype=np.float64)
        centred = part - mean[columns]
        squares[columns] = np.einsum("ij,ij->j", centred, centred)
        varies[columns] = _varies(part, centred)
    return Truth(values, mean, squares, varies)


def pearson_and_r2(truth: Truth, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`pearson` and :func:`r2` give, in one pass over a prediction of shape (n, t)."""
    _same_shape(truth.values, prediction)
    n, t = prediction.shape
    mean, own, common = np.empty(t), np.empty(t), np.empty(t)
    for columns in _cuts(t):
        part = prediction[:, columns]
        mean[columns] = part.mean(axis=0, dtype=np.float64)
        centred = part - mean[columns]
        own[columns] = np.einsum("ij,ij->j", centred, centred)
        # the prediction is about its mean, so the truth need not be
        common[columns] = np.einsum("ij,ij->j", truth.values[:, columns], centred)
    good = truth.varies & (own > 1e-24 * (own + n * mean**2))  # more than rounding away from constant
    r = np.where(good, common / np.where(good, np.sqrt(truth.squares * own), 1), 0.0)
    left = truth.squares + own - 2 * common + n * (truth.mean - mean) ** 2
    explained = 1 - left / np.where(truth.varies, truth.squares, 1)
    return np.where(truth.varies, np.clip(r, -1, 1), np.nan), np.where(truth.varies, explained, np.nan)


def mean_over_folds(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean over the folds in which a score is defined (:data:`bltvs_neuro.encoding.sweep.targets.STATUSES`); NaN without any."""
    return mean_of_finite(np.moveaxis(values, axis, -1))


def _cuts(t: int) -> list[slice]:
    """Columns a few hundred at a time: in float64 they stay in the cache."""
    return [slice(at, at + 512) for at in range(0, t, 512)]


def split_r2(truth: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Share of R2 that falls to each part of a prediction (product measure); the shares sum to the R2 of the whole.

    Parameters
    ----------
    truth : array of shape (n, t)
    parts : array of shape (g, n, t)
        Their sum is the prediction.

    Returns
    -------
    array of shape (g, t)
        With d = y - mean y and parts and sum taken about mean y: ``sum part (2 d - sum) / sum d^2``. A share can be
        negative where parts cancel.

    References
    ----------
    Pratt (1987), product measure; Dupré la Tour et al. (2022), doi:10.1016/j.neuroimage.2022.119728
    """
    if parts.ndim != 3 or parts.shape[1:] != truth.shape:
        raise SpecError(f"parts have shape (bands, {truth.shape[0]}, {truth.shape[1]}); got {parts.shape}")
    middle = np.asarray(truth, np.float64).mean(axis=0)
    d = truth - middle
    about = np.asarray(parts, np.float64) - middle / len(parts)
    total = about.sum(axis=0)
    varies = _varies(truth, d)
    share = (about * (2 * d - total)).sum(axis=1) / np.where(varies, (d * d).sum(axis=0), 1)
    return np.where(varies, share, np.nan)


class PermutationTest(NamedTuple):
    """Is a target predicted better than with stimuli shuffled?"""

    r: np.ndarray
    """(t,) mean over the folds in which the truth varies."""
    p_value: np.ndarray
    """(t,) one-sided; NaN where r is."""
    n_permutations: int


def permutation_test(
    truth: np.ndarray,
    prediction: np.ndarray,
    folds: Sequence[np.ndarray],
    *,
    groups: Sequence[object] | np.ndarray | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
) -> PermutationTest:
    """Test cross-validated predictions by shuffling which stimulus they belong to, within each test fold.

    Parameters
    ----------
    truth, prediction : arrays of shape (n, t)
        Responses and their cross-validated predictions.
    folds : sequence of arrays of row positions
        The test rows of each fold.
    groups : sequence of length n, optional
        Rows that move together: repetitions of a stimulus, whose predictions are the same, or runs of equal length,
        whose rows keep their order. Default: every row by itself.
    n_permutations : int
    seed : int

    Returns
    -------
    PermutationTest
        ``p = (1 + number of shuffles with at least this r) / (1 + n_permutations)``.

    Raises
    ------
    DataError
        Groups of a fold are neither of equal size nor of constant prediction, or a fold has fewer than 2.

    References
    ----------
    Phipson & Smyth (2010), permutation p values are never zero, doi:10.2202/1544-6115.1585
    """
    _same_shape(truth, prediction)
    labels = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    rng = np.random.default_rng(seed)
    prepared = [_shuffler(truth[test], prediction[test], labels[test]) for test in folds]
    every = np.array([pearson(truth[test], prediction[test]) for test in folds])
    observed = mean_over_folds(every)
    count = np.zeros(truth.shape[1])
    # a fold in which the truth is constant adds 0 to either side; ties with the observed order count
    threshold = np.nan_to_num(every).mean(axis=0) - 1e-6
    for _ in range(n_permutations):
        total = sum((shuffle(rng) for shuffle in prepared), start=np.zeros(truth.shape[1]))
        count += total / len(prepared) >= threshold
    p = (1 + count) / (1 + n_permutations)
    return PermutationTest(observed, np.where(np.isnan(observed), np.nan, p), n_permutations)


def _shuffler(truth, prediction, labels):  # type: ignore[no-untyped-def]
    """A function that gives r of one test fold under a random exchange of its groups."""
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    group = group.ravel()
    k = len(sizes)
    if k < 2:
        raise DataError("a permutation needs at least 2 groups in every test fold: use fewer folds")
    order = np.argsort(group, kind="stable")
    first = order[np.concatenate([[0], np.cumsum(sizes)[:-1]])]
    same = all(
        np.allclose(prediction[order[group[order] == i]], prediction[first[i]]) for i in np.flatnonzero(sizes > 1)
    )
    if not same and len(set(sizes)) > 1:
        raise DataError(
            f"groups in a test fold have {sizes.min()} to {sizes.max()} rows and predictions that differ within them:"
            " they cannot be exchanged; group by stimulus_id"
        )
    y = _unit(truth)

    if same:
        sums = np.zeros((k, y.shape[1]))
        np.add.at(sums, group, y)
        if len(set(sizes)) == 1:  # then the spread does not change with the order
            unit, single = _unit(prediction[first]).astype(np.float32), (sums / np.sqrt(sizes[0])).astype(np.float32)

            def shuffle_equal(rng: np.random.Generator) -> np.ndarray:
                return np.einsum("ij,ij->j", single, unit[rng.permutation(k)])

            return shuffle_equal
        values, weight = np.asarray(prediction[first], np.float64), sizes[:, None]
        n = sizes.sum()

        def shuffle(rng: np.random.Generator) -> np.ndarray:
            moved = values[rng.permutation(k)]
            mean = (weight * moved).sum(axis=0) / n
            spread = np.sqrt(np.maximum((weight * moved**2).sum(axis=0) - n * mean**2, 0))
            return (sums * moved).sum(axis=0) / np.where(spread > 0, spread, 1)

        return shuffle
    blocks = order.reshape(k, -1)
    x = _unit(prediction)

    def shuffle_blocks(rng: np.random.Generator) -> np.ndarray:
        moved = np.empty_like(x)
        moved[blocks.ravel()] = x[blocks[rng.permutation(k)].ravel()]
        return (y * moved).sum(axis=0)

    return shuffle_blocks


def _unit(values: np.ndarray) -> np.ndarray:
    centred = _centre(values)
    size = np.sqrt((centred**2).sum(axis=0))
    return np.where(_varies(values, centred), centred / np.where(size > 0, size, 1), 0.0)


def _centre(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values - values.mean(axis=0)


def varying(values: np.ndarray) -> np.ndarray:
    """Columns of values (n, t) that are more than rounding away from constant: bool (t,)."""
    found = np.empty(values.shape[1], bool)
    for columns in _cuts(values.shape[1]):
        found[columns] = _varies(values[:, columns], _centre(values[:, columns]))
    return found


def _varies(values: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """Columns that are more than rounding away from constant."""
    return np.abs(centred).max(axis=0) > 1e-12 * np.abs(values).max(axis=0)


def _same_shape(truth: np.ndarray, prediction: np.ndarray) -> None:
    if truth.shape != prediction.shape or truth.ndim != 2:
        raise SpecError(
            f"responses and predictions have one shape (rows, targets); got {truth.shape}, {prediction.shape}"
        )


def mean_of_finite(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is finite; NaN where nothing is."""
    good = np.isfinite(values)
    count = good.sum(axis=-1)
    return np.where(count > 0, np.where(good, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)
