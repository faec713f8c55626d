"""Bootstrap over stimuli, subjects or both: how much scores would vary with other stimuli and other subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, SpecError, argument, unknown
from ...stats import bootstrap_counts, corrected_dual_variance, corrected_variance
from ..comparing.similarity import SIMILARITIES, compare_vectors, similarity_name
from ..comparing.weighted import Array, Counts, SampleScores, Units, linear_scores, n_units
from ..comparing.weighted_ranks import expanded_scores, rank_scores
from .ceiling import ceiling_of_vectors
from .variance import OVER, Over, Spread, contrasts, spread_fields


@dataclass(frozen=True)
class Bootstrap(Spread):
    """Scores of models with the variances that a bootstrap gives them, corrected for the sizes of the samples.

    All degrees of freedom are one less than the smaller bootstrapped factor.
    """

    samples: dict[Over, Array]
    """Per kind of bootstrap, (samples, models + 2): mean scores, lower and upper ceiling."""


def bootstrap_rsa(
    models: Array,
    data: Array,
    similarity: str,
    *,
    over: Over = "both",
    n_samples: int = 1000,
    seed: int = 0,
    stimulus_counts: Counts | None = None,
    subject_counts: Counts | None = None,
    clusters: Units = None,
) -> Bootstrap:
    """Bootstrap the comparison of models with subjects.

    Parameters
    ----------
    models : array (n_models, n_pairs)
        Condensed RDMs without NaN, pair for pair as ``data``.
    data : array (n_subjects, n_pairs)
        One RDM per subject, without NaN.
    similarity : str
    over : {"both", "stimuli", "subjects"}
        What is resampled, and so what scores generalise to. ``"both"`` combines three bootstraps (dual bootstrap).
    n_samples : int
    seed : int
    stimulus_counts, subject_counts : int arrays (samples, n), (samples, n_subjects), optional
        Samples to use instead of drawing them.
    clusters : int array (n,), optional
        Number of the category of each stimulus, from 0. Whole categories are drawn, and everything that is said of stimuli is
        said of them.

    Returns
    -------
    Bootstrap

    Raises
    ------
    SpecError
        Fewer than two units of a resampled factor, or an unknown choice.
    DataError
        NaN in the RDMs.

    References
    ----------
    Schütt, Kipnis, Diedrichsen & Kriegeskorte (2023), doi:10.7554/eLife.82566.
    """
    name = similarity_name(similarity)
    if over not in OVER:
        raise unknown("bootstrap factor", over, OVER)
    models, data = np.atleast_2d(models), np.atleast_2d(data)
    if models.shape[1] != data.shape[1]:
        raise DataError(f"RDMs with {models.shape[1]} and {data.shape[1]} pairs cannot be compared")
    if np.isnan(models).any() or np.isnan(data).any():
        raise DataError(
            "a bootstrap over stimuli or subjects needs RDMs without NaN; select stimuli that have all pairs"
        )
    n, k = n_units(models, clusters), len(data)
    if over != "stimuli" and k < 2:
        raise SpecError(
            f"one subject cannot be resampled: bootstrap with {argument('over', 'stimuli')}; it generalises to stimuli alone"
        )
    if n < 3:
        raise SpecError(f"a bootstrap over stimuli needs at least 3; got {n}")
    rng = np.random.default_rng(seed)
    w = bootstrap_counts(n, n_samples, rng) if stimulus_counts is None else np.asarray(stimulus_counts)
    v = bootstrap_counts(k, n_samples, rng) if subject_counts is None else np.asarray(subject_counts)
    scores = compare_vectors(models, data, name)
    ceiling = ceiling_of_vectors(data, name, np.arange(k), tuple(map(str, range(k))))
    samples: dict[Over, Array] = {}
    if over != "subjects":
        draws = np.stack([np.ones_like(v), v], axis=1) if over == "both" else np.ones((len(w), 1, k), dtype=np.int64)
        found = sample_scores(models, data, name, w, draws, clusters)
        samples["stimuli"] = _columns(found.scores.mean(axis=2), found.ceilings[:, 0])
        if over == "both":
            samples["both"] = _columns(_over_subjects(found.scores, v), found.ceilings[:, 1])
    if over != "stimuli":
        unique, back = np.unique(v, axis=0, return_inverse=True)
        once = sample_scores(models, data, name, np.ones((1, n), dtype=np.int64), unique[None], clusters)
        mean = _over_subjects(np.broadcast_to(scores, (len(v), *scores.shape)), v)
        samples["subjects"] = _columns(mean, once.ceilings[0][np.ravel(back)])
    factors = {key: contrasts(_covariance(columns), len(models)) for key, columns in samples.items()}
    variances = [_correct({key: part[i] for key, part in factors.items()}, over, k, n) for i in range(4)]
    dof = {"both": min(n, k), "stimuli": n, "subjects": k}[over] - 1
    dofs = [np.full(v.shape, float(dof)) for v in variances]
    return Bootstrap(
        scores=scores, ceiling=ceiling, over=over, samples=samples, zero_dof=dofs[0], **spread_fields(variances, dofs)
    )


def bootstrap_scores(
    models: Array,
    data: Array,
    similarity: str,
    *,
    over: Over = "both",
    n_samples: int = 1000,
    seed: int = 0,
    clusters: Units = None,
) -> Array:
    """Mean scores over subjects in bootstrap samples, without noise ceilings: (samples, models).

    The samples are those of :func:`bootstrap_rsa` with the same seed.
    """
    n, k = n_units(models, clusters), len(data)
    rng = np.random.default_rng(seed)
    w, v = bootstrap_counts(n, n_samples, rng), bootstrap_counts(k, n_samples, rng)
    none = np.zeros((n_samples, 0, k), dtype=np.int64)
    if over == "subjects":
        whole = compare_vectors(models, data, similarity)
        return _over_subjects(np.broadcast_to(whole, (n_samples, *whole.shape)), v)
    found = sample_scores(models, data, similarity, w, none, clusters).scores
    return np.asarray(found.mean(axis=2)) if over == "stimuli" else _over_subjects(found, v)


def best_share(samples: Array) -> Array:
    """In which share of samples (samples, models) each model has the highest score; samples that are NaN do not count."""
    there = samples[np.isfinite(samples).any(axis=1)]
    best = np.nanargmax(there, axis=1) if len(there) else np.zeros(0, dtype=np.int64)
    return np.bincount(best, minlength=samples.shape[1]) / max(len(there), 1)


def sample_scores(
    models: Array, data: Array, similarity: str, counts: Counts, subject_counts: Counts, unit: Units = None
) -> SampleScores:
    """Scores and ceilings in given samples; NaN in samples of fewer than 3 different stimuli, or units.

    Parameters
    ----------
    models, data : arrays (n_models, n_pairs), (n_subjects, n_pairs)
    similarity : str
    counts : int array (samples, units)
        How often each stimulus, or each unit, occurs.
    subject_counts : int array (samples, draws, n_subjects)
        Draws of subjects whose noise ceilings are wanted under each sample of stimuli.
    unit : int array (n,), optional
        Which unit each stimulus is of.
    """
    kind = SIMILARITIES[similarity]
    if kind.family == "linear":
        return linear_scores(models, data, kind, counts, subject_counts, unit)
    if kind.family == "rank":
        return rank_scores(models, data, kind, counts, subject_counts, unit)
    return expanded_scores(models, data, similarity, counts, subject_counts, unit)


def _over_subjects(scores: NDArray[np.float64], counts: Counts) -> Array:
    """Mean score over the drawn subjects: (samples, models)."""
    return np.asarray(np.einsum("smk,sk->sm", scores, counts) / counts.sum(axis=1)[:, None])


def _columns(means: Array, ceilings: Array) -> Array:
    return np.concatenate([means, ceilings], axis=1)


def _covariance(columns: Array) -> Array:
    """Covariance over samples; a sample that is NaN for one of two columns does not count for the two."""
    there = np.isfinite(columns)
    if there.all():
        return np.atleast_2d(np.cov(columns, rowvar=False))
    count = there.sum(axis=0)
    center = np.where(there, columns, 0).sum(axis=0) / np.maximum(count, 1)
    x, v = np.where(there, columns - center, 0.0), there.astype(np.float64)
    n, sums = v.T @ v, x.T @ v
    with np.errstate(divide="ignore", invalid="ignore"):
        out = (x.T @ x - sums * sums.T / n) / (n - 1)
    return np.where(n > 1, out, np.nan)


def _correct(variances: dict[Over, Array], over: Over, k: int, n: int) -> Array:
    if over == "both":
        both, subjects, stimuli = (variances[key] for key in ("both", "subjects", "stimuli"))
        return corrected_dual_variance(both, subjects, stimuli, n_subjects=k, n_stimuli=n)
    return corrected_variance(variances[over], k if over == "subjects" else n)
