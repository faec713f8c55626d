"""What to record: from the user's words to the states of the unrolled network."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import SpecError
from ..model import Network, State
from ..schema import Site, parse_names, parse_timesteps

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
        By area, stream and timestep. What activity has not reached is absent.

    Raises
    ------
    SpecError
        An area, stream or timestep that the model does not have.
    """
    chosen_areas = parse_names(areas, model.areas, "area")
    chosen_streams = parse_names(streams, model.streams, "stream")
    chosen_timesteps = parse_timesteps(timesteps, model.timesteps)
    return tuple(
        state
        for state in model.states()
        if state.area in chosen_areas and state.stream in chosen_streams and state.timestep in chosen_timesteps
    )


def by_site(states: Iterable[State]) -> dict[Site, tuple[int, ...]]:
    """Group states into the timesteps of each site."""
    grouped: dict[Site, list[int]] = {}
    for state in states:
        grouped.setdefault(Site(state.area, state.stream), []).append(state.timestep)
    return {site: tuple(timesteps) for site, timesteps in grouped.items()}


def require_states(model: Network, states: tuple[State, ...], areas: Selection, timesteps: Timesteps) -> None:
    """Raise SpecError, with the onsets, when nothing of what was asked for exists."""
    if not states:
        onsets = ", ".join(f"{area} {model.onset(Site(area, 'bu'))}" for area in model.areas)
        raise SpecError(
            f"nothing to record: no activity reaches areas {areas!r} at timesteps {timesteps!r} "
            f"(onsets in the {model.schedule_name} schedule: {onsets})"
        )
