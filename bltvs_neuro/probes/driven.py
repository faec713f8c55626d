"""Images that drive units, with how they came to be."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..durable import whole_file
from ..errors import SpecError
from ..results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    def plot(self) -> Figure:
        """Draw the images and the course of their activations; see :func:`plot_driven`."""
        return plot_driven([self])


def image_paths(folder: str | os.PathLike[str], site: str, timestep: int, channels: Sequence[int]) -> list[Path]:
    """Where :meth:`Driven.save_images` writes the images of channels."""
    return [Path(folder) / f"{site.replace('/', '_')}_t{timestep}_c{channel}.png" for channel in channels]


def plot_driven(results: list[Driven]) -> Figure:
    """Draw several results, a row each (for instance one for each timestep), a column for each channel.

    Parameters
    ----------
    results : list of Driven
        With the same number of channels.

    Returns
    -------
    matplotlib.figure.Figure
        Below each image the activation that it drives, in the units of the site.
    """
    import matplotlib as mpl

    from ..figures import PAGE, RC, WARNING, new_figure

    counts = {len(result.images) for result in results}
    if len(counts) != 1:
        raise SpecError(f"results in one figure need the same number of channels; got {sorted(counts) or 'none'}")
    (columns,) = counts
    untrained = any(result.provenance["model"].get("weights") in ("untrained", "as constructed") for result in results)
    with mpl.rc_context(RC):
        side = min(1.25, (PAGE - 0.6) / columns)
        figure = new_figure(0.6 + side * columns, 0.2 + (side + 0.16) * len(results) + 0.15 * untrained)
        axes = figure.subplots(len(results), columns, squeeze=False)
        for row, result in zip(axes, results, strict=True):
            about = result.provenance
            for axis, image, channel, trace in zip(
                row, result.images, about["channels"], result.activations, strict=True
            ):
                axis.imshow(image, interpolation="nearest")
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                axis.set_xlabel(f"{trace[-1]:.1f}", labelpad=2)
                if result is results[0]:
                    axis.set_title(f"channel {channel}")
            row[0].set_ylabel(f"{about['site']}\ntimestep {about['timestep']}")
        if untrained:
            figure.suptitle("untrained weights", fontsize=8, color=WARNING)
    return figure
