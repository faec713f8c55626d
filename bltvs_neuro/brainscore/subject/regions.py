"""Which area of a model stands for which brain region: data, with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...errors import SpecError, listed, unknown
from ...foreign.text import read_json
from ...model import Network
from ...schema import Site
from .layers import is_layer
from .timeline import Timeline

REGIONS = ("V1", "V2", "V4", "IT")
"""Brain-Score's recording targets."""


@dataclass(frozen=True)
class RegionMap:
    """What stands for regions: region -> area of the model, or layer (:mod:`.layers`), and where the map comes from.

    Every area is also a region of its own name, unless a region has it. ``timestep`` is the one that is recorded, None for time
    courses.
    """

    areas: Mapping[str, str]
    source: str
    timestep: int | None = None
    described: Mapping[str, Any] = field(default_factory=dict)


def table() -> dict[str, Any]:
    """The maps and the timeline that come with the package (``regions.json``)."""
    return json.loads(files(__package__).joinpath("regions.json").read_text("utf-8"))


def region_map(which: str | Mapping[str, str], model: Network) -> RegionMap:
    """Choose what stands for regions; SpecError for an area that the model does not have.

    ``which`` is ``"anatomical"``, ``"published"``, the path of a JSON file ``{"V1": "V1", "IT": "LOC/bu+td@3"}``, or such a
    mapping: to areas, in the streams and at the timestep that are recorded, or to layers as they are.
    """
    maps = table()["maps"]
    timestep = None
    if isinstance(which, Mapping):
        given, source = dict(which), "given by the user"
    elif which in maps:
        timestep, source = maps[which]["timestep"], maps[which]["source"]
        # a region lists what models call the area that stands for it; the first that this model has is taken
        found = {region: [a for a in areas if a in model.areas] for region, areas in maps[which]["regions"].items()}
        given = {region: areas[0] for region, areas in found.items() if areas}
        if not given:
            raise SpecError(
                f"the region map {which!r} names no area of this model ({listed(model.areas, 24)}); pass a map of your "
                "own: {'IT': 'an area'}"
            )
    elif Path(which).suffix == ".json":
        given, source = read_map(Path(which)), f"file {Path(which).name}"
    else:
        raise unknown("region map", which, [*maps, "a file that ends in .json"])
    for region, area in given.items():
        if not isinstance(area, str) or not (area in model.areas or is_layer(area)):
            raise SpecError(f"region {region!r} is mapped to {area!r}; areas of this model: {listed(model.areas, 24)}")
    areas = {**given, **{area: area for area in model.areas if area not in given}}
    return RegionMap(areas, source, timestep, {"regions": given, "source": source, "timestep": timestep})


def default_timeline(model: Network) -> Timeline:
    """The timeline that ``regions.json`` states, for a model's number of timesteps and onset."""
    stated = table()["timeline"]
    areas = region_map("anatomical", model).areas if set(model.areas) & _stand_ins(stated["region"]) else {}
    area = areas.get(stated["region"], model.areas[-1])
    onset = model.onset(Site(area, "bu"))
    if onset is None:
        raise SpecError(f"no activity reaches {area} within the {model.timesteps} timesteps of this model")
    timeline = Timeline.anchored(onset, model.timesteps, tuple(stated["interval"]), tuple(stated["static"]))
    clocks = stated["clocks"].get(type(model).__name__, {"areas": {}})["areas"]
    return replace(timeline, clocks=tuple((area, float(start), float(step)) for area, (start, step) in clocks.items()))


def _stand_ins(region: str) -> set[str]:
    return set(table()["maps"]["anatomical"]["regions"][region])


def read_map(path: Path) -> dict[str, str]:
    """Read a region map from a JSON file; SpecError if it is none."""
    content = read_json(path, error=SpecError)
    if not isinstance(content, dict) or not content:
        raise SpecError(f'{path} is no region map; one is written {{"V1": "V1", "IT": "LOC"}}')
    return content
