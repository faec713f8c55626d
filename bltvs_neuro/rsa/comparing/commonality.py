"""Which groups of models explain a brain's RDMs alone and which share: "what does td add to bu in V1?"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats as sps

from ...errors import DataError, SpecError, argument, counted, listed
from ...neural.align import align_rdms
from ...neural.condensed import n_from_pairs
from ...neural.labelled import check_rdms
from ...stats import bootstrap_counts, corrected_dual_variance, corrected_variance
from ..inference.bootstrap import Over
from ..inference.limits import bounded_interval
from .weighted import pair_weights

Array = NDArray[np.float64]
MOST_GROUPS = 6
BLOCK = 2**22


@dataclass(frozen=True)
class Commonality:
    """Explained variance of RDMs, divided among groups of models."""

    table: pd.DataFrame
    """One row per part: ``part`` ("td", "bu & td", ...), ``kind`` (unique or shared), ``r2`` (mean over subjects), ``se``,
    ``ci_low``, ``ci_high``, ``p_zero`` (one-sided; parts may be negative by suppression)."""
    total: float
    """R² of all groups together, mean over subjects; the parts sum to it."""
    r2: dict[tuple[str, ...], float]
    """R² of every subset of groups."""
    dof: int
    over: Over


def commonality(
    groups: Mapping[str, xr.DataArray],
    brain: xr.DataArray,
    *,
    ranks: Literal["no", "yes"] = "no",
    over: Literal["auto", "both", "stimuli", "subjects"] = "auto",
    bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Commonality:
    """Divide the variance of RDMs that groups of models explain into unique and shared parts.

    Parameters
    ----------
    groups : mapping of str to xarray.DataArray
        2 to 6 groups of model RDMs (areas, timesteps, streams): ``{"bu": rdms_bu, "td": rdms_td}``.
    brain : xarray.DataArray
        One RDM per subject.
    ranks : {"no", "yes"}
        Replace RDMs by their ranks first (once; bootstrap samples keep them).
    over : {"auto", "both", "stimuli", "subjects"}
        What the bootstrap resamples; ``"auto"``: both, or stimuli for one subject.
    bootstrap : int
        Samples.
    confidence : float
        Of the intervals, t intervals from corrected bootstrap variances, within -1 to 1.
    seed : int

    Returns
    -------
    Commonality

    Notes
    -----
    R² is of ordinary least squares with intercept over pairs of stimuli, per subject. It grows with the number of models in
    a group even for noise, so compare groups of equal size, or use cross-validated weights
    (:func:`~bltvs_neuro.rsa.comparing.regression.weighted_model`) for a question about prediction.

    References
    ----------
    Nimon & Reio (2011), doi:10.1177/1534484311411077; Hebart et al. (2018), doi:10.7554/eLife.32816.
    """
    names = tuple(groups)
    if not 2 <= len(names) <= MOST_GROUPS:
        raise SpecError(
            f"commonality analysis divides among 2 to {MOST_GROUPS} groups; got {len(names)}: {listed(names)}"
        )
    aligned = align_rdms(brain, *groups.values(), names=("the neural data", *names))
    for rdms in aligned:
        check_rdms(rdms, missing="raise")
    y, parts = aligned[0].values, [g.values for g in aligned[1:]]
    x = np.concatenate(parts)
    member = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    if ranks == "yes":
        x, y = (np.asarray(sps.rankdata(v, axis=1), dtype=np.float64) for v in (x, y))
    if (np.ptp(x, axis=1) == 0).any() or (np.ptp(y, axis=1) == 0).any():
        raise DataError("an RDM is constant: its variance cannot be explained nor explain anything")
    n, k = n_from_pairs(x.shape[1]), len(y)
    chosen: Over = ("both" if k > 1 else "stimuli") if over == "auto" else over
    if chosen != "stimuli" and k < 2:
        raise SpecError(f"one subject cannot be resampled: bootstrap with {argument('over', 'stimuli')}")
    subsets = [s for size in range(1, len(names) + 1) for s in combinations(range(len(names)), size)]
    rng = np.random.default_rng(seed)
    w, v = bootstrap_counts(n, bootstrap, rng), bootstrap_counts(k, bootstrap, rng)
    ones = np.ones((1, n), dtype=np.int64)
    mix = _mixing(subsets, len(names))
    data = _r2(x, y, member, subsets, ones)[0]  # (k, subsets)
    parts_data = data @ mix.T  # (k, parts)
    variances: dict[Over, Array] = {}
    if chosen != "subjects":
        w = w[(w > 0).sum(axis=1) >= min(n, len(x) + 3)]
        if len(w) < 2:
            raise DataError(f"{counted(n, 'stimuli', 'are')} too few to resample with {counted(len(x), 'models')}")
        sampled = _r2(x, y, member, subsets, w) @ mix.T  # (s, k, parts)
        variances["stimuli"] = sampled.mean(axis=1).var(axis=0, ddof=1)
        variances["both"] = (np.einsum("skp,sk->sp", sampled, v[: len(w)]) / k).var(axis=0, ddof=1)
    if chosen != "stimuli":
        variances["subjects"] = (v @ parts_data / k).var(axis=0, ddof=1)
    if chosen == "both":
        variance = corrected_dual_variance(
            variances["both"], variances["subjects"], variances["stimuli"], n_subjects=k, n_stimuli=n
        )
    else:
        variance = corrected_variance(variances[chosen], k if chosen == "subjects" else n)
    dof = {"both": min(n, k), "stimuli": n, "subjects": k}[chosen] - 1
    mean, se = parts_data.mean(axis=0), np.sqrt(variance)
    low, high, _ = bounded_interval(mean, se, dof, confidence)
    table = pd.DataFrame(
        {
            "part": [" & ".join(names[i] for i in s) for s in subsets],
            "kind": ["unique" if len(s) == 1 else "shared" for s in subsets],
            "r2": mean,
            "se": se,
            "ci_low": low,
            "ci_high": high,
            "p_zero": sps.t.sf(mean / np.maximum(se, np.finfo(np.float64).eps), dof),
        }
    )
    r2 = {tuple(names[i] for i in s): float(data[:, c].mean()) for c, s in enumerate(subsets)}
    return Commonality(table, r2[names], r2, dof, chosen)


def _mixing(subsets: Sequence[tuple[int, ...]], n_groups: int) -> Array:
    """Matrix from the R² of subsets to parts: inclusion and exclusion of what the other groups leave.

    The part shared by exactly S is the sum over T within S of (-1)^(|T|+1) R²(complement of S, with T), less the empty T's sign.
    """
    column = {s: i for i, s in enumerate(subsets)}
    everything = set(range(n_groups))
    out = np.zeros((len(subsets), len(subsets)))
    for row, s in enumerate(subsets):
        rest = everything - set(s)
        for size in range(len(s) + 1):
            for t in combinations(s, size):
                union = tuple(sorted(rest | set(t)))
                if union:  # the empty set explains nothing
                    out[row, column[union]] += (-1) ** (size + 1)
    return out


def _r2(
    x: Array, y: Array, member: NDArray[np.int64], subsets: Sequence[tuple[int, ...]], counts: NDArray[np.int64]
) -> Array:
    """R² of weighted least squares for every sample, subject and subset: (s, k, subsets)."""
    z = np.concatenate([x, y])
    z = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
    p, size = len(x), len(z)
    out = np.empty((len(counts), len(y), len(subsets)))
    step = max(1, BLOCK // z.shape[1])
    for start in range(0, len(counts), step):
        w = pair_weights(counts[start : start + step]).astype(np.float64)
        w /= w.sum(axis=1, keepdims=True)
        mean = w @ z.T
        cov = np.empty((len(w), size, size))
        for i in range(size):
            cov[:, i, i:] = cov[:, i:, i] = w @ (z[i:] * z[i]).T
        cov -= mean[:, :, None] * mean[:, None, :]
        for c, subset in enumerate(subsets):
            use = np.flatnonzero(np.isin(member, subset))
            inner = cov[:, use][:, :, use]
            cross = cov[:, use, p:]  # (s, models, k)
            solved = np.linalg.pinv(inner, rcond=1e-10, hermitian=True) @ cross
            explained = np.einsum("smk,smk->sk", cross, solved)
            out[start : start + step, :, c] = explained / np.einsum("skk->sk", cov[:, p:, p:])
    return out
