"""The figure of an evaluation: accuracy over time, and what is taken for what at the last timestep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...figures import TIMESTEP_LABEL, Place, Sheet, drawn, palette, shown_handles, step_ticks

if TYPE_CHECKING:
    from .evaluate import Evaluation

NAMED = 40
"""More classes than this are not named on the axes."""


@drawn
def plot_evaluation(result: Evaluation, title: str = "", *, ax: Place = None) -> np.ndarray:
    """Plot top-1 and top-5 accuracy with 95 % intervals over timesteps, and the last timestep's confusions.

    Parameters
    ----------
    result : Evaluation
    title : str
        What the caption says of the model.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or two.

    Returns
    -------
    array of matplotlib.axes.Axes
        Accuracies, confusions.
    """
    sheet = Sheet(ax, 2, size=(3.6, 3.2), room=(0.2, 0.8))
    over_time, confused = sheet.axes
    table, classes, confusion = result.to_frame(), result.dataset["class_name"].values, result.confusion
    for k, colour, marker in ((1, palette()[0], "o"), (5, palette()[2], "s")):
        if k == 5 and len(classes) <= 5:
            continue
        name = f"top{k}"
        low, high = table[f"{name}_ci_low"], table[f"{name}_ci_high"]
        over_time.fill_between(table["timestep"], low, high, color=colour, alpha=0.2, linewidth=0)
        over_time.plot(table["timestep"], table[name], color=colour, marker=marker, label=f"top {k}")
        chance = 100 * k / len(classes)
        over_time.axhline(chance, color=colour, linewidth=0.8, linestyle=":", label=f"chance of top {k}")
    over_time.set(ylabel="correct (%)", ylim=(0, 102), xlabel=TIMESTEP_LABEL)
    step_ticks(over_time, table["timestep"])
    sheet.key(shown_handles([over_time]))

    counts = confusion[-1].astype(float)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = confused.imshow(share, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    if len(classes) <= NAMED:
        size = "small" if len(classes) <= 20 else "x-small"
        confused.set_xticks(range(len(classes)), classes, rotation=90, fontsize=size)
        confused.set_yticks(range(len(classes)), classes, fontsize=size)
    confused.set(xlabel="taken for", ylabel="class")
    confused.set_title(f"timestep {int(table['timestep'].iloc[-1])}")
    confused.figure.colorbar(image, ax=confused, label="pictures of the class (%)", shrink=0.85)
    n = int(confusion[-1].sum())
    sheet.caption(f"Bands: 95 % intervals over {n:,} pictures", f"model: {title}" if title else "")
    return sheet.axes
