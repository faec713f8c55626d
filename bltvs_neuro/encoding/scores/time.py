"""Model timesteps against neural time: score matrices, and how far a mapping generalises over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ...errors import SpecError, listed
from ...features.folds import Folds
from ...features.stores import Activations, store_of
from ...options import Run
from ...schema import NEUROID, SPACE, TIMESTEP
from ..build import spread
from ..fit import prepare
from ..result import EncodingResult, Generalisation
from ..solvers.estimators import BandedRidge, Ridge, Solver
from ..sweep.plan import Asked
from ..sweep.run import predict_folds
from ..sweep.spaces import Member, choose_members, single_spaces
from .score import mean_of_finite


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
    names = [f"{a}/{s}" if s else str(a) for a, s in zip(array["area"].values, array["stream"].values, strict=True)]
    sites, steps = list(dict.fromkeys(names)), sorted({int(t) for t in array["timestep"].values})
    out = np.full((len(sites), len(steps), array.sizes["time"], array.sizes[NEUROID]), np.nan)
    for i, (name, step) in enumerate(zip(names, array["timestep"].values, strict=True)):
        out[sites.index(name), steps.index(int(step))] = array.values[i].T  # (neuroid, time) -> (time, neuroid)
    coords = {"site": sites, TIMESTEP: steps, "time": array["time"].values}
    dims = ("site", TIMESTEP, "time", NEUROID)
    if per_neuroid:
        kept = {k: v for k, v in array.coords.items() if v.dims == (NEUROID,)}
        return xr.DataArray(out, dims=dims, coords={**coords, **kept}, name=score)
    return xr.DataArray(mean_of_finite(out), dims=dims[:3], coords=coords, name=score)


def temporal_generalisation(
    acts: Activations,
    responses: xr.DataArray,
    site: str,
    *,
    solver: Solver = Ridge(on_edge="ignore"),
    cv: Folds = Folds(),
    run: Run = Run(),
) -> Generalisation:
    """Train a mapping at one neural time and test it at all others.

    Parameters
    ----------
    acts, responses, solver, cv, run
        As :func:`bltvs_neuro.encoding.fit_encoding`; responses have a time axis.
    site : str
        A site at a timestep of the model: ``"V4/td@3"``.

    Returns
    -------
    Generalisation
        ``r`` (neuroid, time_train, time_test): Pearson r, mean over folds, between the prediction of the mapping fitted at
        ``time_train`` and the responses at ``time_test`` (seconds). The diagonal equals ``fit_encoding``'s r.

    References
    ----------
    King & Dehaene (2014), doi:10.1016/j.tics.2014.01.002
    """
    if isinstance(solver, BandedRidge):
        raise SpecError(f"a mapping of one site has one band; got solver {solver!r}")
    acts = store_of(acts)
    members, left_out = check_generalisation(acts, responses, site)
    sweep = prepare(acts, responses, members, single_spaces(members), left_out, Asked(solver, cv, run))
    plan, targets = sweep.plan, sweep.plan.targets
    n_neuroids, n_times = targets.shape
    total = np.zeros((n_neuroids, n_times, n_times))
    count = np.zeros((n_neuroids, 1, n_times))
    for f, prediction in enumerate(predict_folds(acts, sweep.spaces[0], plan)):
        fold = plan.folds[f]
        # (rows, neuroid * time) -> (neuroid, rows, time), unit length over rows
        truth = _unit(spread(targets.values[fold.test], targets))
        guess = _unit(spread(prediction, targets))
        scored = spread(plan.scored[f], targets)  # (neuroid, time): whether r is defined
        count += np.nan_to_num(scored)[:, None, :]
        total += np.where(
            scored[:, None, :] == 1, guess.transpose(0, 2, 1) @ truth, np.where(np.isnan(scored[:, None, :]), np.nan, 0)
        )
    coords = {str(k): v for k, v in targets.template.coords.items() if v.dims == (NEUROID,)}
    seconds = responses["time"].values
    r = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Generalisation(
        xr.Dataset(
            {"r": ((NEUROID, "time_train", "time_test"), r)},
            coords={**coords, "time_train": seconds, "time_test": seconds},
            attrs=sweep.attrs,
        )
    )


def check_generalisation(acts: Mapping[str, Any], responses: xr.DataArray, site: str) -> tuple[list[Member], list[str]]:
    """The one feature space of a generalisation; SpecError where :func:`temporal_generalisation` has nothing to work on."""
    if "time" not in responses.dims:
        raise SpecError("temporal generalisation needs responses with time; these have none")
    members, left_out = choose_members(acts, site)
    if len(members) != 1:
        raise SpecError(
            f"a generalisation is of one site at one timestep, such as 'V4/td@3'; {site!r} is {listed(members)}"
        )
    return members, left_out


def _unit(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    size = np.sqrt((values**2).sum(axis=0))
    # a constant prediction tells nothing (0); what was not fitted stays NaN
    return (values / np.where(size > 0, size, 1)).transpose(1, 0, 2)
