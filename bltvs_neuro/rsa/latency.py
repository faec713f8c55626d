"""When sites fit best: peak latencies with intervals over stimuli and subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats as sps

from ..errors import SpecError, argument
from ..stats import bootstrap_counts
from .comparing.similarity import SIMILARITIES
from .comparing.weighted import Units, linear_scores, n_units
from .inference.clusters import generalises_to
from .inference.options import Inference
from .inference.variance import Over

Array = NDArray[np.float64]
PeakOf = Literal["best_timestep", "mean_timestep"]
BLOCK = 2**23
"""Scores that a block of samples may have."""


def curves(scores: Array, rows: Sequence[NDArray[np.int64]], peak_of: PeakOf) -> Array:
    """Curve over time of each site: (..., models, times) -> (..., sites, times).

    Parameters
    ----------
    scores : array (..., models, times)
    rows : sequence of int arrays
        The models of each site.
    peak_of : {"best_timestep", "mean_timestep"}
        At each time the best timestep, or the mean over timesteps.
    """
    reduce = np.fmax.reduce if peak_of == "best_timestep" else np.mean
    return np.stack([reduce(scores[..., own, :], axis=-2) for own in rows], axis=-2)


def peaks(values: Array) -> NDArray[np.int64]:
    """Where curves (..., times) are highest, of what is not NaN; -1 where all is."""
    place = np.where(np.isnan(values), -np.inf, values).argmax(axis=-1)
    return np.where(np.isnan(values).all(axis=-1), -1, place)


class Sampling(NamedTuple):
    """What latencies are of, and how they are sampled."""

    rows: Sequence[NDArray[np.int64]]
    """The models of each site."""
    similarity: str
    clusters: Units
    inference: Inference
    peak_of: PeakOf
    seed: int

    def over(self, subjects: int) -> Over:
        """What is drawn."""
        asked = self.inference.over
        over: Over = ("both" if subjects > 1 else "stimuli") if asked == "auto" else asked
        if over != "stimuli" and subjects < 2:
            raise SpecError(f"one subject cannot be resampled: take {argument('over', 'stimuli')}")
        return over


def latencies(models: Array, data: Array, scores: Array, times: Array, of: Sampling) -> dict[str, Any]:
    """Peak latencies with percentile intervals over what is drawn, as variables of a dataset.

    Parameters
    ----------
    models : array (n_models, n_pairs)
    data : array (times, subjects, n_pairs)
        Both without NaN.
    scores : array (n_models, times, subjects)
        Their similarities.
    times : array (times,)
        Seconds.
    of : Sampling
    """
    over = of.over(data.shape[1])
    curve = curves(scores.mean(axis=2), of.rows, of.peak_of)  # (site, time)
    place = peaks(curve)
    latency = np.where(place < 0, np.nan, times[place])
    drawn = sampled_peaks(models, data, of)
    samples = np.where(drawn < 0, np.nan, times[drawn])
    ends = np.full((2, len(of.rows)), np.nan)
    there = np.isfinite(samples).any(axis=0) & np.isfinite(latency)
    if there.any():
        confidence = of.inference.confidence
        ends[:, there] = np.nanquantile(samples[:, there], [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    highest = np.array([np.nan if p < 0 else c[p] for c, p in zip(curve, place, strict=True)])
    return {
        "latency": ("site", latency),
        "latency_ci_low": ("site", ends[0]),
        "latency_ci_high": ("site", ends[1]),
        "peak": ("site", highest),
        "latency_samples": (("sample", "site"), samples),
        "generalises_to": ((), generalises_to(over, of.clusters)),
    }


def sampled_peaks(models: Array, data: Array, of: Sampling) -> NDArray[np.int64]:
    """Peaks of the sites' curves in bootstrap samples, (samples, sites), places in time.

    The same samples serve all sites, so that differences of latencies can be formed. Rank similarities are taken of the ranks in
    the whole RDMs: ranks within each sample would take an hour.
    """
    kind, over, n_samples = SIMILARITIES[of.similarity], of.over(data.shape[1]), of.inference.bootstrap
    times, k, n_pairs = data.shape
    flat = data.reshape(times * k, n_pairs)
    if kind.family != "linear":
        models, flat = (np.asarray(sps.rankdata(v, axis=1), dtype=np.float64) for v in (models, flat))
        kind = SIMILARITIES["pearson"]
    n = n_units(models, of.clusters)
    if not n_samples:
        return np.zeros((0, len(of.rows)), dtype=np.int64)
    rng = np.random.default_rng(of.seed)
    w, v = bootstrap_counts(n, n_samples, rng), bootstrap_counts(k, n_samples, rng) / k
    if over == "stimuli":
        v = np.full_like(v, 1 / k)
    step = max(1, BLOCK // (len(models) * times * k))
    out = []
    for i in range(0, n_samples, step):
        counts = np.ones((1, n), dtype=np.int64) if over == "subjects" else w[i : i + step]
        none = np.zeros((len(counts), 0, times * k), dtype=np.int64)
        scores = linear_scores(models, flat, kind, counts, none, of.clusters).scores
        scores = scores.reshape(len(counts), len(models), times, k)
        subjects = v[i : i + step]
        every = np.broadcast_to(scores, (len(subjects), *scores.shape[1:]))
        out.append(peaks(curves(np.einsum("smtk,sk->smt", every, subjects), of.rows, of.peak_of)))
    return np.concatenate(out)
