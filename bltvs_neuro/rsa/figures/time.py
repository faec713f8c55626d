"""Figure of model timesteps against neural time."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ...figures import ACCENT, RC, SCORE_MAP, new_figure
from ..time import TimeMatrix


def plot_time_matrix(
    matrix: TimeMatrix,
    *,
    alpha: float = 0.05,
) -> Figure:
    """Draw the similarity of model timesteps with neural time, one panel per site.

    Parameters
    ----------
    matrix : TimeMatrix
    alpha : float
        Clusters with a p, corrected over all sites, of at most this are outlined.

    Returns
    -------
    matplotlib.figure.Figure
        A dot under each panel: its peak with the interval.
    """
    sites = [str(s) for s in matrix.values["site"].values]
    mean = matrix.mean.transpose("site", "timestep", "time").values
    time = 1000 * matrix.values["time"].values
    steps = matrix.values["timestep"].values
    low, high = min(0.0, float(np.nanmin(mean))), float(np.nanmax(mean))
    columns = min(len(sites), 4)
    rows = -(-len(sites) // columns)
    half = (time[1] - time[0]) / 2 if len(time) > 1 else 0.5
    with mpl.rc_context(RC):
        figure = new_figure(1.7 * columns + 0.9, 1.45 * rows + 0.4)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axis in axes.ravel()[len(sites) :]:
            axis.set_visible(False)
        extent = (time[0] - half, time[-1] + half, -0.5, len(steps) - 0.5)
        outlined = matrix.significant(alpha).transpose("site", "timestep", "time").values
        rows_of_peaks: Any = matrix.peaks().itertuples()
        panels = zip(axes.ravel(), sites, mean, outlined, rows_of_peaks, strict=False)
        for axis, site, values, mask, row in panels:
            image = axis.imshow(
                values,
                cmap=SCORE_MAP,
                vmin=low,
                vmax=high,
                origin="lower",
                aspect="auto",
                extent=extent,
                interpolation="nearest",
            )
            if mask.any():
                _outline(axis, mask, (time[0] - half, 2 * half))
            axis.hlines(-0.35, 1000 * row.ci_low, 1000 * row.ci_high, color=ACCENT, linewidth=1.5)
            axis.plot(1000 * row.latency, -0.35, "o", color=ACCENT, markersize=3)
            axis.set_title(site, fontweight="bold")
            axis.set_yticks(range(len(steps)), [str(int(s)) for s in steps])
            axis.tick_params(labelbottom=True)
        for axis in axes[:, 0]:
            axis.set_ylabel("model timestep")
        figure.supxlabel("time after stimulus onset (ms)", fontsize=8)
        bar = figure.colorbar(image, ax=axes, aspect=14 * rows)
        bar.set_label(matrix.label)
        bar.outline.set_linewidth(0.5)
    return figure


def _outline(axis: Axes, mask: np.ndarray[Any, Any], columns: tuple[float, float]) -> None:
    """Draw the borders of the cells in ``mask``; ``columns``: left edge and width of columns. Rows are 1 high from -0.5."""
    left, width = columns
    padded = np.pad(mask > 0, 1)
    down, right = np.diff(padded.astype(int), axis=0)[:, 1:-1], np.diff(padded.astype(int), axis=1)[1:-1]
    segments = [[(left + c * width, r - 0.5), (left + (c + 1) * width, r - 0.5)] for r, c in np.argwhere(down)]
    segments += [[(left + c * width, r - 0.5), (left + c * width, r + 0.5)] for r, c in np.argwhere(right)]
    axis.add_collection(LineCollection(segments, colors=ACCENT, linewidths=1.0, clip_on=False, capstyle="projecting"))
