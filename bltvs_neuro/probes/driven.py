"""Images that drive units, with how they came to be."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..durable import whole_file
from ..errors import SpecError, counted
from ..figures import PAGE, Place, Sheet, drawn, site_title
from ..results import Result


class Driven(Result):
    """What :func:`bltvs_neuro.probes.drive` found.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``image`` (channel, y, x, colour): red, green and blue in [0, 1]. ``activation`` (channel, step): before every step,
        of the jittered image; last, of the image as it is.
    """

    kind = "driven"

    @property
    def images(self) -> np.ndarray:
        """(n, size, size, 3)."""
        return np.asarray(self.dataset["image"].values)

    @property
    def activations(self) -> np.ndarray:
        """(n, steps + 1)."""
        return np.asarray(self.dataset["activation"].values)

    def to_frame(self) -> pd.DataFrame:
        """One row per channel and step."""
        return self.dataset["activation"].to_dataframe().reset_index()

    def save_images(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
        """Write one PNG for each channel, its provenance in the PNG's text; returns the paths.

        Images that are there are replaced if ``overwrite``.

        A stimulus set of one's own can be made of the folder: ``StimulusSet.from_folder``.
        """
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        info, about = PngInfo(), self.provenance
        info.add_text("provenance", json.dumps(about, sort_keys=True))
        paths = image_paths(folder, about["site"], about["timestep"], about["channels"])
        for image, path in zip(self.images, paths, strict=True):
            with whole_file(path, overwrite=overwrite) as part:
                Image.fromarray(np.round(255 * image).astype(np.uint8)).save(part, "PNG", pnginfo=info)
        return paths

    def plot(self, **options: Any) -> np.ndarray:
        """Draw the images and the activations that they drive; see :func:`plot_driven`."""
        return plot_driven([self], **options)


def image_paths(folder: str | os.PathLike[str], site: str, timestep: int, channels: Sequence[int]) -> list[Path]:
    """Where :meth:`Driven.save_images` writes the images of channels."""
    return [Path(folder) / f"{site.replace('/', '_')}_t{timestep}_c{channel}.png" for channel in channels]


@drawn
def plot_driven(results: list[Driven], *, ax: Place = None) -> np.ndarray:
    """Draw several results, a row each (for instance one for each timestep), a column for each channel.

    Parameters
    ----------
    results : list of Driven
        With the same number of channels.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each image.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per image; below it the activation that it drives, in the units of the site.
    """
    counts = {len(result.images) for result in results}
    if len(counts) != 1:
        raise SpecError(f"results in one figure need the same number of channels; got {sorted(counts) or 'none'}")
    (columns,) = counts
    side = min(1.25, (PAGE - 0.6) / columns)
    sheet = Sheet(ax, columns * len(results), columns=columns, size=(side, side + 0.16), room=(0.6, 0.6))
    for row, result in enumerate(results):
        about, axes = result.provenance, sheet.axes[row * columns : (row + 1) * columns]
        for axis, image, channel, trace in zip(axes, result.images, about["channels"], result.activations, strict=True):
            axis.imshow(image, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.set_xlabel(f"{trace[-1]:.1f}", labelpad=2)
            if row == 0:
                axis.set_title(f"channel {channel}")
        axes[0].set_ylabel(f"{site_title(about['site'])}\ntimestep {about['timestep']}")
    steps = counted(results[0].activations.shape[1] - 1, "step")
    sheet.caption(f"Below: activation after {steps} of gradient ascent", provenance=results[0].provenance)
    return sheet.axes
