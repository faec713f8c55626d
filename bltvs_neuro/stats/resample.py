"""Bootstrap counts, and variances from bootstrap samples corrected for the size of the sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as sps

from ..errors import SpecError

LEAST_DOF = 1.0
"""Fewer degrees of freedom say nothing about an interval or a p value."""


def bootstrap_counts(n: int, n_samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how often each of ``n`` units occurs in bootstrap samples of size ``n``.

    Returns
    -------
    array (n_samples, n)
        Each row sums to ``n``.

    Examples
    --------
    >>> bootstrap_counts(3, 2, np.random.default_rng(0)).sum(axis=1).tolist()
    [3, 3]
    """
    if n < 1 or n_samples < 1:
        raise SpecError(f"a bootstrap needs at least one unit and one sample; got {n} and {n_samples}")
    return rng.multinomial(n, np.full(n, 1.0 / n), size=n_samples)


def corrected_variance(variance: ArrayLike, n: int) -> NDArray[np.float64]:
    """Variance of a bootstrap over ``n`` units of one factor, times n/(n-1): the plug-in variance is too small."""
    if n < 2:
        raise SpecError(f"a bootstrap over {n} unit has no variance; at least 2 are needed")
    return np.asarray(variance, dtype=np.float64) * (n / (n - 1))


def corrected_dual_variance(
    both: ArrayLike, subjects: ArrayLike, stimuli: ArrayLike, *, n_subjects: int, n_stimuli: int
) -> NDArray[np.float64]:
    """Combine the variances of three bootstraps into the variance over new subjects and new stimuli.

    The bootstrap over both factors counts the measurement noise three times; the combination removes the surplus,
    scales each part by n/(n-1), and is kept between the larger single-factor variance and that over both.

    Parameters
    ----------
    both, subjects, stimuli : arrays of one shape
        Variances over bootstrap samples of both factors, of subjects alone and of stimuli alone.
    n_subjects, n_stimuli : int
        Units per factor, at least 2 each.

    References
    ----------
    Schütt, Kipnis, Diedrichsen & Kriegeskorte (2023), doi:10.7554/eLife.82566, section "2-factor bootstrap".
    """
    if n_subjects < 2 or n_stimuli < 2:
        raise SpecError(
            f"the dual bootstrap needs at least 2 subjects and 2 stimuli; got {n_subjects} and {n_stimuli}: "
            "bootstrap over one factor"
        )
    v_both, v_subjects, v_stimuli = (np.asarray(v, dtype=np.float64) for v in (both, subjects, stimuli))
    f_subjects, f_stimuli = n_subjects / (n_subjects - 1), n_stimuli / (n_stimuli - 1)
    interaction = v_both - v_subjects - v_stimuli
    variance = f_subjects * v_subjects + f_stimuli * v_stimuli - f_subjects * f_stimuli * interaction
    floor = np.maximum(f_subjects * v_subjects, f_stimuli * v_stimuli)
    return np.minimum(np.maximum(variance, floor), v_both)


def t_interval(
    estimate: ArrayLike, standard_error: ArrayLike, dof: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two-sided interval ``estimate ± t(dof) * standard_error`` at ``confidence``; NaN for fewer than :data:`LEAST_DOF` degrees.

    Below one degree of freedom the quantiles of t grow without a bound: at 0.01 degrees they pass 1e100.
    """
    if not 0 < confidence < 1:
        raise SpecError(f"an interval's confidence lies between 0 and 1; got {confidence}")
    center, half = np.asarray(estimate, dtype=np.float64), np.asarray(standard_error, dtype=np.float64)
    degrees = np.asarray(dof, dtype=np.float64)
    half = half * sps.t.ppf(0.5 + confidence / 2, np.where(degrees >= LEAST_DOF, degrees, np.nan))
    return center - half, center + half
