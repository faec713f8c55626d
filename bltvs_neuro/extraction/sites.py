"""What to record: from the user's words to the states of the unrolled network."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..errors import listed
from ..features.select import Select, Selection, chosen_areas, select
from ..model import Network, State
from ..schema import Site, Status, spelled_out

log = logging.getLogger(__name__)


def select_states(model: Network, sites: Selection = Select()) -> tuple[State, ...]:
    """Choose the states that ``sites`` names (:mod:`bltvs_neuro.features.select`), by area, stream and timestep.

    Unless areas are named, the model's usual ones are taken. What activity has not reached is left out, with a warning
    where it lies within a range. SpecError for what the model does not have, or what was named and is not reached.
    """
    asked = Select.read(sites, model.usual_areas)
    known: dict[str, dict[int, Status]] = {f"{area}/{stream}": {} for area in model.areas for stream in model.streams}
    for state in model.states():
        known[f"{state.area}/{state.stream}"][state.timestep] = "active"
    chosen = set(select(asked, known, steps=model.timesteps).moments)
    states = tuple(s for s in model.states() if (f"{s.area}/{s.stream}", s.timestep) in chosen)
    _warn(model, states, asked)
    return states


def _warn(model: Network, states: tuple[State, ...], asked: Select) -> None:
    """Say which areas of a range, and which sites at timesteps that were named, are not there."""
    sites = by_site(states)
    areas = chosen_areas(asked, model.areas)
    gone = [area for area in areas if area not in {site.area for site in sites}]
    gone += [
        f"{site}@{t}" for site, there in sites.items() for t in spelled_out(asked.timesteps) if int(t) not in there
    ]
    if gone:
        onsets = ", ".join(f"{area} {model.onset(Site(area, 'bu'))}" for area in areas)
        log.warning(
            "no activity reaches %s, so that they are not recorded; onsets in the %s schedule: %s",
            listed(gone), model.schedule_name, onsets,
        )  # fmt: skip


def by_site(states: Iterable[State]) -> dict[Site, tuple[int, ...]]:
    """Group states into the timesteps of each site."""
    grouped: dict[Site, list[int]] = {}
    for state in states:
        grouped.setdefault(Site(state.area, state.stream), []).append(state.timestep)
    return {site: tuple(timesteps) for site, timesteps in grouped.items()}
