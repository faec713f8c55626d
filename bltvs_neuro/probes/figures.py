"""Figures of decoding: accuracy over timesteps by area and stream; matrices of temporal generalisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..errors import SpecError, unknown
from ..figures import PAGE, RC, SCORE_MAP, STREAM_COLOURS, STREAM_NAMES, WARNING, new_figure
from ..schema import Site
from .result import Decoding


def _stamp(figure: Figure, result: Decoding) -> None:
    """Say so where the weights are untrained."""
    if result.provenance["store"].get("weights") == "untrained":
        figure.suptitle("untrained weights", x=0.01, ha="left", fontsize=8, color=WARNING)


def plot_decoding(result: Decoding) -> Figure:
    """Draw accuracy over timesteps: a panel per area, a line per stream, the band a standard error over folds.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib as mpl

    course = result.time_course()
    if course.empty:
        raise SpecError("nothing was decoded: no site has a timestep at which it differs between stimuli")
    sites = [Site.parse(name) for name in dict.fromkeys(course["site"])]
    areas = list(dict.fromkeys(site.area for site in sites))
    with mpl.rc_context(RC):
        figure = new_figure(min(PAGE, 1.0 + 1.35 * len(areas)), 2.2)
        axes = figure.subplots(1, len(areas), sharey=True, squeeze=False)[0]
        for axis, area in zip(axes, areas, strict=True):
            for site in (s for s in sites if s.area == area):
                part = course[course["site"] == str(site)]
                colour: Any = STREAM_COLOURS[site.stream]
                low, high = part["accuracy"] - part["sem"], part["accuracy"] + part["sem"]
                axis.fill_between(part["timestep"], low, high, color=colour, alpha=0.18, linewidth=0)
                marker, style = ("o", "-") if site.stream == "bu" else ("s", "--")
                axis.plot(
                    part["timestep"],
                    part["accuracy"],
                    style,
                    marker=marker,
                    color=colour,
                    label=STREAM_NAMES[site.stream],
                )
            axis.axhline(result.chance, color="0.45", linewidth=0.8, linestyle=":", zorder=0)
            axis.set_title(area)
            axis.set_xticks(sorted(course["timestep"].unique()))
        axes[0].set_ylabel("balanced accuracy")
        axes[len(axes) // 2].set_xlabel("timestep")
        axes[-1].annotate("chance", (1, result.chance), xycoords=("axes fraction", "data"), xytext=(0, 2),
                          textcoords="offset points", ha="right", va="bottom", fontsize=6, color="0.35")  # fmt: skip
        handles = {
            label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=2)
        _stamp(figure, result)
    return figure


def plot_generalisation(result: Decoding, sites: Iterable[str] | None = None) -> Figure:
    """Draw accuracy by training and test timestep: a matrix per site, on one scale.

    Parameters
    ----------
    result : Decoding
    sites : iterable of str, optional
        All if left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib as mpl

    table = result.dataset["accuracy"]
    names = [str(s) for s in (table["site"].values if sites is None else sites)]
    for name in names:
        if name not in table["site"].values:
            raise unknown("site", name, table["site"].values.tolist())
    names = [name for name in names if np.isfinite(table.sel(site=name)).any()]
    if not names:
        raise SpecError("nothing was decoded: no site has a timestep at which it differs between stimuli")
    areas = list(dict.fromkeys(Site.parse(name).area for name in names))
    streams = [s for s in STREAM_NAMES if any(Site.parse(name).stream == s for name in names)]
    steps = table["train_timestep"].values
    top = float(np.nanmax(table.sel(site=names)))
    with mpl.rc_context(RC):
        figure = new_figure(min(PAGE, 1.3 + 1.3 * len(areas)), 0.6 + 1.35 * len(streams))
        axes = figure.subplots(len(streams), len(areas), squeeze=False, sharex=True, sharey=True)
        image = None
        for row, stream in enumerate(streams):
            for column, area in enumerate(areas):
                axis = axes[row][column]
                if f"{area}/{stream}" not in names:
                    axis.set_axis_off()
                    continue
                # rows are training timesteps, from below; what is absent stays grey
                axis.set_facecolor("0.85")
                image = axis.pcolormesh(steps, steps, table.sel(site=f"{area}/{stream}").values, cmap=SCORE_MAP,
                                        vmin=min(result.chance, float(np.nanmin(table.sel(site=names)))), vmax=top)  # fmt: skip
                axis.set_aspect("equal")
                axis.set(xticks=steps, yticks=steps)
                if row == 0:
                    axis.set_title(area)
            axes[row][0].set_ylabel(f"{STREAM_NAMES[stream]}\ntraining timestep")
        axes[-1][len(areas) // 2].set_xlabel("test timestep")
        assert image is not None
        bar = figure.colorbar(image, ax=axes, shrink=0.8, label="balanced accuracy")
        bar.ax.axhline(result.chance, color="white", linewidth=1)
        _stamp(figure, result)
    return figure
