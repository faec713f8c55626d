"""How far scores would move with other images, from one cross-validation.

A bootstrap of test images that keeps the predictions has a closed form: the influence of a row on a score is its derivative
by the row's weight, and the sum of squared influences is the variance (the infinitesimal jackknife). Repetitions of an image,
and whatever else folds do not split, stay together. That is the variance of scores of fixed models. But test images of one
fold train the others, which the variance is multiplied for as Nadeau and Bengio do for a variance between folds: there are
many more images than folds, so that the interval is narrower than theirs.

References
----------
Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6, doi:10.1137/1.9781611970319;
Nadeau & Bengio (2003), doi:10.1023/A:1024068626366
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...stats import t_interval
from .score import Truth, cut_columns

EVERY = "all"
"""The name of the average over all targets, beside those of each roi."""


class Averages(NamedTuple):
    """Means over targets whose influences are kept: of all neuroids and of each roi (at each time)."""

    names: list[str]
    member: Any
    """Sparse (t, averages * times): the weight of each target; those without scores have none."""

    def of(self, values: np.ndarray) -> np.ndarray:
        """(..., t) -> (..., averages * times)."""
        flat = values.reshape(-1, values.shape[-1])
        return np.asarray((self.member.T @ flat.T).T).reshape(*values.shape[:-1], -1)


def make_averages(roi: np.ndarray | None, scored: np.ndarray, good: np.ndarray, shape: tuple[int, ...]) -> Averages:
    """Averages over targets that have a score.

    Parameters
    ----------
    roi : array of str, shape (neuroid,), optional
    scored : bool array of shape (t,)
        Which fitted targets have a score in some fold.
    good : bool array of shape (all targets,)
        Which of all targets are fitted.
    shape : tuple
        (neuroid[, time]) of all targets.
    """
    from scipy.sparse import coo_matrix, hstack

    times = int(np.prod(shape[1:], dtype=int))
    at = np.flatnonzero(good)
    names, chosen = [EVERY], [np.ones(shape[0], bool)]
    for name in dict.fromkeys(() if roi is None else roi.tolist()):
        if name and name != EVERY:
            names.append(name)
            chosen.append(roi == name)
    columns = []
    for which in chosen:
        mine = np.flatnonzero(scored & which[at // times])
        count = np.bincount(at[mine] % times, minlength=times)
        weight = 1 / count[at[mine] % times]
        columns.append(coo_matrix((weight, (mine, at[mine] % times)), (len(at), times)))
    return Averages(names, hstack(columns).tocsr())


class Influence(NamedTuple):
    """What one fold says about a score."""

    rows: np.ndarray
    """(n, averages) influence of every test row on each average."""
    variance: np.ndarray
    """(t,) of each target, over images in place of the test rows."""


def influence_of_fold(
    truth: Truth, prediction: np.ndarray, groups: np.ndarray, averages: Averages
) -> dict[str, Influence]:
    """Influences of the test rows of a fold on its r and R2.

    Parameters
    ----------
    truth : Truth
        The rows scored.
    prediction : array of shape (n, t)
    groups : array of shape (n,)
        Rows that stay together.
    averages : Averages

    Returns
    -------
    dict of Influence, for ``r`` and ``r2``
        Zero where a score is undefined or the prediction constant.
    """
    n, t = prediction.shape
    number = np.unique(groups, return_inverse=True)[1]
    count = int(number.max()) + 1
    rows = {key: np.zeros((n, averages.member.shape[1])) for key in ("r", "r2")}
    variance = {key: np.zeros(t) for key in rows}
    for columns in cut_columns(t):
        for key, values in _derivatives(truth, prediction, columns).items():
            rows[key] += (averages.member[columns].T @ values.T).T
            together = values
            if count < n:
                together = np.zeros((count, values.shape[1]))
                np.add.at(together, number, values)
            variance[key][columns] = count / max(count - 1, 1) * np.einsum("ij,ij->j", together, together)
    return {key: Influence(rows[key], variance[key]) for key in rows}


def _derivatives(truth: Truth, prediction: np.ndarray, columns: slice) -> dict[str, np.ndarray]:
    """Of r and R2 of some targets, by the weight of each row: (n, columns)."""
    d = truth.values[:, columns] - truth.mean[columns]
    whole = np.where(truth.varies[columns], truth.squares[columns], np.inf)
    guess = prediction[:, columns].astype(np.float64)
    error = truth.values[:, columns] - guess
    left = np.einsum("ij,ij->j", error, error) / whole
    q = guess - guess.mean(axis=0)
    own = np.einsum("ij,ij->j", q, q)
    own = np.where(own > 0, own, np.inf)
    both = d * q / np.sqrt(whole * own)
    return {"r": both - both.sum(axis=0) / 2 * (d**2 / whole + q**2 / own), "r2": (left * d**2 - error**2) / whole}


def shared_training(folds: np.ndarray | int) -> np.ndarray:
    """What a variance over images is multiplied by, as test images of a fold train the others: ``1 + J / (J - 1)``."""
    count = np.asarray(folds, np.float64)
    return np.where(count > 1, 1 + count / np.where(count > 1, count - 1, 1), np.nan)


def interval_over_images(
    score: np.ndarray, influence: np.ndarray, groups: np.ndarray, fold: np.ndarray, *, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of means over folds, for new images.

    Parameters
    ----------
    score : array of any shape
    influence : array of shape (rows, *shape)
        Of every row on the mean over folds; of a difference of scores, the difference of influences.
    groups, fold : arrays of shape (rows,)
        What stays together, and the fold that tests each row.
    confidence : float

    Returns
    -------
    low, high
        From t with as many degrees of freedom as there are groups beyond one for each fold. Influences that are zero
        everywhere, or not there, give NaN.
    """
    first, number = np.unique(groups, return_index=True, return_inverse=True)[1:]
    total = np.zeros((len(first), *influence.shape[1:]))
    np.add.at(total, number.ravel(), influence)
    sizes = np.bincount(np.unique(fold, return_inverse=True)[1].ravel()[first])
    weight = sizes / np.maximum(sizes - 1, 1)
    where = np.unique(fold[first], return_inverse=True)[1].ravel()
    variance = np.tensordot(weight[where], total**2, axes=1) * shared_training(len(sizes))
    dof = max(len(first) - len(sizes), 1)
    return t_interval(score, np.sqrt(np.where(variance > 0, variance, np.nan)), dof, confidence)
