"""How much scores vary with the stimuli and the subjects that happened to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .ceiling import NoiseCeiling

Array = NDArray[np.float64]
Over = Literal["both", "stimuli", "subjects"]
OVER: tuple[Over, ...] = ("both", "stimuli", "subjects")


@dataclass(frozen=True)
class Spread:
    """Scores of models with their variances over new stimuli, new subjects or both."""

    scores: Array
    """(models, subjects), on the data itself."""
    ceiling: NoiseCeiling
    variance: Array
    """(models,) of the mean score over subjects."""
    difference_variance: Array
    """(models, models) of the difference of two models."""
    ceiling_difference_variance: Array
    """(models, 2) of the difference from the lower and the upper ceiling."""
    ceiling_variance: Array
    """(2,) of the lower and the upper ceiling."""
    dof: Array
    """(models,) degrees of freedom for t statistics; so for the others."""
    zero_dof: Array
    """(models,) for the test of each model against zero."""
    difference_dof: Array
    ceiling_difference_dof: Array
    ceiling_dof: Array
    over: Over

    @property
    def mean(self) -> Array:
        """(models,) mean score over subjects."""
        return np.asarray(self.scores.mean(axis=1))


def spread_fields(variances: Sequence[Array], dofs: Sequence[Array]) -> dict[str, Any]:
    """Name variances and degrees of freedom given in the order of :func:`contrasts`."""
    names = ("variance", "difference_variance", "ceiling_difference_variance", "ceiling_variance")
    dof_names = ("dof", "difference_dof", "ceiling_difference_dof", "ceiling_dof")
    return dict(zip(names, variances, strict=True)) | dict(zip(dof_names, dofs, strict=True))


def contrasts(covariance: Array, m: int) -> tuple[Array, Array, Array, Array]:
    """Variances of m models, of their differences, of differences from both ceilings, and of the ceilings.

    Parameters
    ----------
    covariance : array (m + 2, m + 2)
        Of models, lower and upper ceiling.
    m : int
    """
    own = np.diag(covariance)
    spread = own[:, None] + own[None, :] - 2 * covariance
    return own[:m], spread[:m, :m], spread[:m, m:], own[m:]
