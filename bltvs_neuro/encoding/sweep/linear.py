"""How nearly one band is a linear function of the others, as far as the stimuli tell.

What a band explains beyond the others is what ridge on the others cannot reach. Where a band holds the same information as
the others in a basis that is easier to learn, a ridge gains from it and its unique variance is above zero. Whether that may
be is seen in the features alone: the band is predicted from the others, stimuli held out, and the share of its variance that
is predicted is compared with what each predicts of itself. With more features than stimuli none of these is 1, and a linear
function can stay unseen where the band raises what is weak in the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...features.folds import Fold

NEARLY = 0.8
"""From this share on, a band is nearly linear in the rest."""
PENALTIES = 10.0 ** np.arange(-6, 3)
"""In units of the mean eigenvalue."""


class LinearBandWarning(UserWarning):
    """A band is nearly a linear function of the others: its unique variance may be that of a better basis."""


def linear_share(band: Sequence[np.ndarray], rest: Sequence[np.ndarray], folds: Sequence[Fold]) -> float:
    """Cross-validated share of a band's variance that ridge on the rest predicts, of the most that could be seen.

    Parameters
    ----------
    band, rest : sequences of arrays of shape (rows, rows)
        Grams for every fold, that of the rest with its bands added up.
    folds : sequence of Fold

    Returns
    -------
    float
        About 1 for a linear function of the rest, 0 or below where nothing is predicted (told as 0); NaN where one of them
        does not predict itself.
    """
    if not np.trace(rest[0]) > 0 or not np.trace(band[0]) > 0:
        return float("nan")
    most = min(_predicted(rest, rest, folds), _predicted(band, band, folds))
    return float(np.clip(_predicted(band, rest, folds) / most, 0, 1)) if most > 0 else float("nan")


def _predicted(grams: Sequence[np.ndarray], known: Sequence[np.ndarray], folds: Sequence[Fold]) -> float:
    """Cross-validated share of the variance of all features of one Gram that ridge on another predicts, at its best penalty."""
    left, whole = np.zeros(len(PENALTIES)), 0.0
    for f, (train, test) in enumerate(folds):
        x, gram = _centred(known[f], train), _centred(grams[f], train)
        values, vectors = np.linalg.eigh(x[np.ix_(train, train)])
        cross = x[np.ix_(test, train)] @ vectors  # (test, r)
        own = np.trace(gram[np.ix_(test, test)])
        between = np.einsum("tr,rt->r", cross, vectors.T @ gram[np.ix_(train, test)])
        inside = (vectors.T @ gram[np.ix_(train, train)] @ vectors) * (cross.T @ cross)
        whole += float(own)
        for k, penalty in enumerate(PENALTIES * max(float(values.mean()), np.finfo(float).tiny)):
            weight = 1 / (np.maximum(values, 0) + penalty)
            # squares of residuals: of the features, less twice what they share with the prediction, and of that
            left[k] += own - 2 * weight @ between + weight @ inside @ weight
    return float(1 - left.min() / whole) if whole > 0 else float("nan")


def _centred(gram: np.ndarray, train: np.ndarray) -> np.ndarray:
    """A Gram of features about their mean over training rows."""
    mean = gram[train].mean(axis=0)
    return np.asarray(gram - mean - mean[:, None] + mean[train].mean())
