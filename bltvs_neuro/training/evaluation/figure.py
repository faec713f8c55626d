"""The figure of an evaluation: accuracy over time, and what is taken for what at the last timestep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...figures import PALETTE

if TYPE_CHECKING:
    from .evaluate import Evaluation

NAMED = 40
"""More classes than this are not named on the axes."""


def plot_evaluation(result: Evaluation, title: str = "") -> Figure:
    """Plot top-1 and top-5 accuracy with 95 % intervals over timesteps, and the last timestep's confusions."""
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    over_time, confused = figure.subplots(1, 2, width_ratios=(1, 1.15))
    table, classes, confusion = result.to_frame(), result.dataset["class_name"].values, result.confusion
    time = table["timestep"]
    for k, colour, marker in ((1, PALETTE[0], "o"), (5, PALETTE[2], "s")):
        if k == 5 and len(classes) <= 5:
            continue
        name = f"top{k}"
        over_time.fill_between(time, table[f"{name}_ci_low"], table[f"{name}_ci_high"], color=colour, alpha=0.2, lw=0)
        over_time.plot(time, table[name], color=colour, marker=marker, label=f"top {k}")
        over_time.axhline(100 * k / len(classes), color=colour, lw=0.8, ls=":", label="chance" if k == 1 else None)
    over_time.set(xlabel="timestep", ylabel="correct (%)", ylim=(0, 102))
    over_time.xaxis.set_major_locator(MaxNLocator(integer=True))
    over_time.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.16))
    over_time.spines[["top", "right"]].set_visible(False)
    n = int(confusion[-1].sum())
    over_time.set_title(f"{n:,} pictures, 95 % intervals", fontsize="medium")

    counts = confusion[-1].astype(float)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = confused.imshow(share, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    if len(classes) <= NAMED:
        size = 8 if len(classes) <= 20 else 5
        confused.set_xticks(range(len(classes)), classes, rotation=90, fontsize=size)
        confused.set_yticks(range(len(classes)), classes, fontsize=size)
    confused.set(xlabel="taken for", ylabel="class")
    confused.set_title(f"timestep {int(table['timestep'].iloc[-1])}", fontsize="medium")
    figure.colorbar(image, ax=confused, label="pictures of the class (%)", shrink=0.85)
    if title:
        figure.suptitle(title)
    return figure
