"""Similarities of RDMs in bootstrap samples of stimuli, without building the samples.

A stimulus drawn w_i times makes every pair (i, j) occur w_i w_j times; pairs of a stimulus with its own copy are left out.
A sample is therefore a comparison with pair weights, and all models × subjects × samples are a few matrix products.

Whole units (categories) can be drawn instead, ``unit`` (n,) says which each stimulus is of: then a pair within a unit occurs w_g
times, once in each copy, because two copies of a category are no new pair of categories. For the whitened similarities the
centring of a sample is least squares with the matrix ``diag(e) + 1 w' - blocks of (w_g - 1)``, ``e_g = Σw - m_g (w_g - 1)`` for a
unit of m_g stimuli, solved by the Sherman–Morrison formula for every block and once more for the whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...neural.condensed import condensed_to_square, n_from_pairs
from .similarity import Similarity

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Units = NDArray[np.int64] | None
"""Which unit each stimulus is of, (n,) from 0; None: each is its own."""
BLOCK = 2**23
"""Entries (64 MiB) that a block of pair weights or products may have."""


class SampleScores(NamedTuple):
    """Scores in samples of stimuli."""

    scores: Array
    """(samples, models, subjects)."""
    ceilings: Array
    """(samples, draws, 2): lower and upper bound, for each draw of subjects that goes with the sample."""


def n_units(models: Array, clusters: Units) -> int:
    """How many stimuli, or categories of them, condensed RDMs have."""
    return n_from_pairs(models.shape[1]) if clusters is None else int(np.max(clusters)) + 1


def pair_weights(counts: Counts, unit: Units = None) -> NDArray[np.int64]:
    """(samples, units) counts -> (samples, n_pairs) weights of pairs of stimuli."""
    row, column = np.triu_indices(counts.shape[1] if unit is None else len(unit), 1)
    if unit is None:
        return counts[:, row] * counts[:, column]
    a, b = unit[row], unit[column]
    return counts[:, a] * np.where(a == b, 1, counts[:, b])


def linear_scores(
    models: Array, data: Array, kind: Similarity, counts: Counts, subject_counts: Counts, unit: Units = None
) -> SampleScores:
    """Score models in samples, for cosine, pearson and their whitened forms.

    Parameters
    ----------
    models, data : arrays (n_models, n_pairs), (n_subjects, n_pairs)
    kind : Similarity
    counts : int array (samples, units)
        How often each stimulus, or each unit, occurs.
    subject_counts : int array (samples, draws, n_subjects)
        For the noise ceilings: how often each subject occurs.
    unit : int array (n,), optional
        Which unit each stimulus is of.
    """
    if kind.centered:  # similarities do not change, weighted sums no longer cancel
        models = models - models.mean(axis=1, keepdims=True)
        data = data - data.mean(axis=1, keepdims=True)
    step = max(1, BLOCK // max(models.shape[1], (len(models) + len(data)) * n_from_pairs(models.shape[1])))
    parts = [
        _linear_block(models, data, kind, counts[i : i + step], subject_counts[i : i + step], unit)
        for i in range(0, len(counts), step)
    ]
    return SampleScores(np.concatenate([p.scores for p in parts]), np.concatenate([p.ceilings for p in parts]))


def _linear_block(
    models: Array, data: Array, kind: Similarity, counts: Counts, subject_counts: Counts, unit: Units
) -> SampleScores:
    weights = pair_weights(counts, unit).astype(np.float64)
    centring = _Centring(counts, unit) if kind.whitened else None
    m, d = (_Side.of(vectors, weights, kind, centring) for vectors in (models, data))
    cross = np.stack([_products(models, one, weights) for one in data], axis=2)  # (s, m, k)
    scores = m.inner(cross, d) / m.norm[:, :, None] / d.norm[:, None, :]
    ceilings = np.full((*subject_counts.shape[:2], 2), np.nan)
    if len(data) > 1 and ceilings.size:  # one subject says nothing about others
        with np.errstate(invalid="ignore", divide="ignore"):
            ceilings = _linear_ceilings(d.inner(_gram(data, weights), d), d.spread, subject_counts)
    few = (counts > 0).sum(axis=1) < 3
    scores[few], ceilings[few] = np.nan, np.nan
    return SampleScores(scores, ceilings)


class _Side(NamedTuple):
    """What samples make of the RDMs of one side."""

    total: Array
    """(s,) sum of the pair weights."""
    mean: Array | None
    """(s, m) of what is centred."""
    sums: Array | None
    """(s, m, n) of each stimulus, of what is whitened."""
    centring: _Centring | None
    spread: Array
    """(s, m) norm before whitening, NaN for an RDM that does not vary: pooling takes unit variance, for whitened ones too."""
    norm: Array

    @classmethod
    def of(cls, vectors: Array, weights: Array, kind: Similarity, centring: _Centring | None) -> _Side:
        """Of RDMs (m, n_pairs) under pair weights (s, n_pairs)."""
        total, raw = weights.sum(axis=1), _power(vectors, weights)
        mean = weights @ vectors.T / total[:, None] if kind.centered else None
        power = raw if mean is None else raw - total[:, None] * mean**2
        constant = power <= 1e-13 * raw
        spread, sums = np.sqrt(np.where(constant, np.nan, power)), None
        if centring is not None:
            sums = centring.sums(vectors)
            if mean is not None:
                sums -= mean[:, :, None] * centring.partners[:, None]
            power = (power - centring.explained(sums, None)[:, :, 0]) / 2
        norm = np.sqrt(np.where(constant | (power <= 0), np.nan, power))
        return cls(total, mean, sums, centring, spread, norm)

    def inner(self, raw: Array, other: _Side) -> Array:
        """Inner products (s, m, k) with the other side's, from those of the RDMs as they are."""
        if self.mean is not None and other.mean is not None:
            raw = raw - self.total[:, None, None] * self.mean[:, :, None] * other.mean[:, None, :]
        if self.centring is not None and self.sums is not None:
            raw = (raw - self.centring.explained(self.sums, other.sums)) / 2
        return raw


def _products(models: Array, one: Array, weights: Array) -> Array:
    """Weighted inner products of each model with one RDM: (s, m)."""
    step = max(1, BLOCK // models.shape[1])
    return np.concatenate([weights @ (models[i : i + step] * one).T for i in range(0, len(models), step)], axis=1)


def _power(models: Array, weights: Array) -> Array:
    step = max(1, BLOCK // models.shape[1])
    return np.concatenate([weights @ (models[i : i + step] ** 2).T for i in range(0, len(models), step)], axis=1)


def _gram(data: Array, weights: Array) -> Array:
    k = len(data)
    out = np.empty((len(weights), k, k))
    for i in range(k):
        products = _products(data[i:], data[i], weights)  # (s, k - i)
        out[:, i, i:] = products
        out[:, i:, i] = products
    return out


class _Centring:
    """What row and column effects explain of RDMs in samples."""

    def __init__(self, counts: Counts, unit: Units) -> None:
        self.unit = unit
        self.place = np.arange(counts.shape[1]) if unit is None else unit
        self.of_unit = counts.astype(np.float64)
        size = np.bincount(self.place, minlength=counts.shape[1]).astype(np.float64)
        self.weights = self.of_unit[:, self.place]  # (s, n)
        n = self.weights.sum(axis=1, keepdims=True)
        more = size * (self.of_unit - 1)  # stimuli in other copies of a unit
        self.partners = (n - more - 1)[:, self.place]  # (s, n) of a stimulus, the sample's pairs that it is in
        self.e = n - more  # (s, units), at least the size of the unit
        last = self.e - more
        self.singular = (last == 0).any(axis=1)  # one unit makes up half of the sample; the formula divides by this
        self.u = 1.0 / np.where(last == 0, 1.0, last)
        self.scale = 1.0 + (size * self.of_unit * self.u).sum(axis=1)

    def sums(self, vectors: Array) -> Array:
        """Sum of each stimulus' dissimilarities to all that it is paired with: (s, m, n)."""
        n = self.weights.shape[1]
        step = max(1, BLOCK // n**2)
        out = np.empty((len(self.weights), len(vectors), n))
        for i in range(0, len(vectors), step):
            square = condensed_to_square(vectors[i : i + step])  # (m, n, n)
            out[:, i : i + step] = (self.weights @ square.reshape(-1, n).T).reshape(len(out), -1, n)
            if self.unit is not None:
                within = np.where(self._same, square, 0.0).sum(axis=2)
                out[:, i : i + step] -= (self.weights - 1)[:, None, :] * within
        return out

    def explained(self, a: Array, b: Array | None) -> Array:
        """Weighted inner product of what the effects explain, times 2: (s, m, k), or (s, m, 1) of a with itself."""
        q = self.of_unit * self.u  # (s, units)
        of_a, of_b = self._totals(a), None if b is None else self._totals(b)
        t_a = np.einsum("smn,sn->sm", of_a, q)
        t_b = t_a if of_b is None else np.einsum("skn,sn->sk", of_b, q)
        if self.unit is None:
            out = _inner(a, q, b)
        else:
            blocks = q * (self.of_unit - 1) / self.e
            out = _inner(a, (self.of_unit / self.e)[:, self.place], b) + _inner(of_a, blocks, of_b)
        scale = self.scale[:, None, None]
        out -= (t_a**2)[:, :, None] / scale if b is None else t_a[:, :, None] * t_b[:, None, :] / scale
        for s in np.flatnonzero(self.singular):
            own = np.where(self._same, self.weights[s] - 1, 0.0)
            matrix = np.diag(self.e[s, self.place]) + self.weights[s] - own
            effect = np.linalg.solve(matrix, (a[s] if b is None else b[s]).T)  # (n, k)
            weighted = a[s] * self.weights[s]
            out[s] = np.einsum("mn,nm->m", weighted, effect)[:, None] if b is None else weighted @ effect
        return out

    @property
    def _same(self) -> NDArray[np.bool_]:
        return np.asarray(self.place[:, None] == self.place)

    def _totals(self, x: Array) -> Array:
        """Sums over the stimuli of each unit: (s, m, n) -> (s, m, units)."""
        return x if self.unit is None else np.asarray(x @ np.eye(self.of_unit.shape[1])[self.place])


def _inner(a: Array, weights: Array, b: Array | None) -> Array:
    """Weighted inner products of rows, (s, m, n) with (s, k, n): (s, m, k), or (s, m, 1) of each row with itself."""
    if b is None:
        return np.asarray(np.einsum("smn,smn,sn->sm", a, a, weights, optimize=True))[:, :, None]
    return np.asarray((a * weights[:, None, :]) @ b.transpose(0, 2, 1))


def _linear_ceilings(gram: Array, pool_scale: Array, subject_counts: Counts) -> Array:
    """Ceilings from the inner products of subjects: a pool is a weighted sum of subjects."""
    norm = np.sqrt(np.einsum("skk->sk", gram))[:, None, :]  # (s, 1, k)
    drawn = subject_counts > 0  # (s, r, k)
    several = drawn.sum(axis=2) > 1
    mix = subject_counts / pool_scale[:, None, :]  # (s, r, k)
    mixed = mix @ gram  # (s, r, k): <pool, subject>
    own = mix * norm**2  # each subject's part of that
    power = np.einsum("srk,srk->sr", mix, mixed)[:, :, None]
    upper = mixed / norm / np.sqrt(power)
    # leaving subject g out: |pool - c_g D_g|^2 = |pool|^2 - 2 c_g <pool, D_g> + c_g^2 |D_g|^2
    power_without = power - 2 * mix * mixed + mix * own
    lower = np.where(several[:, :, None], (mixed - own) / norm / np.sqrt(power_without), upper)
    n_drawn = drawn.sum(axis=2)
    return np.stack([np.where(drawn, bound, 0.0).sum(axis=2) / n_drawn for bound in (lower, upper)], axis=2)
