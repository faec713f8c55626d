"""Figures of unique and shared variance."""

from __future__ import annotations

import numpy as np

from ...errors import counted
from ...figures import (
    STREAM_NAMES,
    TIMESTEP_LABEL,
    Place,
    Sheet,
    area_styles,
    drawn,
    in_order,
    ink,
    shown_handles,
    site_title,
    step_ticks,
    stream_style,
)
from ...schema import TIMESTEP
from ..result import PartitionResult

ALL = "all together"


@drawn
def plot_partition(
    result: PartitionResult, *, neuroids: np.ndarray | None = None, title: str = "", ax: Place = None
) -> np.ndarray:
    """Draw what each band explains uniquely and what is shared, over model timesteps.

    Parameters
    ----------
    result : PartitionResult
    neuroids : array of positions or bool, optional
        Which to average over; default all that were fitted.
    title : str
        Of the figure, such as the region of the neuroids.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each panel.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per area (streams apart), stream (areas apart) or site (timesteps apart). What a band explains
        uniquely is drawn beyond what a useless band would show, with the 95 % interval of
        :meth:`~bltvs_neuro.encoding.result.PartitionResult.unique`; all else, and results with neural time, as means
        over neuroids with two standard errors (neuroids share stimuli: a rough guide). ``shared`` sums all parts of more
        than one band, and may be below zero: then all bands together explain less than their unique parts add up to.
    """
    parts = [str(part) for part in result["part"].values]
    bands = [part for part in parts if " & " not in part]
    values = result["variance"].values
    values = values if neuroids is None else values[:, :, neuroids]
    values = values.reshape(*values.shape[:2], -1)  # (space, part, target)
    single = np.array([part in bands for part in parts])
    lines = {_unique(band): values[:, parts.index(band)] for band in bands}
    if not single.all():
        lines["shared"] = np.nansum(values[:, ~single], axis=1) + 0 * values[:, 0]
    lines[ALL] = (
        result["total"].values.reshape(len(values), -1) if neuroids is None else np.sum(list(lines.values()), axis=0)
    )
    known = _beyond_useless(result, neuroids)
    coords = result.dataset.coords
    names = np.array(
        [
            "/".join(str(coords[key].values[i]) for key in ("area", "stream") if key in coords)
            for i in range(len(values))
        ]
    )
    panels = in_order(names)
    sheet = Sheet(ax, len(panels), columns=5, size=(1.6, 2.0), room=(0.5, 1.0), share="y")
    colours = _styles(bands)
    for axis, panel in zip(sheet.axes, panels, strict=True):
        at = np.flatnonzero(names == panel)
        for k, (label, every) in enumerate(lines.items()):
            mean, low, high = _mean_and_interval(every[at])
            for j, space in enumerate(at):
                mean[j], low[j], high[j] = known.get((int(space), label), (mean[j], low[j], high[j]))
            colour = colours[label]["color"]
            if TIMESTEP in coords:
                step = coords[TIMESTEP].values[at]
                axis.fill_between(step, low, high, alpha=0.2, linewidth=0, color=colour)
                axis.plot(step, mean, label=label, **colours[label])
            else:
                errors = [[mean[0] - low[0]], [high[0] - mean[0]]]
                axis.bar(k, mean[0], yerr=errors, width=0.7, color=colour, ecolor=ink(), label=label)
        axis.axhline(0, color=ink(0.4), linewidth=0.8, zorder=0)
        axis.set_title(site_title(panel) if "/" in panel else STREAM_NAMES.get(panel, panel) or "all")
        if TIMESTEP in coords:
            step_ticks(axis, coords[TIMESTEP].values)
            axis.margins(x=0.1)
        else:
            axis.set_xticks(range(len(lines)), list(lines), rotation=90)
    if TIMESTEP in coords:
        sheet.label_x(TIMESTEP_LABEL)
    sheet.left[0].set_ylabel("cross-validated $R^2$")
    sheet.key(shown_handles(sheet.axes) if TIMESTEP in coords else [], title=title)
    sheet.caption(*_said(result, lines, values, beyond=bool(known)), provenance=result.provenance)
    return sheet.axes


def _said(
    result: PartitionResult, lines: dict[str, np.ndarray], values: np.ndarray, *, beyond: bool
) -> list[str]:  # fmt: skip
    """What lines and bands are."""
    fitted = int(np.isfinite(values).any(axis=(0, 1)).sum())
    unique = "Unique: beyond what ridge on the other bands reaches, and a useless band shows, with 95 % intervals; "
    rest = f"{'else ' if beyond else ''}means of {counted(fitted, 'target')}, bands two standard errors"
    below = "All together: $R^2$ of all bands in one model, unique parts plus shared"
    negative = "shared" in lines and bool((np.nanmean(lines["shared"], axis=1) < 0).any())
    why = "; it lies below them where shared is negative (bands that help or disturb each other in new stimuli)"
    return [unique * beyond + rest, below + why * negative]


def _unique(band: str) -> str:
    return f"unique {STREAM_NAMES.get(band, band)}"


def _beyond_useless(
    result: PartitionResult, neuroids: np.ndarray | None
) -> dict[tuple[int, str], tuple[float, float, float]]:
    """Unique variance beyond that of a useless band and its interval, by space and line; none with neural time."""
    if "useless_fold" not in result.dataset or "time" in result["variance_fold"].dims:
        return {}
    return {
        (space, _unique(band)): (values["beyond"], values["ci_low"], values["ci_high"])
        for space, band, _, values in result.unique_by_space(neuroids)
    }


def _mean_and_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and two standard errors to each side over the targets fitted; NaN for a part that a space does not have."""
    mean, error = np.full((2, len(values)), np.nan)
    for i, row in enumerate(values):
        good = row[np.isfinite(row)]
        if len(good):
            mean[i], error[i] = good.mean(), good.std() / np.sqrt(len(good))
    return mean, mean - 2 * error, mean + 2 * error


def _styles(bands: list[str]) -> dict[str, dict[str, object]]:
    """Colour, mark and dashes of each line: streams and areas have theirs of every figure."""
    if set(bands) <= set(STREAM_NAMES):
        found = {_unique(band): {k: v for k, v in stream_style(band).items() if k != "label"} for band in bands}
    else:
        found = {_unique(band): style for band, style in area_styles(bands).items()}
    return found | {
        "shared": {"color": ink(0.5), "marker": "d", "linestyle": "-."},
        ALL: {"color": ink(), "marker": ".", "linestyle": ":"},
    }
