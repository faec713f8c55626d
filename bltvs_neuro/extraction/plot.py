"""A first look at a store: activation over time, per area and stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..figures import (
    STREAM_NAMES,
    TIMESTEP_LABEL,
    Place,
    Sheet,
    area_styles,
    drawn,
    in_order,
    shown_handles,
    step_ticks,
)
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


@drawn
def plot_activation(
    summary: pd.DataFrame,
    title: str = "",
    n_stimuli: int | None = None,
    *,
    provenance: Mapping[str, Any] | None = None,
    ax: Place = None,
) -> np.ndarray:
    """Plot :func:`activation_over_time`: a row per stream; activation left, change between timesteps right.

    Parameters
    ----------
    summary : pandas.DataFrame
    title : str
        What the caption says of the stimuli.
    n_stimuli : int, optional
        For the caption.
    provenance : mapping, optional
        That of the store, for what the caption says of the model.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each panel.

    Returns
    -------
    array of matplotlib.axes.Axes
        Two per stream.
    """
    streams = [stream for stream in STREAMS if (summary["stream"] == stream).any()]
    areas = in_order(summary["area"])
    sheet = Sheet(ax, 2 * len(streams), columns=2, size=(2.9, 2.0), room=(1.2, 0.5), share="x")
    style = area_styles(areas)
    for row, stream in enumerate(streams):
        left, right = sheet.axes[2 * row : 2 * row + 2]
        if row:
            left.sharey(sheet.axes[0])
            right.sharey(sheet.axes[1])
        for area in areas:
            part = summary[(summary["area"] == area) & (summary["stream"] == stream)]
            if len(part):
                left.plot(part["timestep"], part["activation"], label=area, **style[area])
                band = {"color": style[area]["color"], "alpha": 0.15, "linewidth": 0}
                left.fill_between(part["timestep"], part["low"], part["high"], **band)
                moved = part.dropna(subset="change")
                right.plot(moved["timestep"], moved["change"], **style[area])
        left.set_ylabel(f"{STREAM_NAMES[stream]}\nmean |activation|")
        right.set_ylabel("change from the\ntimestep before (relative)")
    for axis in sheet.bottom:
        step_ticks(axis, summary["timestep"])
    sheet.label_x(TIMESTEP_LABEL)
    sheet.key(shown_handles(sheet.axes), at="right", title="area")
    of = f" of {n_stimuli} stimuli" if n_stimuli else " of stimuli"
    sheet.caption(f"Lines: means over units and stimuli; bands: 95 %{of}", title, provenance=provenance)
    return sheet.axes
