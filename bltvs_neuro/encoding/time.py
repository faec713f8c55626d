"""Model timesteps against neural time: score matrices, and how far a mapping generalises over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..errors import SpecError, listed
from ..schema import NEUROID, TIMESTEP
from .fit import Choose, make_attrs, make_plan
from .result import SPACE, EncodingResult, spread
from .ridge import Dtype
from .spaces import choose_members, single_spaces, stimulus_ids
from .sweep import predict_folds
from .targets import BadTargets, OnMismatch, Repetitions, prepare_targets


def score_matrix(result: EncodingResult, score: str = "r", *, per_neuroid: bool = False) -> xr.DataArray:
    """Scores as a matrix of model timestep x neural time, for each area and stream.

    Parameters
    ----------
    result : EncodingResult
        Of responses with time, with one feature space per site and timestep.
    score : str
        A quantity over space, neuroid and time, such as ``"r"`` or ``"r2_normalised"``.
    per_neuroid : bool
        Keep neuroids apart instead of averaging over those with a score.

    Returns
    -------
    DataArray with dims (site, timestep, time), or (site, timestep, time, neuroid)
        ``time`` in seconds, ``site`` such as ``"V4/td"``; NaN where a site has not reached a timestep.
    """
    array = result[score]
    if array.dims != (SPACE, NEUROID, "time"):
        raise SpecError(f"a score matrix needs scores over space, neuroid and time; {score} has {array.dims}")
    missing = [key for key in ("area", "stream", "timestep") if key not in array.coords]
    if missing:
        raise SpecError(f"a score matrix needs a space per site and timestep; these join their {listed(missing)}")
    names = [f"{a}/{s}" for a, s in zip(array["area"].values, array["stream"].values, strict=True)]
    sites, steps = list(dict.fromkeys(names)), sorted({int(t) for t in array["timestep"].values})
    out = np.full((len(sites), len(steps), array.sizes["time"], array.sizes[NEUROID]), np.nan)
    for i, (name, step) in enumerate(zip(names, array["timestep"].values, strict=True)):
        out[sites.index(name), steps.index(int(step))] = array.values[i].T  # (neuroid, time) -> (time, neuroid)
    coords = {"site": sites, TIMESTEP: steps, "time": array["time"].values}
    dims = ("site", TIMESTEP, "time", NEUROID)
    if per_neuroid:
        kept = {k: v for k, v in array.coords.items() if v.dims == (NEUROID,)}
        return xr.DataArray(out, dims=dims, coords={**coords, **kept}, name=score)
    return xr.DataArray(_nanmean(out), dims=dims[:3], coords=coords, name=score)


def temporal_generalisation(
    acts: Mapping[str, Any],
    responses: xr.DataArray,
    site: str,
    timestep: int,
    *,
    groups: str | tuple[str, ...] = "stimulus_id",
    repetitions: Repetitions = "average",
    on_mismatch: OnMismatch = "raise",
    bad_targets: BadTargets = "mark",
    cv: int = 5,
    inner_cv: int = 5,
    solver: Literal["ridge", "pls", "ols"] = "ridge",
    by: Choose = "auto",
    alphas: Sequence[float] | np.ndarray | None = None,
    n_components: int = 25,
    memory: int | str = "2GiB",
    dtype: Dtype = "float32",
    device: str | None = None,
    seed: int = 0,
) -> xr.DataArray:
    """Train a mapping at one neural time and test it at all others.

    Parameters
    ----------
    acts, responses, groups, ...
        As :func:`bltvs_neuro.encoding.fit_encoding`; responses have a time axis.
    site : str
        ``"V4/td"``.
    timestep : int
        Of the model.

    Returns
    -------
    DataArray with dims (neuroid, time_train, time_test)
        Pearson r, mean over folds, between the prediction of the mapping fitted at ``time_train`` and the responses at
        ``time_test`` (seconds). The diagonal equals ``fit_encoding``'s r.

    References
    ----------
    King & Dehaene (2014), doi:10.1016/j.tics.2014.01.002
    """
    if "time" not in responses.dims:
        raise SpecError("temporal generalisation needs responses with time")
    members, left_out = choose_members(acts, [site], [int(timestep)])
    spaces = single_spaces(members)
    ids = stimulus_ids(acts, members)
    targets = prepare_targets(
        responses, ids, groups=groups, repetitions=repetitions, on_mismatch=on_mismatch, bad_targets=bad_targets
    )
    options = {
        "by": by, "alphas": alphas, "n_components": n_components, "n_iter": 1, "dtype": dtype, "seed": seed,
        "on_edge": "ignore", "device": device, "cv": cv, "inner_cv": inner_cv, "solver": solver, "scale": "none",
        "transform": None, "weights": "none", "n_permutations": 0, "memory": memory,
    }  # fmt: skip
    plan, spec = make_plan(targets, spaces, acts, options)
    n_neuroids, n_times = targets.shape
    total = np.zeros((n_neuroids, n_times, n_times))
    for fold, prediction in zip(plan.folds, predict_folds(acts, spaces[0], plan), strict=True):
        # (rows, neuroid * time) -> (neuroid, rows, time), unit length over rows
        truth = _unit(spread(targets.values[fold.test], targets))
        guess = _unit(spread(prediction, targets))
        total += guess.transpose(0, 2, 1) @ truth
    coords = {str(k): v for k, v in targets.template.coords.items() if v.dims == (NEUROID,)}
    seconds = responses["time"].values
    return xr.DataArray(
        total / len(plan.folds),
        dims=(NEUROID, "time_train", "time_test"),
        coords={**coords, "time_train": seconds, "time_test": seconds},
        name="r",
        attrs=make_attrs(acts, responses, spec, targets, left_out),
    )


def _unit(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    size = np.sqrt((values**2).sum(axis=0))
    # a constant prediction tells nothing (0); what was not fitted stays NaN
    return (values / np.where(size > 0, size, 1)).transpose(1, 0, 2)


def _nanmean(values: np.ndarray) -> np.ndarray:
    good = np.isfinite(values)
    count = good.sum(axis=-1)
    return np.where(count > 0, np.where(good, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)
