"""Sign-flip permutation tests over subjects."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as sps

from ..errors import SpecError, unknown

Tail = Literal["greater", "less", "two-sided"]
TAILS: tuple[Tail, ...] = ("greater", "less", "two-sided")


class SignFlipTest(NamedTuple):
    """What a sign-flip test found."""

    mean: NDArray[np.float64]
    """Mean over subjects."""
    p_value: NDArray[np.float64]
    p_family: NDArray[np.float64]
    """p value against the largest statistic over all tests: bounds the family-wise error (Westfall and Young)."""
    n_flips: int
    """Sign patterns used, the observed one included."""
    exact: bool
    """Whether all 2**n_subjects patterns were used."""


def sign_flips(n: int, n_samples: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], bool]:
    """Draw sign patterns over ``n`` subjects, the first all +1; all 2**n when they are no more than ``n_samples``.

    Returns
    -------
    signs : array (patterns, n) of -1 and 1
    exact : bool
        Whether the patterns are all there are.
    """
    if n < 1 or n_samples < 1:
        raise SpecError(f"sign flips need at least one subject and one sample; got {n} and {n_samples}")
    if 2**n <= n_samples:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return (1 - 2 * patterns).astype(np.float64), True
    signs = (2 * rng.integers(0, 2, size=(n_samples, n)) - 1).astype(np.float64)
    signs[0] = 1.0
    return signs, False


def sign_flip_test(
    values: ArrayLike, *, tail: Tail = "greater", n_samples: int = 10_000, seed: int = 0
) -> SignFlipTest:
    """Test whether means over subjects differ from zero by flipping the signs of whole subjects.

    Parameters
    ----------
    values : array (subjects, ...)
        One value per subject and test, for example scores, differences of scores, or scores minus a ceiling.
    tail : {"greater", "less", "two-sided"}
    n_samples : int
        Sign patterns, the observed one included. All 2**subjects are used instead when they are no more than this.
        The smallest possible p value is 1/2**subjects: with four subjects 0.0625 (two-sided 0.125), whatever the data.
    seed : int

    Returns
    -------
    SignFlipTest
        Arrays have the shape of one subject's values. Exact under the null that each subject's values are symmetric
        about zero.

    Examples
    --------
    >>> sign_flip_test([1.0, 2.0, 3.0, 0.5]).p_value
    array(0.0625)
    """
    if tail not in TAILS:
        raise unknown("tail", tail, TAILS)
    data = np.asarray(values, dtype=np.float64)
    if data.ndim == 0:
        raise SpecError("a sign-flip test needs values over subjects (first axis); got one number")
    n, shape = data.shape[0], data.shape[1:]
    flat = data.reshape(n, -1)
    signs, exact = sign_flips(n, n_samples, np.random.default_rng(seed))
    mean = flat.mean(axis=0)
    observed = _statistic(mean, tail)
    # Means that are equal in exact arithmetic must count as ties whatever the order of summation.
    slack = 1e-12 * np.abs(flat).mean(axis=0)
    count = np.zeros(flat.shape[1])
    family = np.zeros(flat.shape[1])
    block = max(1, int(2**22 // max(flat.shape[1], 1)))
    for start in range(0, len(signs), block):
        null = _statistic(signs[start : start + block] @ flat / n, tail)
        count += np.sum(null >= observed - slack, axis=0)
        largest = np.fmax.reduce(null, axis=1, initial=-np.inf)
        family += np.sum(largest[:, None] >= observed - slack, axis=0)
    p = np.where(np.isnan(mean), np.nan, count / len(signs))
    p_family = np.where(np.isnan(mean), np.nan, family / len(signs))
    return SignFlipTest(mean.reshape(shape), p.reshape(shape), p_family.reshape(shape), len(signs), exact)


MOST_SKEWED = 0.2
"""Share of tests with skewed subjects from which on it is no chance, which makes it about 0.05."""


def skewed_share(values: ArrayLike) -> float:
    """In which share of tests the skewness over subjects is beyond two of its standard errors.

    Sign flips take values for symmetric about the null; skewed ones are rejected too often.

    Parameters
    ----------
    values : array (subjects, ...)

    Returns
    -------
    float
        0 for fewer than 3 subjects, which have no skewness.

    Examples
    --------
    >>> skewed_share([0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 9.0])
    1.0
    """
    data = np.asarray(values, dtype=np.float64)
    n = len(data)
    flat = data.reshape(n, -1)
    flat = flat[:, np.isfinite(flat).all(axis=0) & (np.ptp(flat, axis=0) > 0)]
    if n < 3 or not flat.size:
        return 0.0
    error = np.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
    return float(np.mean(np.abs(sps.skew(flat, axis=0, bias=False)) > 2 * error))


def _statistic(means: NDArray[np.float64], tail: Tail) -> NDArray[np.float64]:
    return {"greater": means, "less": -means, "two-sided": np.abs(means)}[tail]
