"""The names of layers that Brain-Score may ask for, and the states of the model each stands for.

=====================  ================================================================================
``taps.V4.td.3``       one area, stream and timestep: the dotted name of the module itself
``V4/bu+td``           a time course, both streams side by side
``V4/td@70-170``       the mean over 70 to 170 ms
``V4/bu+td@3``         one timestep
``logits``             what the model says at its last timestep
=====================  ================================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import SpecError, unknown
from ...model import Network, State
from ...schema import Site, Stream
from .timeline import Bin, Timeline

LOGITS = "logits"
_SITES = re.compile(r"(?P<area>[^/@]+)/(?P<streams>[a-z]+(?:\+[a-z]+)*)(?:@(?P<when>.+))?")
_WINDOW = re.compile(r"(?P<start>-?[0-9.]+)-(?P<end>[0-9.]+)")
_TAP = re.compile(r"taps\.(?P<area>.+)\.(?P<stream>[a-z]+)\.(?P<timestep>[0-9]+)")


@dataclass(frozen=True)
class Layer:
    """A layer and what it is computed from.

    ``sites`` lie side by side along neuroids. ``moments`` are timesteps with their weights, one mapping for each of ``bins``
    (milliseconds), or a single one where the layer has no time.
    """

    name: str
    sites: tuple[Site, ...]
    moments: tuple[dict[int, float], ...]
    bins: tuple[Bin, ...] | None = None

    def states(self) -> set[State]:
        """Every state it takes."""
        return {State(*site, t) for site in self.sites for moment in self.moments for t in moment}


def site_layer(area: str, streams: tuple[Stream, ...], timestep: int | None) -> str:
    """Name of a layer: ``"V4/bu+td"``, with a timestep behind an ``@``."""
    return f"{area}/{'+'.join(streams)}" + ("" if timestep is None else f"@{timestep}")


def is_layer(name: str) -> bool:
    """Whether a name is written like a layer, as areas are not."""
    return bool(_TAP.fullmatch(name) or _SITES.fullmatch(name))


def window_name(window: Bin) -> str:
    """``"70-170"``."""
    return f"{window[0]:g}-{window[1]:g}"


def find_layer(name: str, model: Network, timeline: Timeline) -> Layer:
    """Find the states that a layer's name stands for, see the module's table; ``logits`` is not computed from states.

    A time course has the timesteps at which every site exists and at least one differs between stimuli.
    """
    tap = _TAP.fullmatch(name)
    if tap:
        return _at_timestep(name, (Site.parse(f"{tap['area']}/{tap['stream']}"),), int(tap["timestep"]), model)
    match = _SITES.fullmatch(name)
    if not match:
        raise SpecError(
            f"No submodule found for layer {name!r}; layers are written 'taps.V4.td.3', 'V4/bu+td', 'V4/td@70-170', "
            f"'V4/td@3' or {LOGITS!r}"
        )
    if match["area"] not in model.areas:
        raise unknown("area", match["area"], model.areas)
    sites = tuple(Site.parse(f"{match['area']}/{stream}") for stream in match["streams"].split("+"))
    if len(set(sites)) < len(sites):
        raise SpecError(f"layer {name!r} names a stream twice")
    timesteps, clock = varying_timesteps(sites, model), timeline.of(match["area"])
    when = match["when"]
    if when is None:
        return Layer(name, sites, tuple({t: 1.0} for t in timesteps), tuple(clock.bins(timesteps)))
    if re.fullmatch(r"[0-9]+", when):
        return _at_timestep(name, sites, int(when), model)
    window = _WINDOW.fullmatch(when)
    if not window:
        raise SpecError(f"layer {name!r}: after the @ comes a window in milliseconds ('70-170') or a timestep ('3')")
    return Layer(name, sites, (clock.weights((float(window["start"]), float(window["end"])), timesteps),))


def varying_timesteps(sites: tuple[Site, ...], model: Network) -> tuple[int, ...]:
    """Timesteps at which every site exists and at least one of them differs between stimuli."""
    exist = {site: set(model.timesteps_of(site)) for site in sites}
    if never := [site for site, timesteps in exist.items() if not timesteps]:
        raise SpecError(f"{never[0]} is never active in this model")
    common = sorted(set.intersection(*exist.values()))
    varying = tuple(t for t in common if not all(model.is_constant(State(*site, t)) for site in sites))
    if not varying:
        raise SpecError(f"{' and '.join(map(str, sites))} never differ between stimuli in this model")
    return varying


def _at_timestep(name: str, sites: tuple[Site, ...], timestep: int, model: Network) -> Layer:
    for site in sites:
        model.tap_name(site, timestep)  # refuses what does not exist
    return Layer(name, sites, ({timestep: 1.0},))
