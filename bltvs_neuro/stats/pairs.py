"""The variance of a mean over pairs of units: pairs that share a unit are not independent.

A symmetric array over pairs is the sum of a grand mean, an effect of each unit and a rest, ``g_ij = m + a_i + a_j + b_ij``
(Hoeffding's decomposition of a U-statistic of order 2). Over new units the variance of its mean is

    4 σ_a² / n + 2 σ_b² / (n (n - 1))

A bootstrap of units gives a pair the weight ``w_i w_j`` and so counts the second part three times, because
``Var(w_i w_j) = Var(w_i) + Var(w_j) + Var(w_i) Var(w_j) = 3``; a jackknife counts it twice. Here both components are
estimated without bias, as in a random-effects analysis of variance.

References: Hoeffding (1948), doi:10.1214/aoms/1177730196; Arvesen (1969), doi:10.1214/aoms/1177697287 (the jackknife of
U-statistics).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SpecError

Array = NDArray[np.float64]


class PairVariance(NamedTuple):
    """Covariance of means over pairs, of several arrays (columns) over the same pairs."""

    units: Array
    """(columns, columns) part of single units, ``4 σ_a² / n``; unbiased, so its diagonal may be negative."""
    rest: Array
    """(columns, columns) part of the rest, ``2 σ_b² / (n (n - 1))``."""
    sums: Array
    """(columns, columns) what sums over each unit's pairs alone would give, near ``units + 2 rest`` (the jackknife)."""

    @property
    def total(self) -> Array:
        """(columns, columns) covariance of the means over new units."""
        return self.units + self.rest


def unit_sums(values: Array, n: int) -> Array:
    """Sum over the pairs of each unit: (..., n_pairs) -> (..., n), pairs in condensed order."""
    row, column = np.triu_indices(n, 1)
    starts = np.concatenate([[0], np.cumsum(np.arange(n - 1, 1, -1))])
    out = np.zeros((*values.shape[:-1], n))
    out[..., :-1] = np.add.reduceat(values, starts, axis=-1)
    order = np.argsort(column, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.arange(1, n - 1))])
    out[..., 1:] += np.add.reduceat(values[..., order], ends, axis=-1)
    return out


def sums_between(values: Array, group: NDArray[np.int64]) -> Array:
    """Sum over the pairs of units of each pair of groups: (rows, n_pairs) -> (rows, pairs of groups), in condensed order.

    What the pairs within a group sum to is spread over its pairs with other groups, so that the total stays.
    """
    n, count = len(group), int(group.max()) + 1
    row, column = np.triu_indices(n, 1)
    a, b = np.minimum(group[row], group[column]), np.maximum(group[row], group[column])
    out = np.stack([np.bincount(a * count + b, v, minlength=count**2) for v in values]).reshape(-1, count, count)
    first, second = np.triu_indices(count, 1)
    within = np.einsum("rgg->rg", out)
    return np.asarray(out[:, first, second] + (within[:, first] + within[:, second]) / (count - 1))


def pair_variance(gram: Array, sums: Array, n: int) -> PairVariance:
    """Estimate the covariance of means over pairs from inner products.

    Parameters
    ----------
    gram : array (columns, columns)
        ``g @ g.T`` of arrays g (columns, n_pairs) that have mean zero over pairs.
    sums : array (columns, columns)
        ``r @ r.T`` of ``r = unit_sums(g, n)``.
    n : int
        Number of units.

    Raises
    ------
    SpecError
        Fewer than 4 units: nothing is left to estimate the rest from.

    Examples
    --------
    >>> g = np.array([[1.0, -1.0, 0.0, 0.0, -1.0, 1.0]])  # no unit differs from another
    >>> r = unit_sums(g, 4)
    >>> found = pair_variance(g @ g.T, r @ r.T, 4)
    >>> float(found.rest[0, 0]), float(found.sums[0, 0])
    (0.3333333333333333, 0.0)
    """
    if n < 4:
        raise SpecError(f"the variance of a mean over pairs needs at least 4 units; got {n}")
    # least squares: the effect of a unit is its sum of pairs / (n - 2), which takes sums / (n - 2) from the squares
    rest = (gram - sums / (n - 2)) / (n * (n - 3) / 2)
    alone = 4 * sums / (n * (n - 1) * (n - 2) ** 2)
    return PairVariance(alone - 4 * rest / (n * (n - 2)), 2 * rest / (n * (n - 1)), alone)
