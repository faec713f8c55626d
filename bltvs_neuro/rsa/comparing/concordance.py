"""Kendall's tau-a with each stimulus left out, from the concordances of single pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...neural.condensed import condensed_to_square, n_from_pairs
from ...stats.pairs import unit_sums
from ..inference.influence import influence, prepare
from .similarity import SIMILARITIES

Array = NDArray[np.float64]


def tau_leave_one_out(models: Array, data: Array) -> tuple[Array, Array]:
    """tau-a of all stimuli, and with each left out.

    Leaving stimulus i out takes away its pairs' concordances with all pairs, and gives back those among its own pairs,
    which went twice.

    Returns
    -------
    whole : array (models, subjects)
    left : array (n, models, subjects)
        NaN-free: a constant RDM has tau-a 0.
    """
    kind = SIMILARITIES["tau-a"]
    n_pairs = models.shape[1]
    n = n_from_pairs(n_pairs)
    x, y = condensed_to_square(models), condensed_to_square(data)
    px, py = prepare(models, kind), prepare(data, kind)
    whole, left = np.empty((len(models), len(data))), np.empty((n, len(models), len(data)))
    off = ~np.eye(n, dtype=bool)
    within = np.empty((n, len(models), len(data)))
    for i in range(n):
        a, b = (_signs(v[:, i][:, off[i]]) for v in (x, y))
        within[i] = a @ b.T
    rest = n_pairs - (n - 1)
    for s in range(len(data)):
        g, whole[:, s] = influence(px, py.one(s), kind)
        concordance = (g / 2 + whole[:, s, None]) * (n_pairs - 1)  # of each pair with all others
        gone = 2 * unit_sums(concordance, n).T - within[:, :, s]  # (n, models)
        left[:, :, s] = (whole[:, s] * n_pairs * (n_pairs - 1) - gone) / (rest * (rest - 1))
    return whole, left


def _signs(values: Array) -> Array:
    """(rdm, n) -> (rdm, n * n) signs of all differences."""
    return np.sign(values[:, :, None] - values[:, None, :]).reshape(len(values), -1)
