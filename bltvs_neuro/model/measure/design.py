"""Why BLT_VS is as it is: the receptive fields and neuron counts of human areas that its table of areas follows.

The numbers are those of the original's notes on its design, but for one: they say that LOC needs 93 px at 224 px,
where its 2.48 degrees are 111 px (and the 63 px that they give for 128 px are right). Neuron counts are rough
estimates of pyramidal neurons (ganglion and relay cells in Retina and LGN) for the central 5 degrees.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from ..blt_vs.areas import DEGREES_PER_IMAGE, areas_for, receptive_fields

CHANNELS_PER_UNIT = 32
"""Channels of an area whose relative scale is 1."""
UNIT_NEURONS = 150_000
"""Neurons that count as 1: half of the retina's."""
LAYERS_MODELLED = 0.5
"""Share of an area's pyramidal neurons in the two pathways that the model has."""


class AreaDesign(NamedTuple):
    """What one area was designed to.

    ``degrees`` is the receptive field at 2.5 degrees eccentricity, of which ``source`` is the DOI: the original's notes call
    these radii and use them as extents, so that a field of d degrees needs d / 5 of the image. ``neurons`` are those dedicated
    to the central 5 degrees.
    """

    area: str
    degrees: float
    neurons: int
    source: str


DESIGN: tuple[AreaDesign, ...] = (
    AreaDesign("Retina", 0.18, 300_000, "10.1016/0042-6989(94)E0066-T"),
    AreaDesign("LGN", 0.40, 450_000, "10.1523/JNEUROSCI.22-01-00338.2002"),
    AreaDesign("V1", 0.75, 98_000_000, "10.1523/JNEUROSCI.2572-11.2011"),
    AreaDesign("V2", 0.80, 68_600_000, "10.1523/JNEUROSCI.2572-11.2011"),
    AreaDesign("V3", 1.37, 39_200_000, "10.1523/JNEUROSCI.2572-11.2011"),
    AreaDesign("V4", 1.85, 19_600_000, "10.1523/JNEUROSCI.2572-11.2011"),
    AreaDesign("LOC", 2.48, 39_200_000, "10.1523/JNEUROSCI.2572-11.2011"),
)


def relative_scale(design: AreaDesign) -> tuple[float, int]:
    """Scale an area's neurons against the retina's: how many times :data:`UNIT_NEURONS`, and the square root, rounded.

    The root is how many times :data:`CHANNELS_PER_UNIT` channels. Of a cortical area :data:`LAYERS_MODELLED` of its neurons
    count; Retina and LGN have 1.

    Examples
    --------
    >>> relative_scale(DESIGN[2])
    (326.6666666666667, 18)
    """
    if design.area in ("Retina", "LGN"):
        return 1.0, 1
    neurons = LAYERS_MODELLED * design.neurons / UNIT_NEURONS
    return neurons, round(neurons**0.5)


def design_table(image_size: int = 224) -> pd.DataFrame:
    """Put the design beside what the areas have, one row per area, Readout last.

    ``neurons``, ``relative`` (neurons against the unit), ``scale`` (its square root), ``channels``; ``needed`` and ``got``
    (receptive fields, pixels), ``degrees``, ``stride`` and ``units``.
    """
    rows = []
    designs = {design.area: design for design in DESIGN}
    for area, field in zip(areas_for(image_size), receptive_fields(image_size), strict=True):
        row = {
            "area": area.name, "channels": area.channels, "got": field.size, "degrees": field.degrees,
            "stride": field.stride, "units": field.units,
        }  # fmt: skip
        if area.name in designs:
            relative, scale = relative_scale(designs[area.name])
            needed = designs[area.name].degrees * image_size / DEGREES_PER_IMAGE
            row |= {"neurons": designs[area.name].neurons, "relative": relative, "scale": scale, "needed": needed}
        rows.append(row)
    columns = ["area", "neurons", "relative", "scale", "channels", "needed", "got", "degrees", "stride", "units"]
    return pd.DataFrame(rows).reindex(columns=columns)
