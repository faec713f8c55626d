"""Rank similarities of RDMs in bootstrap samples of stimuli, from weighted mid-ranks.

An entry that occurs W times takes the mean of W consecutive ranks: its mid-rank is the cumulated weight below it plus
(W + 1) / 2 of its own. The order of entries never changes over samples and is found once. Twice the mid-rank is an
integer, so ties stay ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...neural.condensed import n_from_pairs
from ..inference.ceiling import ceiling_of_vectors
from .similarity import Similarity, compare_vectors
from .weighted import Array, Counts, SampleScores, Units, pair_weights

Int = NDArray[np.int64]


class RankOrder:
    """The order of each RDM's entries, ready for mid-ranks under any weights.

    Parameters
    ----------
    vectors : array (n_rdm, n_pairs)
    """

    def __init__(self, vectors: Array) -> None:
        n_rdm, n_pairs = vectors.shape
        self.order = np.argsort(vectors, axis=1, kind="stable")
        ordered = np.take_along_axis(vectors, self.order, axis=1)
        new = np.ones((n_rdm, n_pairs + 1), dtype=bool)
        new[:, 1:-1] = ordered[:, 1:] != ordered[:, :-1]
        self.tied = ~new.all(axis=1)
        positions = np.where(new, np.arange(n_pairs + 1), 0)
        first = np.maximum.accumulate(positions, axis=1)[:, :-1]
        last = np.where(new, np.arange(n_pairs + 1), n_pairs)
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1][:, 1:]
        # where the cumulated weight below and up to each entry's ties stands, in the order of pairs
        self.below, self.upto = np.empty_like(self.order), np.empty_like(self.order)
        np.put_along_axis(self.below, self.order, first, axis=1)
        np.put_along_axis(self.upto, self.order, last, axis=1)
        offset = np.arange(n_rdm)[:, None] * (n_pairs + 1)
        self.below += offset
        self.upto += offset
        self._cumulated = np.zeros((n_rdm, n_pairs + 1), dtype=np.int32)

    def twice_midranks(self, weights: NDArray[np.int32]) -> NDArray[np.int32]:
        """Twice the mid-ranks under ``weights`` (n_pairs,): (n_rdm, n_pairs)."""
        np.cumsum(np.take(weights, self.order), axis=1, dtype=np.int32, out=self._cumulated[:, 1:])
        out = np.take(self._cumulated, self.upto)
        if self.tied.all():
            out += np.take(self._cumulated, self.below)
            out += 1
        else:
            tied = np.flatnonzero(self.tied)
            both = out[tied] + np.take(self._cumulated, self.below[tied]) + 1
            out *= 2
            out -= weights - 1  # without ties, below = upto - W
            out[tied] = both
        return out


def rank_scores(
    models: Array, data: Array, kind: Similarity, counts: Counts, subject_counts: Counts, unit: Units = None
) -> SampleScores:
    """Score models in samples, for spearman and rho-a; arguments as in :func:`.weighted.linear_scores`."""
    model_order, data_order = RankOrder(models), RankOrder(data)
    scores = np.full((len(counts), len(models), len(data)), np.nan)
    ceilings = np.full((*subject_counts.shape[:2], 2), np.nan)
    for s, count in enumerate(counts):
        if (count > 0).sum() < 3:
            continue
        weights = pair_weights(count[None], unit)[0].astype(np.int32)
        total = int(weights.sum(dtype=np.int64))
        ranks = data_order.twice_midranks(weights)
        centered = (ranks - (total + 1)).astype(np.float64)
        weighted = centered * weights
        x = (model_order.twice_midranks(weights) - np.int32(total + 1)).astype(np.float64)
        cross = x @ weighted.T
        if kind.tie_corrected:
            power = np.einsum("ij,ij->i", centered, weighted)
            x *= x
            scores[s] = cross / _root(x @ weights)[:, None] / _root(power)
        else:
            power = np.zeros(len(data))
            scores[s] = cross * 3.0 / (float(total) ** 3 - total)
        drawn = np.flatnonzero(weights)
        for r, subjects in enumerate(subject_counts[s]):
            part = ranks[:, drawn].astype(np.int64), weighted[:, drawn]
            ceilings[s, r] = _rank_ceiling(*part, power, weights[drawn].astype(np.int64), subjects, kind)
    return SampleScores(scores, ceilings)


def _root(power: Array) -> Array:
    return np.sqrt(np.where(power > 0, power, np.nan))


def _rank_ceiling(ranks: Int, weighted: Array, power: Array, weights: Int, subjects: Int, kind: Similarity) -> Array:
    drawn = np.flatnonzero(subjects)
    pooled = subjects @ ranks  # sums of doubled mid-ranks are integers: ties stay exact
    total = int(weights.sum())
    if len(ranks) < 2:
        return np.full(2, np.nan)

    def similarity(pool: Int, members: Int) -> Array:
        x = _twice_midranks(pool, weights) - float(total + 1)
        cross = weighted[members] @ x
        if not kind.tie_corrected:
            return np.asarray(cross * 3.0 / (float(total) ** 3 - total))
        return np.asarray(cross / _root(power[members]) / _root(np.array((x * x) @ weights)))

    upper = similarity(pooled, drawn).mean()
    if len(drawn) == 1:
        return np.array([upper, upper])
    lower = np.mean([similarity(pooled - subjects[g] * ranks[g], np.array([g]))[0] for g in drawn])
    return np.array([lower, upper])


def _twice_midranks(values: Int, weights: Int) -> Array:
    order = np.argsort(values)
    ordered = values[order]
    cumulated = np.concatenate([[0], np.cumsum(weights[order])])
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.concatenate([starts[1:], [len(values)]])
    out = np.empty(len(values))
    out[order] = np.repeat(cumulated[starts] + cumulated[ends] + 1, ends - starts)
    return out


def expanded_scores(
    models: Array, data: Array, similarity: str, counts: Counts, subject_counts: Counts, unit: Units = None
) -> SampleScores:
    """Score models in samples that are built entry by entry: for tau-a, and the reference for all others.

    tau-a counts pairs of entries, which has no weighted short cut: allow about a millisecond per sample, model and subject.
    """
    n = n_from_pairs(models.shape[1])
    index = np.zeros((n, n), dtype=np.int64)
    row, column = np.triu_indices(n, 1)
    index[row, column] = index[column, row] = np.arange(len(row))
    place = np.arange(n) if unit is None else unit
    scores = np.full((len(counts), len(models), len(data)), np.nan)
    ceilings = np.full((*subject_counts.shape[:2], 2), np.nan)
    for s, count in enumerate(counts):
        if (count > 0).sum() < 3:
            continue
        copies = np.repeat(np.arange(len(count)), count)  # of units
        members = [np.flatnonzero(place == u) for u in copies]
        drawn = np.concatenate(members)
        copy = np.repeat(np.arange(len(copies)), [len(m) for m in members])
        first, second = np.triu_indices(len(drawn), 1)
        i, j = drawn[first], drawn[second]
        own = (place[i] == place[j]) & (copy[first] != copy[second])
        m, d = (np.where(own, np.nan, v[:, index[i, j]]) for v in (models, data))
        scores[s] = compare_vectors(m, d, similarity)
        for r, subjects in enumerate(subject_counts[s]):
            member = np.repeat(np.arange(len(data)), subjects)
            names, member = np.unique(member, return_inverse=True)
            if len(names) > 1:
                bounds = ceiling_of_vectors(np.repeat(d, subjects, axis=0), similarity, member, tuple(map(str, names)))
                ceilings[s, r] = bounds.lower, bounds.upper
            elif len(data) > 1:
                ceilings[s, r] = compare_vectors(d[names], d[names], similarity)[0, 0]
    return SampleScores(scores, ceilings)
