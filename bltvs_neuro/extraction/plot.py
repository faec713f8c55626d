"""A first look at a store: activation over time, per area and stream."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from ..figures import STREAM_NAMES, area_styles
from ..schema import STREAMS, Site


def activation_over_time(store: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """Summarise every site and timestep of a store over its units and stimuli; one timestep is read at a time.

    Columns area, stream, timestep; ``activation`` (mean absolute activation over units, mean over stimuli) with ``low`` and
    ``high`` (2.5 and 97.5 % of stimuli); ``change`` (distance of a stimulus's pattern from that of the timestep before,
    relative to the norm of the latter, mean over stimuli that were not zero there; NaN at the first).
    """
    rows = []
    for name in store:
        site, data = Site.parse(name), store[name]
        before: np.ndarray | None = None
        for at, timestep in enumerate(data["timestep"].values):
            now = data.isel(timestep=at).values.reshape(data.sizes["stimulus"], -1).astype(np.float32)
            mean = np.abs(now).mean(axis=1)
            change = np.nan
            if before is not None and before.any():
                size = np.linalg.norm(before, axis=1)
                some = size > 0  # a pattern of zeros has no relative change
                change = float(np.mean(np.linalg.norm(now - before, axis=1)[some] / size[some]))
            low, high = np.percentile(mean, [2.5, 97.5])
            rows.append((site.area, site.stream, int(timestep), float(mean.mean()), low, high, change))
            before = now
    return pd.DataFrame(rows, columns=["area", "stream", "timestep", "activation", "low", "high", "change"])


def plot_activation(summary: pd.DataFrame, title: str = "", n_stimuli: int | None = None) -> Figure:
    """Plot :func:`activation_over_time`: a row per stream; activation left, change between timesteps right."""
    streams = [stream for stream in STREAMS if (summary["stream"] == stream).any()]
    areas = list(dict.fromkeys(summary["area"]))
    figure = Figure(figsize=(9.5, 0.9 + 3.0 * len(streams)), layout="constrained")
    axes = figure.subplots(len(streams), 2, sharex=True, sharey="col", squeeze=False)
    style = area_styles(areas)
    for row, stream in enumerate(streams):
        left, right = axes[row]
        for area in areas:
            part = summary[(summary["area"] == area) & (summary["stream"] == stream)]
            left.plot(part["timestep"], part["activation"], label=area, markersize=5, **style[area])
            left.fill_between(part["timestep"], part["low"], part["high"], color=style[area]["color"], alpha=0.15, lw=0)
            moved = part.dropna(subset="change")
            right.plot(moved["timestep"], moved["change"], markersize=5, **style[area])
        left.set_ylabel(f"{STREAM_NAMES[stream]}\nmean |activation|")
        right.set_ylabel("change from the\ntimestep before (relative)")
    for axis in axes[-1]:
        axis.set_xlabel("timestep")
        axis.set_xticks(sorted(summary["timestep"].unique()))
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right center", frameon=False, title="area")
    band = f" (band: 95 % of {n_stimuli} stimuli)" if n_stimuli else ""
    figure.suptitle(f"{title}{band}", fontsize=11)
    return figure
