"""Scores per target, per fold: pearson r and R2, permutation p values, targets above chance.

Scores are worked out within each test fold and then averaged. Pooling the predictions of all folds and correlating once
is biased: each fold's mean leans away from its test rows, so that pure noise gets a negative r (leave-one-out with a
large alpha: exactly -1).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ...errors import SpecError

Score = Literal["r", "r2"]


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
    for columns in cut_columns(values.shape[1]):
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
    for columns in cut_columns(t):
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


def cut_columns(t: int) -> list[slice]:
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


def _centre(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values - values.mean(axis=0)


def varying(values: np.ndarray) -> np.ndarray:
    """Columns of values (n, t) that are more than rounding away from constant: bool (t,)."""
    found = np.empty(values.shape[1], bool)
    for columns in cut_columns(values.shape[1]):
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
