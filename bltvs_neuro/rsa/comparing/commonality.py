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
from ...neural.align import align_rdms, rdm_stimulus_ids
from ...neural.condensed import n_from_pairs
from ...neural.labelled import check_rdms
from ...stats import adjust_p_values, bootstrap_counts, corrected_dual_variance, corrected_variance
from ..inference.clusters import cluster_numbers, generalises_to, read_clusters
from ..inference.leave_out import leave_out, pairs_of
from ..inference.limits import bounded_interval
from ..inference.options import Inference
from ..inference.variance import Over
from .regression import stimulus_folds_of
from .weighted import pair_weights

Array = NDArray[np.float64]
MOST_GROUPS = 6
BLOCK = 2**22


@dataclass(frozen=True)
class Commonality:
    """Explained variance of RDMs, divided among groups of models."""

    table: pd.DataFrame
    """One row per part: ``part`` ("td", "bu & td", ...), ``kind`` (unique or shared), ``r2`` (mean over subjects), ``se``,
    ``ci_low``, ``ci_high``, ``p_zero`` (one-sided t; parts may be negative by suppression), ``p_zero_corrected`` over all parts
    by the ``correction``, ``generalises_to``."""
    total: float
    """R² of all groups together, mean over subjects; the parts sum to it."""
    r2: dict[tuple[str, ...], float]
    """R² of every subset of groups."""
    dof: NDArray[np.float64]
    """(parts,) degrees of freedom."""
    over: Over


def commonality(
    groups: Mapping[str, xr.DataArray],
    brain: xr.DataArray,
    *,
    ranks: Literal["no", "yes"] = "no",
    stimulus_folds: int = 1,
    inference: Inference = Inference(),
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
    stimulus_folds : int
        Cross-validate: models are fitted to pairs of the stimuli of all folds but one, R² is of pairs within that one; at least 4
        stimuli (with ``clusters``, whole categories) a fold. 1: fitted and scored on the same pairs.
    inference : Inference
        ``over``, ``confidence``, ``correction`` for t intervals (within -1 to 1) and tests. Without cross-validation from
        corrected variances of ``bootstrap`` samples, with it by leaving stimuli and subjects out; ``clusters`` takes the latter.
    seed : int
        Of samples and folds.

    Returns
    -------
    Commonality

    Notes
    -----
    R² is of ordinary least squares with intercept over pairs of stimuli, per subject. Without cross-validation it grows with the
    number of models in a group even for noise, and no test of a part holds its level: parts of noise are above zero.

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
    subsets = [s for size in range(1, len(names) + 1) for s in combinations(range(len(names)), size)]
    mix = _mixing(subsets, len(names))
    clusters = cluster_numbers(read_clusters(inference.clusters), rdm_stimulus_ids(aligned[0]))
    rng = np.random.default_rng(seed)
    if stimulus_folds > 1 or clusters is not None:
        if not 1 <= stimulus_folds <= n // 4:
            raise SpecError(f"{n} stimuli allow 1 to {n // 4} folds of at least 4; got {stimulus_folds}")
        fold = stimulus_folds_of(n, stimulus_folds, rng, clusters)

        def r2_of(stimuli: NDArray[np.int64], subjects: NDArray[np.int64]) -> Array:
            return _held_out_r2(x, y[subjects], member, subsets, fold, stimuli)

        data = r2_of(np.arange(n), np.arange(k))
        found = leave_out(lambda s, v: mix @ r2_of(s, v).mean(axis=0), n, k, inference, clusters=clusters)
        chosen, mean, se, dof = found.over, found.value, found.se, found.dof
    else:
        data = _r2(x, y, member, subsets, np.ones((1, n), dtype=np.int64))[0]  # (k, subsets)
        chosen = ("both" if k > 1 else "stimuli") if inference.over == "auto" else inference.over
        variance = _bootstrap_variance(x, y, member, subsets, data @ mix.T, chosen, inference.bootstrap, rng)
        mean, se = (data @ mix.T).mean(axis=0), np.sqrt(variance)
        dof = np.full(len(mean), float({"both": min(n, k), "stimuli": n, "subjects": k}[chosen] - 1))
    low, high, _ = bounded_interval(mean, se, dof, inference.confidence)
    p = sps.t.sf(mean / np.maximum(se, np.finfo(np.float64).eps), dof)
    table = pd.DataFrame(
        {
            "part": [" & ".join(names[i] for i in s) for s in subsets],
            "kind": ["unique" if len(s) == 1 else "shared" for s in subsets],
            "r2": mean,
            "se": se,
            "ci_low": low,
            "ci_high": high,
            "p_zero": p,
            "p_zero_corrected": adjust_p_values(p, inference.correction),
            "correction": inference.correction,
            "generalises_to": generalises_to(chosen, clusters),
        }
    )
    r2 = {tuple(names[i] for i in s): float(data[:, c].mean()) for c, s in enumerate(subsets)}
    return Commonality(table, r2[names], r2, dof, chosen)


def _bootstrap_variance(
    x: Array,
    y: Array,
    member: NDArray[np.int64],
    subsets: Sequence[tuple[int, ...]],
    parts: Array,
    chosen: Over,
    bootstrap: int,
    rng: np.random.Generator,
) -> Array:
    """Corrected variances of parts, (subjects, parts) on the data."""
    n, k = n_from_pairs(x.shape[1]), len(y)
    if chosen != "stimuli" and k < 2:
        raise SpecError(f"one subject cannot be resampled: bootstrap with {argument('over', 'stimuli')}")
    if bootstrap < 2:
        raise SpecError(f"{argument('bootstrap')} is at least 2 here; got {bootstrap}")
    mix = _mixing(subsets, len(subsets[-1]))
    w, v = bootstrap_counts(n, bootstrap, rng), bootstrap_counts(k, bootstrap, rng)
    variances: dict[Over, Array] = {}
    if chosen != "subjects":
        w = w[(w > 0).sum(axis=1) >= min(n, len(x) + 3)]
        if len(w) < 2:
            raise DataError(f"{counted(n, 'stimuli', 'are')} too few to resample with {counted(len(x), 'models')}")
        sampled = _r2(x, y, member, subsets, w) @ mix.T  # (s, k, parts)
        variances["stimuli"] = sampled.mean(axis=1).var(axis=0, ddof=1)
        variances["both"] = (np.einsum("skp,sk->sp", sampled, v[: len(w)]) / k).var(axis=0, ddof=1)
    if chosen != "stimuli":
        variances["subjects"] = (v @ parts / k).var(axis=0, ddof=1)
    if chosen == "both":
        return corrected_dual_variance(
            variances["both"], variances["subjects"], variances["stimuli"], n_subjects=k, n_stimuli=n
        )
    return corrected_variance(variances[chosen], k if chosen == "subjects" else n)


def _held_out_r2(
    x: Array,
    y: Array,
    member: NDArray[np.int64],
    subsets: Sequence[tuple[int, ...]],
    fold: NDArray[np.int64],
    stimuli: NDArray[np.int64],
) -> Array:
    """R² in held-out folds of least squares in the others, over the folds together: (subjects, subsets).

    Squared errors follow from the inner products of the pairs of a fold, so no design is formed.
    """
    n = len(fold)
    z = np.concatenate([np.ones((1, x.shape[1])), _standard(x), _standard(y)])
    p = 1 + len(x)
    errors, spread = np.zeros((len(y), len(subsets))), np.zeros(len(y))
    for f in range(int(fold.max()) + 1):
        inside = pairs_of(stimuli[fold[stimuli] == f], n)
        train = inside if fold.max() == 0 else pairs_of(stimuli[fold[stimuli] != f], n)
        fitted, held = (z[:, kept] @ z[:, kept].T for kept in (train, inside))

        def squares(use: NDArray[np.int64], fitted: Array = fitted, held: Array = held) -> Array:
            b = np.linalg.pinv(fitted[np.ix_(use, use)], rcond=1e-10, hermitian=True) @ fitted[use, p:]
            of_y = np.diag(held)[p:] - 2 * np.einsum("ik,ik->k", b, held[use, p:])
            return np.asarray(of_y + np.einsum("ik,ij,jk->k", b, held[np.ix_(use, use)], b))

        spread += squares(np.array([0]))
        for c, subset in enumerate(subsets):
            errors[:, c] += squares(np.concatenate([[0], 1 + np.flatnonzero(np.isin(member, subset))]))
    return np.asarray(1 - errors / spread[:, None])


def _standard(vectors: Array) -> Array:
    return np.asarray((vectors - vectors.mean(axis=1, keepdims=True)) / vectors.std(axis=1, keepdims=True))


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
    z = _standard(np.concatenate([x, y]))
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
