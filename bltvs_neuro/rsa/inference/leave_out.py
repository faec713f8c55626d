"""Intervals and tests of any number that is computed from stimuli and subjects: it is computed again without each of them.

Partial correlations, weighted models and commonalities have no formula of their own as scores have (:mod:`.jackknife`). Their
variance over new stimuli and subjects is taken as the sum of two jackknives, over stimuli (or categories) and over subjects. What
both contain is counted twice, and single pairs of stimuli too (:mod:`bltvs_neuro.stats.pairs`): intervals are rather too wide.
Degrees of freedom are Satterthwaite's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats as sps

from ...errors import SpecError, argument
from ...stats import LEAST_DOF, adjust_p_values
from ..comparing.weighted import Units
from .clusters import generalises_to
from .limits import bounded_interval
from .options import Inference
from .variance import Over

Array = NDArray[np.float64]
Int = NDArray[np.int64]
LEAST_UNITS = 5
"""Fewer stimuli or categories have no variance worth the name."""


class Estimate(NamedTuple):
    """Numbers with their intervals and tests."""

    value: Array
    """(parts,)"""
    se: Array
    dof: Array
    ci_low: Array
    ci_high: Array
    p_zero: Array
    """One-sided: above zero."""
    p_zero_corrected: Array
    over: Over
    about: dict[str, str]
    """``test``, ``family``, ``correction`` of the p values, and what all ``generalises_to``."""


def leave_out(
    statistic: Callable[[Int, Int], Array], n: int, k: int, inference: Inference, *, clusters: Units = None
) -> Estimate:
    """Estimate numbers, and how much they would vary with other stimuli and subjects.

    Parameters
    ----------
    statistic : function
        Of the positions of the stimuli and of the subjects that are kept: (parts,) numbers.
    n, k : int
        Stimuli and subjects.
    inference : Inference
        Its ``over`` (``auto``: both from 3 subjects on, else stimuli), ``confidence`` and ``correction``.
    clusters : int array (n,), optional
        Number of the category of each stimulus; whole ones are left out.

    Raises
    ------
    SpecError
        Fewer than 3 subjects where they are left out, or than 5 stimuli or categories.
    """
    over: Over = ("both" if k >= 3 else "stimuli") if inference.over == "auto" else inference.over
    place = np.arange(n) if clusters is None else clusters
    units, subjects, everything = int(place.max()) + 1, np.arange(k), np.arange(n)
    if over != "stimuli" and k < 3:
        raise SpecError(f"leaving subjects out needs at least 3; got {k}: take {argument('over', 'stimuli')}")
    if over != "subjects" and units < LEAST_UNITS:
        what = "stimuli" if clusters is None else "categories"
        raise SpecError(f"leaving {what} out needs at least {LEAST_UNITS}; got {units}")
    value = statistic(everything, subjects)
    parts: list[tuple[Array, int]] = []
    if over != "subjects":
        left = np.array([statistic(np.flatnonzero(place != u), subjects) for u in range(units)])
        parts.append(((units - 1) ** 2 / units * left.var(axis=0, ddof=1), units - 1))
    if over != "stimuli":
        left = np.array([statistic(everything, np.delete(subjects, s)) for s in range(k)])
        parts.append(((k - 1) ** 2 / k * left.var(axis=0, ddof=1), k - 1))
    variance = np.sum([v for v, _ in parts], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        dof = variance**2 / np.sum([v**2 / d for v, d in parts], axis=0)
        t = value / np.sqrt(variance)
    dof = np.where(np.isfinite(dof), dof, np.nan)
    low, high, _ = bounded_interval(value, np.sqrt(variance), dof, inference.confidence)
    p = np.where(dof >= LEAST_DOF, sps.t.sf(t, dof), np.nan)
    about = {
        "test": "t", "family": f"all {p.size} in the table", "correction": inference.correction,
        "generalises_to": generalises_to(over, clusters),
    }  # fmt: skip
    return Estimate(value, np.sqrt(variance), dof, low, high, p, adjust_p_values(p, inference.correction), over, about)


def pairs_of(kept: Int, n: int) -> NDArray[np.bool_]:
    """(n_pairs,) which pairs of n stimuli are of two that are kept."""
    there = np.zeros(n, dtype=bool)
    there[kept] = True
    row, column = np.triu_indices(n, 1)
    return there[row] & there[column]
