"""Still pictures on the page: images that drive units, and maps of the brain on a light and on a dark ground."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from ..encoding.outputs.files import best_layers
from ..encoding.outputs.maps import draw_volume
from ..encoding.result import EncodingResult
from ..figures import SCORE_NAMES, figure_of, site_title
from ..probes import Driven

Picture = dict[str, str]
"""``src`` (and ``dark``, on a dark ground), ``alt``, ``caption``."""


def driven_pictures(result: Driven) -> Iterator[Picture]:
    """Each image, with the activation that it drives."""
    about = result.provenance
    where = f"{site_title(about['site'])}, timestep {about['timestep']}"
    for image, channel, trace in zip(result.images, about["channels"], result.activations, strict=True):
        shown = Image.fromarray(np.round(255 * image).astype(np.uint8)).resize((160, 160), Image.Resampling.NEAREST)
        buffer = io.BytesIO()
        shown.save(buffer, "PNG")
        caption = f"{where}, channel {channel}: activation {trace[0]:.1f} → {trace[-1]:.1f}"
        yield {"src": _address(buffer), "alt": f"Image that drives channel {channel}", "caption": caption}


def brain_maps(result: EncodingResult, score: str = "r2") -> Iterator[Picture]:
    """The best score of each voxel, and the area, stream and timestep that it comes from; nothing without a volume."""
    if "volume_shape" not in result.dataset.attrs or "time" in result.dataset.dims:
        return
    shown = f"{score}_normalised" if "ceiling" in result.dataset else score
    for name, values, names in best_layers(result, result.best(score), shown):
        if name == "best_margin" or not np.isfinite(values).any():
            continue
        label = SCORE_NAMES.get(name.removeprefix("best_"), name.replace("_", " "))
        image = result.place(values)
        sources = [_drawn(image, label, names, style) for style in ("default", "dark_background")]
        caption = f"{name.replace('_', ' ').replace('r2', 'R²')} of {int(np.isfinite(values).sum())} voxels"
        yield {"src": sources[0], "dark": sources[1], "alt": f"Map of the brain: {caption}", "caption": caption}


def _drawn(image: Any, label: str, names: Any, style: str) -> str:
    from matplotlib.style import context

    buffer = io.BytesIO()
    with context(style):
        figure_of(draw_volume(image, label, names=names)).savefig(buffer, dpi=110, format="png")
    return _address(buffer)


def _address(buffer: io.BytesIO) -> str:
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
