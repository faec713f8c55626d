"""Similarities of RDMs in bootstrap samples of stimuli, without building the samples.

A stimulus drawn w_i times makes every pair (i, j) occur w_i w_j times; pairs of a stimulus with its own copy are left out.
A sample is therefore a comparison with pair weights, and all models × subjects × samples are a few matrix products. For
the whitened similarities the centring of a sample is least squares with the matrix diag(Σw + 2 - 2w) + 1 w', solved by the
Sherman–Morrison formula.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...neural.condensed import condensed_to_square
from .similarity import Similarity

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
BLOCK = 2**23
"""Entries (64 MiB) that a block of pair weights or products may have."""


class SampleScores(NamedTuple):
    """Scores in samples of stimuli."""

    scores: Array
    """(samples, models, subjects)."""
    ceilings: Array
    """(samples, draws, 2): lower and upper bound, for each draw of subjects that goes with the sample."""


def pair_weights(counts: Counts) -> NDArray[np.int64]:
    """(samples, n) counts of stimuli -> (samples, n_pairs) weights of pairs."""
    row, column = np.triu_indices(counts.shape[1], 1)
    return counts[:, row] * counts[:, column]


def linear_scores(models: Array, data: Array, kind: Similarity, counts: Counts, subject_counts: Counts) -> SampleScores:
    """Score models in samples, for cosine, pearson and their whitened forms.

    Parameters
    ----------
    models, data : arrays (n_models, n_pairs), (n_subjects, n_pairs)
    kind : Similarity
    counts : int array (samples, n)
        How often each stimulus occurs.
    subject_counts : int array (samples, draws, n_subjects)
        For the noise ceilings: how often each subject occurs.
    """
    if kind.centered:  # similarities do not change, weighted sums no longer cancel
        models = models - models.mean(axis=1, keepdims=True)
        data = data - data.mean(axis=1, keepdims=True)
    step = max(1, BLOCK // max(models.shape[1], (len(models) + len(data)) * counts.shape[1]))
    parts = [
        _linear_block(models, data, kind, counts[i : i + step], subject_counts[i : i + step])
        for i in range(0, len(counts), step)
    ]
    return SampleScores(np.concatenate([p.scores for p in parts]), np.concatenate([p.ceilings for p in parts]))


def _linear_block(models: Array, data: Array, kind: Similarity, counts: Counts, subject_counts: Counts) -> SampleScores:
    weights = pair_weights(counts).astype(np.float64)
    total = weights.sum(axis=1)  # (s,)
    m_power, d_gram = _power(models, weights), _gram(data, weights)  # (s, m), (s, k, k)
    cross = np.stack([_products(models, d, weights) for d in data], axis=2)  # (s, m, k)
    m_raw, d_raw = m_power.copy(), np.einsum("skk->sk", d_gram).copy()
    if kind.centered:
        m_mean, d_mean = weights @ models.T / total[:, None], weights @ data.T / total[:, None]
        cross -= total[:, None, None] * m_mean[:, :, None] * d_mean[:, None, :]
        m_power -= total[:, None] * m_mean**2
        d_gram -= total[:, None, None] * d_mean[:, :, None] * d_mean[:, None, :]
    constant_m, constant_d = m_power <= 1e-13 * m_raw, np.einsum("skk->sk", d_gram) <= 1e-13 * d_raw
    # pooling takes unit variance also for the whitened ones
    pool_scale = np.sqrt(np.where(constant_d, np.nan, np.einsum("skk->sk", d_gram)))
    if kind.whitened:
        m_sums, d_sums = _row_sums(models, counts), _row_sums(data, counts)  # (s, m, n), (s, k, n)
        if kind.centered:
            rest = (counts.sum(axis=1, keepdims=True) - counts)[:, None, :]
            m_sums -= m_mean[:, :, None] * rest
            d_sums -= d_mean[:, :, None] * rest
        cross = (cross - _explained(m_sums, d_sums, counts)) / 2
        d_gram = (d_gram - _explained(d_sums, d_sums, counts)) / 2
        m_power = (m_power - _explained(m_sums, None, counts)[:, :, 0]) / 2
    d_power = np.einsum("skk->sk", d_gram)
    m_norm = np.sqrt(np.where(constant_m | (m_power <= 0), np.nan, m_power))
    d_norm = np.sqrt(np.where(constant_d | (d_power <= 0), np.nan, d_power))
    scores = cross / m_norm[:, :, None] / d_norm[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        ceilings = _linear_ceilings(d_gram, pool_scale, subject_counts)
    few = (counts > 0).sum(axis=1) < 3
    scores[few], ceilings[few] = np.nan, np.nan
    if len(data) == 1:
        ceilings[:] = np.nan  # one subject says nothing about others
    return SampleScores(scores, ceilings)


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


def _row_sums(vectors: Array, counts: Counts) -> Array:
    """Sum of each stimulus' dissimilarities to all drawn stimuli: (s, m, n)."""
    n = counts.shape[1]
    step = max(1, BLOCK // n**2)
    weights = counts.astype(np.float64)
    out = np.empty((len(counts), len(vectors), n))
    for i in range(0, len(vectors), step):
        square = condensed_to_square(vectors[i : i + step])  # (m, n, n)
        out[:, i : i + step] = (weights @ square.reshape(-1, n).T).reshape(len(counts), -1, n)
    return out


def _explained(a: Array, b: Array | None, counts: Counts) -> Array:
    """Weighted inner product of what row and column effects explain, times 2: (s, m, k), or (s, m, 1) of a with itself."""
    w = counts.astype(np.float64)
    d = w.sum(axis=1, keepdims=True) + 2.0 - 2.0 * w
    singular = (d == 0).any(axis=1)  # one stimulus makes up half of the sample; the formula divides by d
    q = w / np.where(d == 0, 1.0, d)
    t_a = np.einsum("smn,sn->sm", a, q)
    scale = 1.0 + q.sum(axis=1)
    if b is None:
        out = np.einsum("smn,smn,sn->sm", a, a, q, optimize=True) - t_a**2 / scale[:, None]
        out = out[:, :, None]
    else:
        t_b = np.einsum("skn,sn->sk", b, q)
        out = (a * q[:, None, :]) @ b.transpose(0, 2, 1) - t_a[:, :, None] * t_b[:, None, :] / scale[:, None, None]
    for s in np.flatnonzero(singular):
        matrix = np.diag(d[s]) + w[s]
        right = a[s] if b is None else b[s]
        effect = np.linalg.solve(matrix, right.T)  # (n, k)
        out[s] = np.einsum("mn,nm->m", a[s] * w[s], effect)[:, None] if b is None else (a[s] * w[s]) @ effect
    return out


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
