"""Cluster-based permutation tests over one or more dimensions (time, timestep by time, ...)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy import stats as sps

from ..errors import SpecError, unknown
from .permutation import TAILS, Tail, sign_flips


class ClusterTest(NamedTuple):
    """What a cluster test found. The null is about the whole map: a cluster's borders are not tested."""

    statistic: NDArray[np.float64]
    """t value per point."""
    labels: NDArray[np.int64]
    """0 outside clusters, else 1, 2, ... ordered by falling mass."""
    mass: NDArray[np.float64]
    """Sum of t per cluster (negative for clusters below zero)."""
    p_values: NDArray[np.float64]
    """Per cluster, against the largest cluster mass of each permutation."""
    threshold: float
    n_permutations: int
    exact: bool

    def significant(self, alpha: float = 0.05) -> NDArray[np.bool_]:
        """Points in clusters with p <= ``alpha``."""
        return np.isin(self.labels, 1 + np.flatnonzero(self.p_values <= alpha))


def find_clusters(
    statistic: NDArray[np.float64], threshold: float, tail: Tail = "greater"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Label connected points beyond ``threshold``; neighbours share a side (not a corner). NaN is in no cluster.

    Returns
    -------
    labels : int array of the map's shape
        0 outside, then 1, 2, ... ordered by falling absolute mass; clusters above and below zero are kept apart.
    mass : array (clusters,)
    """
    labels = np.zeros(statistic.shape, dtype=np.int64)
    values = np.nan_to_num(statistic, nan=0.0)
    n = 0
    masks = {"greater": [values > threshold], "less": [values < -threshold]}
    masks["two-sided"] = masks["greater"] + masks["less"]
    for mask in masks[tail]:
        found, count = ndimage.label(mask)
        labels[mask] = found[mask] + n
        n += count
    mass = ndimage.sum_labels(values, labels, np.arange(1, n + 1)) if n else np.zeros(0)
    order = np.argsort(-np.abs(mass), kind="stable")
    rank = np.zeros(n + 1, dtype=np.int64)
    rank[order + 1] = np.arange(1, n + 1)
    return rank[labels], np.asarray(mass, dtype=np.float64)[order]


def cluster_sign_flip_test(
    values: ArrayLike,
    *,
    threshold: float | None = None,
    tail: Tail = "greater",
    n_permutations: int = 1000,
    seed: int = 0,
) -> ClusterTest:
    """Test maps over subjects against zero with the mass of connected clusters.

    Parameters
    ----------
    values : array (subjects, dim1[, dim2, ...])
        One map per subject, for example similarities over model timestep and neural time. A point that is NaN for any
        subject takes no part.
    threshold : float, optional
        t value a point must exceed to be in a cluster. None means the t of p = .05 (each side .025 when two-sided).
        It decides which effects the test is sensitive to (low: wide and weak; high: narrow and strong), not its
        error rate.
    tail : {"greater", "less", "two-sided"}
    n_permutations : int
        Sign patterns, the observed one included; all 2**subjects when they are no more.
    seed : int

    Returns
    -------
    ClusterTest

    Raises
    ------
    SpecError
        Fewer than two subjects, or no map dimension.

    References
    ----------
    Maris & Oostenveld (2007), doi:10.1016/j.jneumeth.2007.03.024.
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
    labels, mass = find_clusters(observed, threshold, tail)
    largest = np.empty(len(signs))
    for i, sign in enumerate(signs):
        t = observed if i == 0 else _t_values(sign @ flat / n, square, n).reshape(data.shape[1:])
        null = find_clusters(t, threshold, tail)[1]
        largest[i] = np.max(np.abs(null), initial=0.0)
    p = np.mean(largest[:, None] >= np.abs(mass) * (1 - 1e-12), axis=0) if mass.size else np.zeros(0)
    return ClusterTest(observed, labels, mass, p, threshold, len(signs), exact)


def _t_values(mean: NDArray[np.float64], square: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """One-sample t from the mean and the sum of squares, which sign flips do not change."""
    variance = np.maximum(square - n * mean**2, 0.0) / (n - 1)
    # Equal values for all subjects: no variance, an unbounded t; kept finite so that masses stay comparable.
    # The smallest normal number, for zeros: a product with eps would vanish and leave 0 / 0.
    number = np.finfo(np.float64)
    floor = np.maximum(number.eps * square / n, number.tiny)
    return mean / np.sqrt(np.maximum(variance, floor) / n)
