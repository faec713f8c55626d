"""Which RDMs to compute: one job per site and timestep of a store, or per group of neuroids and time of responses."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr

from ...errors import DataError, SpecError, listed, unknown
from ...schema import NEUROID, STIMULUS_ID, STREAMS, TIMESTEP, parse_names, parse_timesteps, spelled_out

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


def jobs_of_store(
    acts: Mapping[str, xr.DataArray],
    sites: str | Iterable[str],
    timesteps: str | int | slice | Iterable[int],
    combine: Combine | None,
) -> list[Job]:
    """Jobs for the sites of a store, in the store's order."""
    if combine is not None and combine not in COMBINATIONS:
        raise unknown("combine", combine, COMBINATIONS)
    available = tuple(str(s) for s in getattr(acts, "sites", tuple(acts)))
    everything = isinstance(sites, str) and sites == "all"
    names = available if everything else parse_names(sites, available, "site")
    arrays = {name: acts[name] for name in names}
    steps = {name: _steps(name, array, timesteps, everything) for name, array in arrays.items()}
    ids = {name: tuple(str(s) for s in array[STIMULUS_ID].values) for name, array in arrays.items()}
    for name, own in ids.items():
        if len(set(own)) != len(own):
            raise DataError(f"{name}: stimulus ids repeat; repeats belong on a presentation dimension")
    jobs: list[Job] = []
    if combine == "concat_streams":
        jobs = _beside(arrays, steps, ids, named=not everything)
    else:
        for name, array in arrays.items():
            coords = _site_coords(name)
            if TIMESTEP not in array.dims:
                jobs.append(Job(name, name, (array,), ids[name], coords))
            elif combine == "mean_timesteps" and steps[name]:
                jobs.append(Job(name, name, (_at(array, steps[name]),), ids[name], coords))
            elif combine is None:
                for t in steps[name]:
                    part = _at(array, [t]).isel({TIMESTEP: 0})
                    jobs.append(Job(f"{name}@t{t}", name, (part,), ids[name], {**coords, TIMESTEP: t}))
    missing = [t for t in spelled_out(timesteps) if not any(int(t) in some for some in steps.values())]
    if missing and any(TIMESTEP in array.dims for array in arrays.values()):
        raise DataError(
            f"no chosen site ({listed(names)}) is active at timestep {listed(missing)}: it has no RDM there"
        )
    if not jobs:
        raise DataError(f"nothing to compute: no chosen site ({listed(names)}) is active at the chosen timesteps")
    return jobs


def _beside(
    arrays: Mapping[str, xr.DataArray], steps: Mapping[str, list[int]], ids: Mapping[str, tuple[str, ...]], *, named: bool,
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
            jobs.append(Job(f"{area}/{'+'.join(STREAMS)}@t{t}", area, parts, ids[both[0]], coords))
    return jobs


def _steps(name: str, array: xr.DataArray, timesteps: str | int | slice | Iterable[int], all_sites: bool) -> list[int]:
    """Timesteps of one site to use; constant ones are left out with a log line, or refused where asked for by name."""
    if TIMESTEP not in array.dims:
        return []
    own = [int(t) for t in array[TIMESTEP].values] if TIMESTEP in array.coords else list(range(array.sizes[TIMESTEP]))
    by_number = not (isinstance(timesteps, str) and timesteps == "all")
    wanted = list(parse_timesteps(timesteps, max(own) + 1)) if by_number else own
    status = array["status"].values if "status" in array.coords else ["active"] * len(own)
    state = {t: str(s) for t, s in zip(own, status, strict=True)}
    constant = [t for t in wanted if state.get(t) == "constant"]
    absent = [t for t in wanted if state.get(t, "absent") == "absent"]
    active = [t for t in wanted if state.get(t) == "active"]
    if not all_sites and (not active or (by_number and (constant or absent))):
        raise DataError(
            f"{name} is {'constant over stimuli' if constant else 'not active'} at timesteps "
            f"{listed(constant or absent)}: it has no RDM there; it is active at "
            f"{listed(t for t in own if state[t] == 'active') or 'none'}"
        )
    if constant:
        log.info("%s is constant over stimuli at timesteps %s: left out", name, listed(constant))
    return active


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
