"""How much each pair of stimuli moves the similarity of two RDMs: the derivative with respect to the pair's weight.

A similarity is a smooth function of weighted sums over pairs; with P pairs its influence values are
``g_p = P dθ/dW_p`` at weights W = 1. They have mean zero, and θ differs from its value in the population by the mean of
theirs, to first order.

- pearson and cosine: ``x_p y_p - θ (x_p² + y_p²) / 2`` of standardised RDMs.
- spearman and rho-a: the same of ranks, and what a pair does to the ranks of all others, a cumulated sum in the order of
  either RDM. (x_p counts in a rank where it lies below: ``dR_q/dW_p = (1 + sgn(x_q - x_p)) / 2``.)
- tau-a: how many pairs a pair is concordant with, counted by dominance in the plane.
- whitened: entries of ``A ∘ B`` for the doubly centred RDMs; changes of the centring cancel to first order because rows
  of A and B sum to zero. The diagonal belongs to single stimuli and is spread over their pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as sps

from ...neural.condensed import n_from_pairs
from ..comparing.similarity import Similarity
from ..comparing.whitening import whiten

Array = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """RDMs brought into the form in which influence values are sums of products."""

    values: Array
    """(rdm, pair): standardised dissimilarities, centred ranks, or the whitened form's off-diagonal."""
    diagonal: Array | None = None
    """(rdm, stimulus): the whitened form's diagonal."""
    order: Int | None = None
    """(rdm, pair): order of the entries, for ranks."""
    below: Int | None = None
    """(rdm, pair): how many entries lie below each."""
    upto: Int | None = None
    """(rdm, pair): how many entries lie below each or are equal to it."""
    power: Array | None = None
    """(rdm,): sum of squared ranks."""
    power_influence: Array | None = None
    """(rdm, pair): its derivative."""

    def take(self, rows: Sequence[int]) -> Prepared:
        """Some of the RDMs."""
        return Prepared(*(None if part is None else part[list(rows)] for part in vars(self).values()))  # type: ignore[arg-type]

    def one(self, i: int) -> Prepared:
        """RDM ``i`` alone."""
        return self.take([i])


def prepare(vectors: Array, kind: Similarity) -> Prepared:
    """Prepare RDMs (rdm, pair) without NaN; an RDM for which the similarity is undefined becomes NaN."""
    scale = np.abs(vectors).max(axis=1, initial=0.0)
    if kind.family == "linear":
        x = vectors - vectors.mean(axis=1, keepdims=True) if kind.centered else vectors
        small = 4 * np.finfo(np.float64).eps * scale if kind.centered else 0.0
        undefined = np.abs(x).max(axis=1, initial=0.0) <= small
        if not kind.whitened:
            norm = np.sqrt(np.mean(x**2, axis=1))
            return Prepared(x / np.where(undefined, np.nan, norm)[:, None])
        flat = whiten(x, np.ones(x.shape[1], dtype=bool))
        norm = np.sqrt(np.einsum("ij,ij->i", flat, flat))
        flat /= np.where(undefined, np.nan, norm)[:, None]
        return Prepared(flat[:, : x.shape[1]], flat[:, x.shape[1] :])
    order = np.argsort(vectors, axis=1, kind="stable")
    ordered = np.take_along_axis(vectors, order, axis=1)
    below = np.stack([np.searchsorted(o, v, "left") for o, v in zip(ordered, vectors, strict=True)])
    upto = np.stack([np.searchsorted(o, v, "right") for o, v in zip(ordered, vectors, strict=True)])
    ranks = np.asarray(sps.rankdata(vectors, axis=1), dtype=np.float64)
    ranks -= ranks.mean(axis=1, keepdims=True)
    found = Prepared(ranks, None, order, below, upto)
    if kind.family == "order" or not kind.tie_corrected:
        return found
    power = np.einsum("ij,ij->i", ranks, ranks)
    power[power <= 0] = np.nan
    return Prepared(ranks, None, order, below, upto, power, ranks**2 + _sign_sums(found, ranks))


def influence(models: Prepared, others: Prepared, kind: Similarity) -> tuple[Array, Array]:
    """Influence values of each model's similarity with one RDM, or with its own of as many RDMs.

    Returns
    -------
    values : array (models, n_pairs)
        With mean zero over pairs.
    similarity : array (models,)
    """
    x, y = models.values, others.values
    n_pairs = x.shape[1]
    if kind.family == "order":
        return _tau_influence(models, others)
    if kind.family == "rank":
        moved = _sign_sums(models, np.broadcast_to(y, x.shape))
        moved += _sign_sums(others, x)
        g, cross = x * y + moved / 2, _products(x, y)
        if not kind.tie_corrected:
            scale = 12.0 / (float(n_pairs) ** 3 - n_pairs)
            g *= scale * n_pairs
            return g - g.mean(axis=1, keepdims=True), cross * scale
        assert models.power is not None and others.power is not None
        assert models.power_influence is not None and others.power_influence is not None
        norm = np.sqrt(models.power * others.power)
        s = cross / norm
        g *= (n_pairs / norm)[:, None]
        g -= (n_pairs / 2) * s[:, None] * (models.power_influence / models.power[:, None])
        g -= (n_pairs / 2) * s[:, None] * (others.power_influence / others.power[:, None])
        return g, s
    if kind.whitened:
        assert models.diagonal is not None and others.diagonal is not None
        a, b = models.diagonal, others.diagonal
        s = _products(x, y) + _products(a, b)
        off, on = _own(x, y, s), _own(a, b, s)
        n = n_from_pairs(n_pairs)
        row, column = np.triu_indices(n, 1)
        return n_pairs * (off + (on[:, row] + on[:, column]) / (n - 1)), s
    s = _products(x, y) / n_pairs
    return _own(x, y, s), s


def _products(x: Array, y: Array) -> Array:
    """Inner product of each row of x with its row of y, or with the only one."""
    return np.asarray(x @ y[0] if len(y) == 1 else np.einsum("ij,ij->i", x, y))


def _own(x: Array, y: Array, s: Array) -> Array:
    return np.asarray(x * y - s[:, None] / 2 * (x**2 + y**2))


def _sign_sums(ranked: Prepared, values: Array) -> Array:
    """For each entry p: sum over q of sgn(x_q - x_p) values_q, with x the ranked RDMs (or the only one): (rdm, pair)."""
    assert ranked.order is not None and ranked.below is not None and ranked.upto is not None
    order, below, upto = (np.broadcast_to(part, values.shape) for part in (ranked.order, ranked.below, ranked.upto))
    cumulated = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(np.take_along_axis(values, order, axis=1), axis=1, out=cumulated[:, 1:])
    above = cumulated[:, -1:] - np.take_along_axis(cumulated, upto, axis=1)
    return np.asarray(above - np.take_along_axis(cumulated, below, axis=1))


def _tau_influence(models: Prepared, others: Prepared) -> tuple[Array, Array]:
    assert models.order is not None and models.below is not None and models.upto is not None
    assert others.below is not None and others.upto is not None and others.order is not None
    n = models.values.shape[1]
    concordance = np.empty(models.values.shape)
    for m, order in enumerate(models.order):
        o = min(m, len(others.order) - 1)
        place = np.empty(n, dtype=np.int64)
        place[others.order[o]] = np.arange(n)
        counts = _Dominance(place[order])
        x, y = (models.below[m], models.upto[m]), (others.below[o], others.upto[o])
        both_below, both_upto = counts(x[0], y[0]), counts(x[1], y[1])
        against = (x[0] - counts(x[0], y[1])) + (y[0] - counts(x[1], y[0]))
        concordance[m] = both_below + (n - x[1] - y[1] + both_upto) - against
    s = concordance.mean(axis=1) / (n - 1)
    return 2 * (concordance / (n - 1) - s[:, None]), s


class _Dominance:
    """Count points of a permutation below a corner: a wavelet matrix, one step per bit for all corners at once."""

    def __init__(self, values: Int) -> None:
        self.bits = max(1, int(len(values) - 1).bit_length())
        self.zeros: list[Int] = []
        self.n_zeros: list[int] = []
        for bit in reversed(range(self.bits)):
            one = (values >> bit) & 1
            self.zeros.append(np.concatenate([[0], np.cumsum(1 - one)]))
            self.n_zeros.append(int(self.zeros[-1][-1]))
            values = np.concatenate([values[one == 0], values[one == 1]])

    def __call__(self, first: Int, limit: Int) -> Int:
        """How many of the ``first`` positions hold values below ``limit``."""
        start, stop = np.zeros_like(first), first
        count = np.zeros_like(first)
        for level, bit in enumerate(reversed(range(self.bits))):
            zeros, total = self.zeros[level], self.n_zeros[level]
            z_start, z_stop = zeros[start], zeros[stop]
            high = ((limit >> bit) & 1).astype(bool)
            count += np.where(high, z_stop - z_start, 0)
            start = np.where(high, total + start - z_start, z_start)
            stop = np.where(high, total + stop - z_stop, z_stop)
        # a limit of 2**bits has no bit inside the range
        return np.where(limit >= 1 << self.bits, first, count)
