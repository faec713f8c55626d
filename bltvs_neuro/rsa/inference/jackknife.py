"""Variances of scores over new stimuli and new subjects, without resampling: a jackknife with the pairs' surplus removed.

A score is a mean over subjects of a statistic of pairs of stimuli. In the random-effects form ``y_ijs = m + a_i + a_j + b_ij
+ c_s + (ac)_is + (ac)_js + (bc)_ijs`` (stimuli i, j; subject s) its variance over new stimuli and subjects is

    V = V_stimuli + V_subjects - V_interaction

- V_stimuli: leaving one stimulus out at a time gives A + 2 B, with A the part of single stimuli and B that of pairs
  (:mod:`bltvs_neuro.stats.pairs`; a bootstrap of stimuli gives A + 3 B). B is estimated from the influence of each pair
  (:mod:`.influence`) and the surplus taken off.
- With categories (``clusters``) whole ones are left out, and a pair is one of categories; what pairs within a category move is
  spread over its pairs with others.
- V_subjects: variance over subjects, leaving one out at a time where the score is no mean over subjects (noise ceilings).
- V_interaction: what both of these contain, from leaving out one stimulus and one subject at a time, its surplus taken off.

V is kept above half of the larger of V_stimuli and V_subjects; all of it, as in Schütt et al., makes V a fifth too large for
few subjects (simulated: 92 stimuli, 4 subjects, an unrelated model). Degrees of freedom are Satterthwaite's, V² / Σ
V_c² / ν_c, with ν = subjects - 1 for V_subjects, and for V_stimuli the degrees that the kurtosis κ of the pseudo-values leaves,
``1/ν = 1/(n - 1) + max(κ, 0) / 2n``: few stimuli with much influence make a variance unsure. The square of V_stimuli is
taken as V_stimuli × (V_stimuli + surplus), because the surplus is estimated too; with the surplus twice, tests of models
unrelated to the brain become conservative (docs/guide/statistics.md has what simulations gave).

The test of a model against zero leaves κ out. Of a related model the score and its variance go together, which is what the wider
intervals make up for; under the null the influences are symmetric about zero, and sums divided by their own standard
error have lighter tails than t already, the more so the heavier the tails of the influences (Cressie 1980).

References: Arvesen (1969), doi:10.1214/aoms/1177697287; Cressie (1980), Australian Journal of Statistics 22:143; Hoeffding
(1948), doi:10.1214/aoms/1177730196; Satterthwaite (1946), doi:10.2307/3002019; Schütt et al. (2023), doi:10.7554/eLife.82566.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SpecError, argument
from ...stats.pairs import pair_variance, sums_between, unit_sums
from ..comparing.similarity import SIMILARITIES, Similarity
from ..comparing.weighted import SampleScores, Units, n_units
from .ceiling import NoiseCeiling, ceiling_of_vectors, scale_for_pooling
from .influence import Prepared, influence, prepare
from .variance import Over, Spread, contrasts, spread_fields

Array = NDArray[np.float64]


class Parts(NamedTuple):
    """Covariances of columns (models, lower and upper ceiling), each (columns, columns)."""

    stimuli: Array
    subjects: Array
    interaction: Array
    jackknife: Array
    """Of stimuli, with the surplus."""
    pseudo: Array
    """(stimuli, columns) pseudo-values of the mean score, each column with mean zero."""


def jackknife_rsa(
    models: Array, data: Array, similarity: str, *, over: Over = "both", clusters: Units = None
) -> Spread:
    """Estimate how much scores would vary with other stimuli and other subjects.

    Parameters
    ----------
    models, data, similarity, over, clusters
        As :func:`bltvs_neuro.rsa.bootstrap_rsa`.

    Returns
    -------
    Spread
        The variances of ceilings are NaN for fewer than 3 subjects when subjects count as random.

    Raises
    ------
    SpecError
        Too few units: 2 subjects, 5 stimuli.
    """
    n, k, m = n_units(models, clusters), len(data), len(models)
    if over != "stimuli" and k < 2:
        raise SpecError(
            f"one subject says nothing about others: take {argument('over', 'stimuli')}; it generalises to stimuli alone"
        )
    if over != "subjects" and n < 5:
        what = "stimuli" if clusters is None else "categories"
        raise SpecError(f"a variance over {what} needs at least 5 {what}; got {n}")
    kind = SIMILARITIES[similarity]
    ceiling = ceiling_of_vectors(data, similarity, np.arange(k), tuple(map(str, range(k))))
    draws = np.ones((1, k), dtype=np.int64)
    if over != "stimuli":
        draws = np.concatenate([draws, 1 - np.eye(k, dtype=np.int64)])
    whole = _leave_out(models, data, similarity, np.ones((1, n), dtype=np.int64), draws, clusters)
    scores = whole.scores[0]
    zero = np.zeros((m + 2, m + 2))
    subjects = _subject_part(whole) if over != "stimuli" else zero
    stimuli = interaction = jackknife = zero
    pseudo = np.zeros((n, m + 2))
    if over != "subjects":
        left = _leave_out(models, data, similarity, 1 - np.eye(n, dtype=np.int64), draws, clusters)
        pseudo = (n - 1) * (_mean(whole) - _mean(left))
        pseudo -= pseudo.mean(axis=0)
        jackknife = pseudo.T @ pseudo / (n * (n - 1))
        surplus, interaction = _pair_parts(_profiles(models, data, kind, draws, clusters), whole, left)
        stimuli = jackknife - surplus
    parts = Parts(stimuli, subjects, interaction, jackknife, pseudo)
    return _spread(scores, ceiling, parts, over, n, k)


def _leave_out(
    models: Array, data: Array, similarity: str, counts: NDArray[np.int64], draws: NDArray[np.int64], clusters: Units
) -> SampleScores:
    from ..comparing.concordance import tau_leave_one_out
    from .bootstrap import sample_scores

    each = np.broadcast_to(draws, (len(counts), *draws.shape))
    if SIMILARITIES[similarity].family != "order" or clusters is not None:
        return sample_scores(models, data, similarity, counts, each, clusters)
    found = sample_scores(models[:1], data, similarity, counts, each)
    whole, left = tau_leave_one_out(models, data)
    return SampleScores(whole[None] if len(counts) == 1 else left, found.ceilings)


def _columns(found: SampleScores) -> Array:
    """Per sample and subject a value whose mean over subjects is the score: (samples, columns, subjects).

    For ceilings these are pseudo-values, ``k θ - (k - 1) θ without the subject``.
    """
    n, m, k = found.scores.shape
    out = np.empty((n, m + 2, k))
    out[:, :m] = found.scores
    everyone = found.ceilings[:, :1]  # (samples, 1, 2)
    pseudo = k * everyone - (k - 1) * found.ceilings[:, 1:] if k > 2 else np.full((n, k, 2), np.nan)
    out[:, m:] = pseudo.transpose(0, 2, 1)
    return out


def _subject_part(whole: SampleScores) -> Array:
    values = _columns(whole)[0]
    return np.atleast_2d(np.cov(values)) / values.shape[1]


def _mean(found: SampleScores) -> Array:
    """Mean scores over subjects and ceilings of all subjects: (samples, columns)."""
    return np.concatenate([found.scores.mean(axis=2), found.ceilings[:, 0]], axis=1)


def _pair_parts(
    profiles: Iterator[tuple[Array, Array]], whole: SampleScores, left: SampleScores
) -> tuple[Array, Array]:
    """Surplus of the jackknife of stimuli, and the interaction without its own surplus."""
    n, (m, k) = len(left.scores), whole.scores.shape[1:]
    gram, sums = next(profiles)
    surplus = _surplus(gram, sums, n)
    if whole.ceilings.shape[1] == 1:  # over stimuli alone: no draws of subjects
        return surplus, np.zeros_like(surplus)
    each = (n - 1) * (_columns(whole) - _columns(left))  # (n, columns, k)
    each -= each.mean(axis=2, keepdims=True)
    each -= each.mean(axis=0)
    flat = each.transpose(1, 0, 2).reshape(m + 2, -1)
    interaction = flat @ flat.T / (n * (n - 1)) / (k * (k - 1))
    gram, sums = next(profiles)
    return surplus, interaction - _surplus(gram, sums, n) / (k * (k - 1))


def _surplus(gram: Array, sums: Array, n: int) -> Array:
    """What a jackknife of units adds to the variance over new units."""
    found = pair_variance(gram, sums, n)
    return found.sums - found.total


def _profiles(
    models: Array, data: Array, kind: Similarity, draws: NDArray[np.int64], clusters: Units = None
) -> Iterator[tuple[Array, Array]]:
    """Yield inner products of pair influences and of their sums over stimuli: of the mean over subjects, of deviations."""
    n, k = n_units(data, clusters), len(data)
    left, right = prepare(models, kind), prepare(data, kind)
    columns = len(models) + 2
    ceilings = _ceiling_influences(data, right, kind, draws)  # (draws, 2, n_pairs)
    total = np.zeros((columns, n * (n - 1) // 2))
    gram, sums = np.zeros((2, columns, columns))
    for s in range(k):
        own = np.empty((columns, data.shape[1]))
        own[:-2] = influence(left, right.one(s), kind)[0]
        own[-2:] = k * ceilings[0] - (k - 1) * ceilings[1 + s] if k > 2 and len(draws) > 1 else ceilings[0]
        if clusters is not None:
            own = sums_between(own, clusters) * (total.shape[1] / data.shape[1])
        total += own
        if len(draws) > 1:
            gram += own @ own.T
            rows = unit_sums(own, n)
            sums += rows @ rows.T
    mean = total / k
    rows = unit_sums(mean, n)
    of_mean = mean @ mean.T, rows @ rows.T
    yield of_mean
    yield gram - k * of_mean[0], sums - k * of_mean[1]


def _ceiling_influences(data: Array, prepared: Prepared, kind: Similarity, draws: NDArray[np.int64]) -> Array:
    """Influence of each pair on the lower and the upper ceiling, pools held fixed, per draw of subjects."""
    out = np.full((len(draws), 2, data.shape[1]), np.nan)
    if len(data) < 2:
        return out
    ready = scale_for_pooling(data, kind)
    for r, chosen in enumerate(draws.astype(bool)):
        members = [int(s) for s in np.flatnonzero(chosen)]
        if len(members) < 2:
            continue
        pool = ready[members].sum(axis=0)
        own = prepared.take(members)
        lower, _ = influence(prepare(pool - ready[members], kind), own, kind)
        upper, _ = influence(own, prepare(pool[None], kind), kind)
        out[r] = lower.mean(axis=0), upper.mean(axis=0)
    return out


def _spread(scores: Array, ceiling: NoiseCeiling, parts: Parts, over: Over, n: int, k: int) -> Spread:
    m = len(scores)
    covariances = (parts.stimuli, parts.subjects, parts.interaction, parts.jackknife)
    of = (contrasts(c, m) for c in covariances)
    variances, dofs, dofs_of_light_tails = [], [], []
    for stimuli, subjects, interaction, jackknife, tail in zip(*of, _tails(parts.pseudo, m), strict=True):
        floor = np.maximum(np.maximum(stimuli, subjects) / 2, np.finfo(np.float64).tiny)
        total = np.maximum(stimuli + subjects - interaction, floor)
        unsure = np.zeros_like(total)
        if over != "subjects":
            unsure += np.maximum(stimuli, 0) * jackknife / (n - 1)
        if over != "stimuli":
            unsure += subjects**2 / (k - 1)
        if over == "both":
            unsure += interaction**2 / ((n - 1) * (k - 1))
        heavy = np.maximum(stimuli, 0) * jackknife * tail / (2 * n) if over != "subjects" else 0.0
        usual = float(k - 1 if over == "subjects" else n - 1)
        least = float(min(k - 1, 3)) if over == "both" else 0.0  # the estimate goes below one in small designs
        variances.append(total)
        dofs.append(np.maximum(_satterthwaite(total, unsure + heavy, usual), least))
        dofs_of_light_tails.append(np.maximum(_satterthwaite(total, unsure, usual), least))
    return Spread(
        scores=scores, ceiling=ceiling, over=over, zero_dof=dofs_of_light_tails[0], **spread_fields(variances, dofs)
    )


def _satterthwaite(total: Array, unsure: Array, usual: float) -> Array:
    """Degrees of freedom of a variance whose own variance is ``2 unsure``; ``usual`` where nothing is unsure."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(unsure > 0, total**2 / unsure, usual)


def _tails(pseudo: Array, m: int) -> tuple[Array, Array, Array, Array]:
    """Excess kurtosis (unbiased under normality, none below 0) of the pseudo-values of each contrast."""
    n = len(pseudo)

    def kurtosis(x: Array) -> Array:
        power = np.mean(x**2, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            g = np.where(power > 0, np.mean(x**4, axis=0) / power**2 - 3, 0.0)
        return np.maximum((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * g + 6), 0)

    own = kurtosis(pseudo)
    pairs = np.stack([kurtosis(pseudo[:, [i]] - pseudo) for i in range(m)])  # (m, m + 2)
    return own[:m], pairs[:, :m], pairs[:, m:], own[m:]
