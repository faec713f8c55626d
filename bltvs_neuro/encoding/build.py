"""Results from what a sweep found: labels of spaces, folds, rows and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..schema import AVERAGE, BAND, FOLD, NEUROID, PART, ROW, SPACE
from ..stats import adjust_p_values
from .result import EncodingResult, PartitionResult
from .scores.ceiling import normalise_r, normalise_r2
from .scores.score import mean_over_folds
from .sweep.partition import commonality
from .sweep.permutation import family_wise
from .sweep.plan import Plan
from .sweep.spaces import Space
from .sweep.targets import Targets


class Partition(NamedTuple):
    """What was fitted for one partition."""

    labels: dict[str, Any]
    spaces: dict[frozenset[str], Mapping[str, np.ndarray]]
    """Arrays of every combination of bands (:func:`bltvs_neuro.encoding.sweep.run.run_spaces`)."""
    useless: dict[str, Mapping[str, np.ndarray]]
    """Of each band, useless in simulated responses."""


def build_result(
    spaces: Sequence[Space],
    arrays: Sequence[Mapping[str, np.ndarray]],
    plan: Plan,
    attrs: Mapping[str, Any],
    *,
    ceiling: tuple[np.ndarray, np.ndarray | None] | None,
    ids: np.ndarray,
) -> EncodingResult:
    """Label what :func:`bltvs_neuro.encoding.sweep.run.run_spaces` gave; ``ids`` are the store's stimuli."""
    targets = plan.targets
    tail = (NEUROID, "time")[: len(targets.shape)]
    dataset = xr.Dataset(coords=_target_coords(plan), attrs=dict(attrs))
    dataset = dataset.assign_coords(**_space_coords([space.labels for space in spaces]))
    dataset = dataset.assign_coords(
        name=(SPACE, [space.name for space in spaces]),
        n_features=(SPACE, [int(a["n_features"].sum()) for a in arrays]),
        n_constant=(SPACE, [int(a["n_constant"].sum()) for a in arrays]),
        n_test=(FOLD, [len(fold.test) for fold in plan.folds]),
    )
    for key in ("r", "r2"):
        every = np.stack([spread(a[key], targets) for a in arrays])
        dataset[key] = ((SPACE, *tail), mean_over_folds(every, axis=1))
        dataset[f"{key}_fold"] = ((SPACE, FOLD, *tail), every)
        dataset[f"{key}_se"] = ((SPACE, *tail), np.stack([spread(a[f"{key}_se"], targets) for a in arrays]))
        dataset[f"influence_{key}"] = _influence([a[f"influence_{key}"] for a in arrays], plan, SPACE)
    inner = np.stack([spread(a["r2_inner"], targets) for a in arrays])
    if np.isfinite(inner).any():
        dataset["r2_inner"] = ((SPACE, FOLD, *tail), inner)
    dataset = dataset.assign_coords(_row_coords(plan, ids))
    dataset["alpha"] = ((SPACE, FOLD, *tail), np.stack([spread(a["alpha"], targets) for a in arrays]))
    if ceiling is not None:
        limits, influence = ceiling
        dataset["ceiling"] = (tail, limits)
        dataset["r_normalised"] = ((SPACE, *tail), normalise_r(dataset["r"].values, limits))
        dataset["r2_normalised"] = ((SPACE, *tail), normalise_r2(dataset["r2"].values, limits))
        if influence is not None:
            dataset["influence_ceiling"] = _influence(influence, plan)
    if "p_value" in arrays[0]:
        p = np.stack([spread(a["p_value"], targets) for a in arrays])
        dataset["p_value"], dataset["q_value"] = ((SPACE, *tail), p), ((SPACE, *tail), adjust_p_values(p, "fdr"))
        correction = "q_value: fdr"
        if plan.permutations.fwer:
            largest = np.stack([a["largest_r"] for a in arrays])
            dataset["p_fwer"] = ((SPACE, *tail), family_wise(dataset["r_fold"].values, largest))
            correction += "; p_fwer: largest r of each permutation"
        family = f"{len(arrays)} feature spaces x {int(np.isfinite(p[0]).sum())} targets"
        test = "permutation of stimuli, r above 0"
        dataset = dataset.assign_coords(test=test, family=family, correction=correction)
    if "gamma" in arrays[0]:
        bands = list(dict.fromkeys(member.band for space in spaces for member in space.members))
        dataset = dataset.assign_coords({BAND: bands})
        for key in ("gamma", "share"):
            every = np.full((len(spaces), len(bands), *targets.shape), np.nan)
            for i, (space, a) in enumerate(zip(spaces, arrays, strict=True)):
                at = [bands.index(member.band) for member in space.members]
                every[i, at] = spread(mean_over_folds(a[key]), targets)
            dataset[key] = ((SPACE, BAND, *tail), every)
    if "dual" in arrays[0]:
        dataset["dual"] = ((SPACE, ROW, *tail), np.stack([spread(a["dual"], targets) for a in arrays]))
        dataset["dual_alpha"] = ((SPACE, *tail), np.stack([spread(a["dual_alpha"], targets) for a in arrays]))
    return EncodingResult(dataset)


def build_partition(partitions: Sequence[Partition], plan: Plan, attrs: Mapping[str, Any]) -> PartitionResult:
    """Label commonalities of partitions."""
    targets = plan.targets
    tail = (NEUROID, "time")[: len(targets.shape)]
    every = [commonality({bands: found["r2"] for bands, found in one.spaces.items()}) for one in partitions]
    names = list(dict.fromkeys(" & ".join(sorted(part)) for parts in every for part in parts))
    shape = (len(partitions), len(names))
    variance = np.full((*shape, len(plan.folds), *targets.shape), np.nan)
    null, linear = variance.copy(), np.full(shape, np.nan)
    total = np.empty((len(partitions), *targets.shape))
    for i, (one, parts) in enumerate(zip(partitions, every, strict=True)):
        total[i] = spread(mean_over_folds(sum(parts.values())), targets)  # type: ignore[arg-type]
        for part, value in parts.items():
            variance[i, names.index(" & ".join(sorted(part)))] = spread(value, targets)
        for band, found in one.useless.items():
            k = names.index(band)
            null[i, k], linear[i, k] = spread(found["r2"], targets), found["linear"]
    dataset = xr.Dataset(coords=_target_coords(plan), attrs=dict(attrs))
    dataset = dataset.assign_coords(n_test=(FOLD, [len(fold.test) for fold in plan.folds]))
    dataset = dataset.assign_coords(**_space_coords([one.labels for one in partitions]), part=(PART, names))
    dataset["variance_fold"] = ((SPACE, PART, FOLD, *tail), variance)
    dataset["variance"] = ((SPACE, PART, *tail), mean_over_folds(variance, axis=2))
    dataset["useless_fold"] = ((SPACE, PART, FOLD, *tail), null)
    dataset["useless"] = ((SPACE, PART, *tail), mean_over_folds(null, axis=2))
    dataset["total"] = ((SPACE, *tail), total)
    dataset["linear"] = ((SPACE, PART), linear)
    return PartitionResult(dataset)


def spread(values: np.ndarray, targets: Targets) -> np.ndarray:
    """Values of the fitted targets (..., t) at their places among all, NaN elsewhere: (..., neuroid[, time])."""
    out = np.full((*values.shape[:-1], len(targets.status)), np.nan, values.dtype)
    out[..., targets.good] = values
    return out.reshape(*values.shape[:-1], *targets.shape)


def _influence(values: Any, plan: Plan, *dims: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Influences (..., rows, averages * times) as a variable (..., row, average[, time])."""
    made = np.asarray(values, np.float32)
    times = plan.targets.shape[1:]
    return (*dims, ROW, AVERAGE, *(("time",) if times else ())), made.reshape(*made.shape[:-1], -1, *times)


def _row_coords(plan: Plan, ids: np.ndarray) -> dict[str, Any]:
    """Of the rows that were predicted: stimulus, the group that stays together, the fold that tests it."""
    fold = np.empty(len(plan.targets.stimuli), np.int64)
    for f, (_, test) in enumerate(plan.folds):
        fold[test] = f
    stimuli = ids[plan.targets.stimuli].astype(str)
    return {
        "stimulus_id": (ROW, stimuli), "group": (ROW, plan.targets.groups), "tested_in": (ROW, fold),
        AVERAGE: plan.averages.names,
    }  # fmt: skip


def _target_coords(plan: Plan) -> dict[str, Any]:
    targets = plan.targets
    tail = (NEUROID, "time")[: len(targets.shape)]
    coords = {str(k): v for k, v in targets.template.coords.items() if set(v.dims) <= set(tail)}
    coords["status"] = (tail, targets.status.reshape(targets.shape))
    folds = np.zeros(len(targets.status), np.int64)
    folds[targets.good] = plan.scored.sum(axis=0)
    coords["n_folds"] = (tail, folds.reshape(targets.shape))
    return coords


def _space_coords(labels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    keys = [key for key in ("area", "stream", "timestep") if all(key in entry for entry in labels)]
    return {key: (SPACE, np.array([entry[key] for entry in labels])) for key in keys}
