"""Which RDMs to compute: one job per site and timestep of a store, or per group of neuroids and time of responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr

from ...errors import DataError, SpecError, listed, unknown
from ...features.select import Select, Selection, at_moment, by_site, select, statuses_of
from ...schema import NEUROID, STIMULUS_ID, STREAMS, TIMESTEP, spelled_out

log = logging.getLogger(__name__)

Combine = Literal["mean_timesteps", "concat_streams"]
COMBINATIONS: tuple[Combine, ...] = ("mean_timesteps", "concat_streams")


@dataclass(frozen=True)
class Job:
    """One RDM to compute."""

    name: str
    site: str
    parts: tuple[xr.DataArray, ...]
    stimulus_ids: tuple[str, ...]
    coords: Mapping[str, Any] = field(default_factory=dict)


def jobs_of_store(acts: Mapping[str, xr.DataArray], sites: Selection, combine: Combine | None) -> list[Job]:
    """Jobs for the sites of a store, in the store's order; what is the same for every stimulus is left out.

    Raises
    ------
    SpecError
        A name that does not exist, or what was named and has no RDM; see :func:`bltvs_neuro.features.select.select`.
    """
    if combine is not None and combine not in COMBINATIONS:
        raise unknown("combine", combine, COMBINATIONS)
    if all(TIMESTEP not in array.dims for array in acts.values()):
        return [Job(name, name, (array,), _ids(name, array), _site_coords(name)) for name, array in acts.items()]
    chosen = select(sites, statuses_of(acts), constant=False)
    if chosen.left_out:
        log.info("%s are constant over stimuli: left out", listed(chosen.left_out))
    steps = by_site(chosen.moments)
    arrays = {name: acts[name] for name in steps}
    ids = {name: _ids(name, array) for name, array in arrays.items()}
    if combine == "concat_streams":
        jobs = _beside(arrays, steps, ids, named=bool(spelled_out(Select.read(sites).areas)))
    elif combine == "mean_timesteps":
        jobs = [Job(name, name, (_at(a, steps[name]),), ids[name], _site_coords(name)) for name, a in arrays.items()]
    else:
        jobs = [
            Job(str(one), one.site, (at_moment(acts, one),), ids[one.site], {**_site_coords(one.site), TIMESTEP: one.timestep})
            for one in chosen.moments
        ]  # fmt: skip
    if not jobs:
        raise DataError(f"nothing to compute: no chosen area has both streams ({listed(steps)})")
    return jobs


def _ids(name: str, array: xr.DataArray) -> tuple[str, ...]:
    own = tuple(str(s) for s in array[STIMULUS_ID].values)
    if len(set(own)) != len(own):
        raise DataError(f"{name}: stimulus ids repeat; repeats belong on a presentation dimension")
    return own


def _beside(
    arrays: Mapping[str, xr.DataArray], steps: Mapping[str, Sequence[int]], ids: Mapping[str, tuple[str, ...]], *, named: bool,
) -> list[Job]:  # fmt: skip
    """Both streams of an area side by side, at timesteps where both are active."""
    areas = dict.fromkeys(name.partition("/")[0] for name in arrays)
    jobs: list[Job] = []
    for area in areas:
        both = [f"{area}/{stream}" for stream in STREAMS]
        if not all(site in arrays for site in both):
            found = listed(s for s in both if s in arrays)
            if named:
                raise DataError(f"{area}: both streams are needed side by side; chosen are {found}")
            log.info("%s is left out: both streams are needed, found %s", area, found)
            continue
        if ids[both[0]] != ids[both[1]]:
            raise DataError(f"the two streams of {area} have different stimuli")
        for t in [t for t in steps[both[0]] if t in steps[both[1]]]:
            parts = tuple(_at(arrays[site], [t]).isel({TIMESTEP: 0}) for site in both)
            coords = {"area": area, "stream": "+".join(STREAMS), TIMESTEP: t}
            jobs.append(Job(f"{area}/{'+'.join(STREAMS)}@{t}", area, parts, ids[both[0]], coords))
    return jobs


def _at(array: xr.DataArray, steps: Sequence[int]) -> xr.DataArray:
    own = [int(t) for t in array[TIMESTEP].values] if TIMESTEP in array.coords else list(range(array.sizes[TIMESTEP]))
    return array.isel({TIMESTEP: [own.index(t) for t in steps]})


def _site_coords(name: str) -> dict[str, Any]:
    area, _, stream = name.partition("/")
    return {"area": area, "stream": stream} if stream in STREAMS else {}


def jobs_of_response(responses: xr.DataArray, by: Sequence[str]) -> list[Job]:
    """Jobs for responses (presentation, neuroid[, time]), one per combination of the neuroid coordinates ``by``."""
    if STIMULUS_ID not in responses.coords:
        raise DataError("responses need the coordinate stimulus_id on their presentations")
    for name in by:
        if name not in responses.coords or responses[name].dims != (NEUROID,):
            have = [str(c) for c in responses.coords if responses[c].dims == (NEUROID,)]
            raise unknown("neuroid coordinate", name, have)
    if responses.sizes[NEUROID] == 0 or not len(responses):
        raise SpecError(f"the responses are empty: {dict(responses.sizes)}")
    ids = tuple(str(s) for s in responses[STIMULUS_ID].values)
    keys = (
        list(zip(*(responses[name].values.tolist() for name in by), strict=True))
        if by
        else [()] * len(responses[NEUROID])
    )
    times = responses["time"].values.tolist() if "time" in responses.dims else [None]
    jobs = []
    for key in dict.fromkeys(keys):
        chosen = responses.isel({NEUROID: np.flatnonzero([k == key for k in keys])}) if by else responses
        for i, time in enumerate(times):
            part = chosen if time is None else chosen.isel(time=i)
            coords = dict(zip(by, key, strict=True)) | ({} if time is None else {"time": time})
            name = " ".join([*map(str, key), *([] if time is None else [f"{time:g} s"])]) or str(
                responses.name or "array"
            )
            jobs.append(Job(name, name, (part,), ids, coords))
    return jobs
