"""Cluster-based permutation tests over one or more dimensions (time, timestep by time, ...)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy import stats as sps

from ..errors import SpecError, unknown
from .permutation import TAILS, Tail, sign_flips

Array = NDArray[np.float64]


class ClusterTest(NamedTuple):
    """What a cluster test found. The null is about the whole map: a cluster's borders are not tested."""

    statistic: Array
    """t or z value per point."""
    labels: NDArray[np.int64]
    """0 outside clusters, else 1, 2, ... ordered by falling mass."""
    mass: Array
    """Sum of the statistic per cluster (negative for clusters below zero)."""
    p_part: Array
    """Per cluster, against the largest mass of each permutation in its own part of the map: not corrected over parts."""
    p_values: Array
    """Per cluster, against the largest mass of each permutation in the whole map: corrected over all parts."""
    threshold: float
    n_permutations: int
    exact: bool

    def significant(self, alpha: float = 0.05) -> NDArray[np.bool_]:
        """Points in clusters with p <= ``alpha``."""
        return np.isin(self.labels, 1 + np.flatnonzero(self.p_values <= alpha))


def find_clusters(
    statistic: Array, threshold: float, tail: Tail = "greater", *, apart: int = 0
) -> tuple[NDArray[np.int64], Array]:
    """Label connected points beyond ``threshold``; neighbours share a side (not a corner). NaN is in no cluster.

    Parameters
    ----------
    statistic : array
    threshold : float
    tail : {"greater", "less", "two-sided"}
    apart : int
        So many first axes have no neighbours: sites, for example, which are parts of one map.

    Returns
    -------
    labels : int array of the map's shape
        0 outside, then 1, 2, ... ordered by falling absolute mass; clusters above and below zero are kept apart.
    mass : array (clusters,)
    """
    labels = np.zeros(statistic.shape, dtype=np.int64)
    values = np.nan_to_num(statistic, nan=0.0)
    sides = ndimage.generate_binary_structure(values.ndim, 1)
    for axis in range(apart):
        sides[tuple(slice(None) if a != axis else [0, 2] for a in range(values.ndim))] = False
    n = 0
    masks = {"greater": [values > threshold], "less": [values < -threshold]}
    masks["two-sided"] = masks["greater"] + masks["less"]
    for mask in masks[tail]:
        found, count = ndimage.label(mask, sides)
        labels[mask] = found[mask] + n
        n += count
    mass = ndimage.sum_labels(values, labels, np.arange(1, n + 1)) if n else np.zeros(0)
    order = np.argsort(-np.abs(mass), kind="stable")
    rank = np.zeros(n + 1, dtype=np.int64)
    rank[order + 1] = np.arange(1, n + 1)
    return rank[labels], np.asarray(mass, dtype=np.float64)[order]


def cluster_test(
    observed: Array,
    null: Iterable[Array],
    threshold: float,
    tail: Tail = "greater",
    *,
    apart: int = 0,
    exact: bool = False,
) -> ClusterTest:
    """Test the mass of connected clusters of a map against maps under the null.

    Parameters
    ----------
    observed : array
        The statistic per point.
    null : iterable of arrays of the same shape
        One map per permutation, the observed one included.
    threshold : float
        What a point must exceed to be in a cluster. It decides which effects the test is sensitive to (low: wide and
        weak; high: narrow and strong), not its error rate.
    tail, apart
        See :func:`find_clusters`. ``p_values`` hold over all parts of the map.
    exact : bool
        Whether the permutations are all there are.

    References
    ----------
    Maris & Oostenveld (2007), doi:10.1016/j.jneumeth.2007.03.024.
    """
    labels, mass = find_clusters(observed, threshold, tail, apart=apart)
    part = np.arange(int(np.prod(observed.shape[:apart])))
    part_of_point = np.broadcast_to(
        part.reshape(*observed.shape[:apart], *(1,) * (observed.ndim - apart)), observed.shape
    )
    largest = np.array([_largest(one, threshold, tail, part_of_point, apart) for one in null])  # (permutations, parts)
    own = np.zeros(len(mass), dtype=np.int64)
    own[labels[labels > 0] - 1] = part_of_point[labels > 0]
    least = np.abs(mass) * (1 - 1e-12)
    alone, over = ((largest[:, own] >= least).mean(axis=0), (largest.max(axis=1)[:, None] >= least).mean(axis=0))
    return ClusterTest(observed, labels, mass, alone, over, threshold, len(largest), exact)


def _largest(statistic: Array, threshold: float, tail: Tail, part: NDArray[np.int64], apart: int) -> Array:
    """Largest absolute mass in each part of a map: (parts,)."""
    labels, mass = find_clusters(statistic, threshold, tail, apart=apart)
    out = np.zeros(int(part.max(initial=0)) + 1)
    if len(mass):
        own = np.zeros(len(mass), dtype=np.int64)
        own[labels[labels > 0] - 1] = part[labels > 0]
        np.maximum.at(out, own, np.abs(mass))
    return out


def cluster_sign_flip_test(
    values: ArrayLike,
    *,
    threshold: float | None = None,
    tail: Tail = "greater",
    n_permutations: int = 1000,
    seed: int = 0,
    apart: int = 0,
) -> ClusterTest:
    """Test maps over subjects against zero with the mass of connected clusters.

    Parameters
    ----------
    values : array (subjects, dim1[, dim2, ...])
        One map per subject, for example similarities over model timestep and neural time. A point that is NaN for any
        subject takes no part.
    threshold : float, optional
        t value a point must exceed to be in a cluster. None means the t of p = .05 (each side .025 when two-sided).
    tail : {"greater", "less", "two-sided"}
    n_permutations : int
        Sign patterns, the observed one included; all 2**subjects when they are no more.
    seed : int
    apart : int
        So many first dimensions of a map have no neighbours, see :func:`find_clusters`.

    Returns
    -------
    ClusterTest
        Holds for new subjects, where their values are symmetric about zero. It says nothing of new stimuli: a model that is
        unrelated to what subjects share differs from zero in all of them.

    Raises
    ------
    SpecError
        Fewer than two subjects, or no map dimension.
    """
    data = np.asarray(values, dtype=np.float64)
    if tail not in TAILS:
        raise unknown("tail", tail, TAILS)
    if data.ndim < 2 or data.shape[0] < 2:
        raise SpecError(f"a cluster test needs maps of at least 2 subjects, (subjects, ...); got shape {data.shape}")
    n = data.shape[0]
    if threshold is None:
        threshold = float(sps.t.isf(0.025 if tail == "two-sided" else 0.05, n - 1))
    signs, exact = sign_flips(n, n_permutations, np.random.default_rng(seed))
    flat = data.reshape(n, -1)
    square = np.sum(flat**2, axis=0)
    observed = _t_values(flat.mean(axis=0), square, n).reshape(data.shape[1:])
    flipped = (_t_values(sign @ flat / n, square, n).reshape(observed.shape) for sign in signs[1:])
    null = (one for part in ([observed], flipped) for one in part)
    return cluster_test(observed, null, threshold, tail, apart=apart, exact=exact)


def _t_values(mean: Array, square: Array, n: int) -> Array:
    """One-sample t from the mean and the sum of squares, which sign flips do not change."""
    variance = np.maximum(square - n * mean**2, 0.0) / (n - 1)
    # Equal values for all subjects: no variance, an unbounded t; kept finite so that masses stay comparable.
    # The smallest normal number, for zeros: a product with eps would vanish and leave 0 / 0.
    number = np.finfo(np.float64)
    floor = np.maximum(number.eps * square / n, number.tiny)
    return mean / np.sqrt(np.maximum(variance, floor) / n)
