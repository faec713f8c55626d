"""The areas of BLT_VS as a table, and what follows from the table: channels, map sizes, receptive fields.

The numbers are the design of KietzmannLab's BLT_VS: kernels and strides match the mean receptive fields of the
human areas for an image shown at 5 degrees of visual angle; channels follow the square root of neuron counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from ...errors import SpecError, unknown

DEGREES_PER_IMAGE = 5.0
"""Visual angle that the design assumes for one image, whatever its size in pixels."""


@dataclass(frozen=True)
class Area:
    """One area: its bottom-up kernel, and which recurrent connections end in it.

    ``kernel`` and ``stride`` are in units of the area below; ``channels`` is None for the Readout, whose channels are classes
    plus additional features. Both streams' lateral connections have ``lateral_kernel``, None where there are none.
    ``feedback``: whether the area above sends top-down activity here. ``skip_bu`` and ``skip_td`` are source area and kernel of a
    long-range connection into a stream.
    """

    name: str
    kernel: int
    stride: int
    channels: int | None
    lateral_kernel: int | None = None
    feedback: bool = True
    skip_bu: tuple[str, int] | None = None
    skip_td: tuple[str, int] | None = None

    @property
    def padding(self) -> int:
        """Of the bottom-up convolution: half the kernel, so that maps shrink by the stride alone."""
        return (self.kernel - 1) // 2


def _areas(kernels: tuple[int, ...], lateral: int, skip: int) -> tuple[Area, ...]:
    retina, lgn, v1, v2, v3, v4, loc, readout = kernels
    return (
        Area("Retina", retina, 2, 32, feedback=False),
        Area("LGN", lgn, 2, 32),
        Area("V1", v1, 2, 576, lateral, skip_td=("V4", 3)),
        Area("V2", v2, 1, 480, lateral),
        Area("V3", v3, 1, 352, lateral),
        Area("V4", v4, 1, 256, lateral, skip_bu=("V1", skip)),
        Area("LOC", loc, 2, 352, lateral),
        Area("Readout", readout, 2, None, feedback=False),
    )


AREAS: dict[int, tuple[Area, ...]] = {
    224: _areas((7, 7, 5, 1, 5, 3, 3, 5), lateral=5, skip=7),
    128: _areas((5, 3, 3, 1, 3, 3, 3, 3), lateral=3, skip=5),
}
"""Image size in pixels -> the areas from the retina up."""

MAX_WIDTH = 16.0
"""Parameters grow with the square of the width; a larger factor is a mistake rather than a wish."""

AREA_NAMES: tuple[str, ...] = tuple(area.name for area in AREAS[224])


def areas_for(image_size: int, width: float = 1.0) -> tuple[Area, ...]:
    """Return the areas for images of 224 or 128 pixels; SpecError for another size, or a width that is none.

    ``width`` is a factor on the channels of every area but the Readout, rounded, at least 1 channel; 1.0 is the design.

    Examples
    --------
    >>> [area.channels for area in areas_for(128, width=0.25)]
    [8, 8, 144, 120, 88, 64, 88, None]
    """
    if image_size not in AREAS:
        raise unknown("image_size", image_size, list(AREAS))
    if not 0 < width <= MAX_WIDTH:
        raise SpecError(f"width is a factor on the channels, above 0 and at most {MAX_WIDTH:g}; got {width!r}")
    return tuple(
        replace(area, channels=None if area.channels is None else max(1, round(width * area.channels)))
        for area in AREAS[image_size]
    )


class ReceptiveField(NamedTuple):
    """Bottom-up receptive field of one area.

    ``size`` and ``stride`` are pixels of the image: what a unit sees, and the distance of neighbours; ``degrees`` is ``size``
    at 5 degrees of visual angle per image, ``units`` the height and width of the area's map.
    """

    area: str
    size: int
    stride: int
    degrees: float
    units: int


def receptive_fields(image_size: int = 224) -> tuple[ReceptiveField, ...]:
    """Receptive fields of the bottom-up path, from the areas' kernels and strides, for images of 224 or 128 pixels.

    Examples
    --------
    >>> [field.size for field in receptive_fields(224)]
    [7, 19, 35, 35, 67, 83, 99, 163]
    """
    fields, size, stride, units = [], 1, 1, image_size
    for area in areas_for(image_size):
        size += (area.kernel - 1) * stride
        stride *= area.stride
        units = (units + 2 * area.padding - area.kernel) // area.stride + 1
        fields.append(ReceptiveField(area.name, size, stride, size * DEGREES_PER_IMAGE / image_size, units))
    return tuple(fields)
