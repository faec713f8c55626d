"""What may be said about a score: intervals end where the similarity does, and rest on a degree of freedom."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...stats import LEAST_DOF, t_interval
from .variance import Spread

Array = NDArray[np.float64]
LOWEST, HIGHEST = -1.0, 1.0
"""Range of every similarity of :data:`bltvs_neuro.rsa.comparing.similarity.SIMILARITIES`, and of shares of variance."""


def bounded_interval(
    estimate: ArrayLike, standard_error: ArrayLike, dof: ArrayLike, confidence: float
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """A t interval within the range of similarities.

    Returns
    -------
    low, high : arrays
        NaN for fewer than :data:`~bltvs_neuro.stats.resample.LEAST_DOF` degrees of freedom.
    cut : bool array
        Whether an end lay outside of the range and was moved to it.
    """
    low, high = t_interval(estimate, standard_error, dof, confidence)
    cut = (low < LOWEST) | (high > HIGHEST)
    return np.maximum(low, LOWEST), np.minimum(high, HIGHEST), cut


def reasons(found: Spread) -> list[str]:
    """For each model why it has no interval; "" where it has one."""
    said = []
    for score, variance, dof in zip(found.mean, found.variance, found.dof, strict=True):
        if np.isnan(score):
            said.append("its similarity is undefined: the RDM does not vary")
        elif np.isnan(variance):
            said.append("its variance is undefined: without one stimulus an RDM does not vary; use more stimuli")
        elif not dof >= LEAST_DOF:
            said.append(
                f"its variance rests on {dof:.2g} degrees of freedom, fewer than {LEAST_DOF:g}; use more stimuli or subjects"
            )
        else:
            said.append("")
    return said
