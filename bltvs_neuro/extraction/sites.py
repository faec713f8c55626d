"""What to record: from the user's words to the states of the unrolled network."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..errors import SpecError, listed
from ..model import Network, State
from ..schema import Site, parse_names, parse_timesteps, spelled_out

log = logging.getLogger(__name__)

Selection = str | Iterable[str]
Timesteps = str | int | slice | Iterable[int]


def select_states(
    model: Network, areas: Selection = "all", streams: Selection = "all", timesteps: Timesteps = "all"
) -> tuple[State, ...]:
    """Choose states that exist.

    Parameters
    ----------
    model : Network
    areas : str or iterable of str
        ``"all"``, ``"V4"``, ``"V1:LOC"`` (both ends included) or names.
    streams : str or iterable of str
        ``"bu"``, ``"td"``, or all that the model has.
    timesteps : str, int, slice or iterable of int
        ``"all"``, ``"0:6"`` (half-open), ``"0,2"``, or ints.

    Returns
    -------
    tuple of State
        By area, stream and timestep. What activity has not reached is absent; a warning says which areas of a range, or
        sites at timesteps that were named, are.

    Raises
    ------
    SpecError
        An area, stream or timestep that the model does not have, or that was named and that activity does not reach.
    """
    chosen_areas = parse_names(areas, model.areas, "area")
    chosen_streams = parse_names(streams, model.streams, "stream")
    chosen_timesteps = parse_timesteps(timesteps, model.timesteps)
    states = tuple(
        state
        for state in model.states()
        if state.area in chosen_areas and state.stream in chosen_streams and state.timestep in chosen_timesteps
    )
    found: dict[str, set[str]] = {"area": {s.area for s in states}, "stream": {s.stream for s in states},
             "timestep": {str(s.timestep) for s in states}}  # fmt: skip
    named = {"area": spelled_out(areas), "stream": spelled_out(streams), "timestep": spelled_out(timesteps)}
    gone = [
        f"{what} {listed(missing)}"
        for what, names in named.items()
        if (missing := [name for name in names if name not in found[what]])
    ]
    if gone or not states:
        raise SpecError(
            f"nothing to record of {' and of '.join(gone) or 'what was chosen'}: no activity reaches areas {areas!r} in "
            f"streams {streams!r} at timesteps {timesteps!r}; {_onsets(model, chosen_areas)}"
        )
    _warn(model, states, chosen_areas, named["timestep"])
    return states


def _warn(model: Network, states: tuple[State, ...], areas: tuple[str, ...], named: tuple[str, ...]) -> None:
    """Say which areas of a range, and which sites at timesteps that were named, are not there."""
    sites = by_site(states)
    gone = [area for area in areas if area not in {site.area for site in sites}]
    gone += [f"{site}@{t}" for site, there in sites.items() for t in named if int(t) not in there]
    if gone:
        log.warning("no activity reaches %s, so that they are not recorded; %s", listed(gone), _onsets(model, areas))


def _onsets(model: Network, areas: tuple[str, ...]) -> str:
    onsets = (f"{area} {model.onset(Site(area, 'bu'))}" for area in areas)
    return f"onsets in the {model.schedule_name} schedule: {', '.join(onsets)}"


def by_site(states: Iterable[State]) -> dict[Site, tuple[int, ...]]:
    """Group states into the timesteps of each site."""
    grouped: dict[Site, list[int]] = {}
    for state in states:
        grouped.setdefault(Site(state.area, state.stream), []).append(state.timestep)
    return {site: tuple(timesteps) for site, timesteps in grouped.items()}
