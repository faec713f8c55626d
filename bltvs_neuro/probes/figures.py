"""Figures of decoding: accuracy over timesteps by area and stream; matrices of temporal generalisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import SpecError, counted, unknown
from ..figures import (
    TIMESTEP_LABEL,
    Place,
    Sheet,
    contrasting,
    drawn,
    in_order,
    ink,
    line_key,
    score_scale,
    site_title,
    step_ticks,
    stream_style,
)
from ..schema import Site
from .result import Decoding

NOTHING = "nothing was decoded: no site has a timestep at which it differs between stimuli"


@drawn
def plot_decoding(result: Decoding, *, alpha: float = 0.05, ax: Place = None) -> np.ndarray:
    """Draw accuracy over timesteps: a panel per area, a line per stream, the band a standard error over folds.

    Parameters
    ----------
    result : Decoding
    alpha : float
        Filled points: corrected p against chance at most this, where there was a test.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each area.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per area, from V1 up.
    """
    course = result.time_course()
    if course.empty:
        raise SpecError(NOTHING)
    sites = [Site.parse(name) for name in dict.fromkeys(course["site"])]
    areas, tested = in_order(site.area for site in sites), bool(course["p_corrected"].notna().any())
    sheet = Sheet(ax, len(areas), columns=5, size=(1.35, 1.8), room=(0.5, 0.9), share="xy")
    for axis, area in zip(sheet.axes, areas, strict=True):
        for site in (s for s in sites if s.area == area):
            part = course[course["site"] == str(site)]
            style = stream_style(site.stream)
            low, high = part["accuracy"] - part["sem"], part["accuracy"] + part["sem"]
            axis.fill_between(part["timestep"], low, high, color=style["color"], alpha=0.2, linewidth=0)
            axis.plot(part["timestep"], part["accuracy"], **style | {"marker": ""})
            face = [style["color"] if not tested or p <= alpha else ink(0) for p in part["p_corrected"]]
            axis.scatter(part["timestep"], part["accuracy"], s=12, c=face, marker=style["marker"],
                         edgecolors=style["color"], linewidths=0.8, zorder=4)  # fmt: skip
        axis.axhline(result.chance, color=ink(0.6), linewidth=0.8, linestyle=":", zorder=0)
        axis.set_title(area, fontweight="bold")
        step_ticks(axis, course["timestep"])
    sheet.label_x(TIMESTEP_LABEL)
    for axis in sheet.left:
        axis.set_ylabel("balanced accuracy")
    handles = [line_key(**stream_style(s)) for s in dict.fromkeys(site.stream for site in sites)]
    if tested and not (course["p_corrected"] <= alpha).all():
        hollow = {"marker": "o", "markerfacecolor": "none", "linestyle": ""}
        handles.append(line_key(f"not above chance (p > {alpha:g})", color=ink(), **hollow))
    sheet.key([*handles, line_key("chance", color=ink(0.6), linewidth=0.8, linestyle=":")])
    band = "Bands: standard error over" if course["sem"].notna().any() else "Mean of"
    shuffles = counted(int(result.provenance.get("permutations", 0)), "shuffle")
    shuffled = f"tests: {shuffles} of the labels, corrected for all sites and timesteps"
    sheet.caption(f"{band} {counted(result.dataset.sizes['fold'], 'fold')}", shuffled * tested,
                  _stimuli(result), provenance=result.provenance)  # fmt: skip
    return sheet.axes


@drawn
def plot_generalisation(
    result: Decoding, sites: Iterable[str] | None = None, *, alpha: float = 0.05, ax: Place = None
) -> np.ndarray:
    """Draw accuracy by training and test timestep: a matrix per site, on one scale.

    Parameters
    ----------
    result : Decoding
    sites : iterable of str, optional
        All if left out.
    alpha : float
        Dots: corrected p at most this, of the timesteps that were tested.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each site.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per site, from V1 up.
    """
    table = result.dataset["accuracy"]
    names = [str(s) for s in (table["site"].values if sites is None else sites)]
    for name in names:
        if name not in table["site"].values:
            raise unknown("site", name, table["site"].values.tolist())
    names = [name for name in names if np.isfinite(table.sel(site=name)).any()]
    if not names:
        raise SpecError(NOTHING)
    chosen = [Site.parse(name) for name in names]
    areas = in_order(site.area for site in chosen)
    streams = list(dict.fromkeys(site.stream for site in chosen))
    chosen.sort(key=lambda site: (streams.index(site.stream), areas.index(site.area)))
    steps = table["train_timestep"].values
    scale = score_scale(table.sel(site=names), low=result.chance)
    p = result.dataset["p_corrected"]
    sheet = Sheet(ax, len(chosen), columns=min(5, len(areas)), size=(1.3, 1.4), room=(1.1, 0.5), share="xy")
    dots = False
    for axis, site in zip(sheet.axes, chosen, strict=True):
        # rows are training timesteps, from below; what is absent stays grey
        axis.set_facecolor(ink(0.15))
        values = table.sel(site=str(site)).values
        image = axis.pcolormesh(steps, steps, np.ma.masked_invalid(values), shading="nearest", **scale)
        above = np.flatnonzero(p.sel(site=str(site)).values <= alpha)
        dots |= bool(len(above))
        colours: list[Any] = [contrasting(image.to_rgba(values[i, i])[:3]) for i in above]
        axis.scatter(steps[above], steps[above], s=4, c=colours, linewidths=0)
        axis.set_aspect("equal")
        axis.set(xticks=steps, yticks=steps)
        axis.set_title(site_title(str(site)))
    for axis in sheet.left:
        axis.set_ylabel("training timestep")
    sheet.label_x("test timestep")
    bar = sheet.bar(image, "balanced accuracy")
    said = f"The scale begins at chance ({result.chance:.3g})"
    if scale["vmin"] < result.chance:
        bar.ax.axhline(result.chance, color=ink(), linewidth=1)
        said = f"Line in the scale: chance ({result.chance:.3g})"
    sheet.caption(said, f"Dots: above chance (p ≤ {alpha:g}, corrected)" * dots, _stimuli(result),
                  provenance=result.provenance)  # fmt: skip
    return sheet.axes


def _stimuli(result: Decoding) -> str:
    """What was decoded, and from how many stimuli."""
    about = result.provenance
    label, n = about.get("labels"), sum(about.get("stimuli_per_class", []))
    return f"Decoded: {label} of {n} stimuli"
