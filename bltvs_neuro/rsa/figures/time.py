"""Figure of model timesteps against neural time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...errors import counted
from ...figures import ACCENT, Place, Sheet, drawn, milliseconds, site_title, sites_in_order, time_matrices

if TYPE_CHECKING:
    from ..time import TimeMatrix


@drawn
def plot_time_matrix(
    matrix: TimeMatrix, *, peaks: pd.DataFrame | None = None, alpha: float = 0.05, ax: Place = None
) -> np.ndarray:
    """Draw the similarity of model timesteps with neural time, one panel per site.

    Parameters
    ----------
    matrix : TimeMatrix
        Clusters with p at most ``alpha`` are outlined where it has tests (:meth:`TimeMatrix.with_tests`).
    peaks : pandas.DataFrame, optional
        What :func:`~bltvs_neuro.rsa.time.peak_latency` found: a dot with its interval under each panel.
    alpha : float
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each site.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per site, from V1 up.
    """
    data = matrix.dataset
    mean = matrix.mean.transpose("site", "timestep", "time")
    held = [str(s) for s in mean["site"].values]
    sites = sites_in_order(held)
    panels = {site: mean.isel(site=held.index(site)).values for site in sites}
    outlined = {}
    if "p_cluster" in data:
        p = data["p_cluster"].transpose("site", "timestep", "time").values
        outlined = {site: p[held.index(site)] <= alpha for site in sites}
    titles = {site: site_title(site) for site in sites}
    sheet = Sheet(ax, len(sites), size=(1.7, 1.45), room=(0.9, 0.5), share="xy")
    time_matrices(sheet, {titles[s]: v for s, v in panels.items()}, data["time"].values, data["timestep"].values,
                  label=matrix.label, outlined={titles[s]: v for s, v in outlined.items()})  # fmt: skip
    tested = any(mask.any() for mask in outlined.values())
    said = [f"Outlined: clusters with p ≤ {alpha:g}, sign flips over subjects" if tested else ""]
    if outlined and not tested:
        said = [f"No cluster has p ≤ {alpha:g}"]
    if peaks is not None:
        for axis, site in zip(sheet.axes, sites, strict=True):
            here = peaks[peaks["site"] == site]
            low, high, latency = (milliseconds(here[name]) for name in ("ci_low", "ci_high", "latency"))
            axis.hlines(np.full(len(here), -0.35), low, high, color=ACCENT, linewidth=1.5)
            axis.plot(latency, np.full(len(here), -0.35), "o", color=ACCENT, markersize=3)
        said.append("dot and bar below: latency of the peak and its interval")
    said.append(f"mean of {counted(data.sizes['subject'], 'subject')}")
    sheet.caption(*said, provenance=matrix.provenance)
    return sheet.axes
