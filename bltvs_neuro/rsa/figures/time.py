"""Figure of model timesteps against neural time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import counted
from ...figures import ACCENT, Place, Sheet, drawn, milliseconds, site_title, sites_in_order, time_matrices

if TYPE_CHECKING:
    from ..time import TimeMatrix

TESTS = {"labels": "permutations of stimuli", "sign_flip": "sign flips of subjects"}


@drawn
def plot_time_matrix(matrix: TimeMatrix, *, alpha: float = 0.05, ax: Place = None) -> np.ndarray:
    """Draw the similarity of model timesteps with neural time, one panel per site.

    Parameters
    ----------
    matrix : TimeMatrix
    alpha : float
        Clusters with a p, corrected over all sites, of at most this are outlined.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each site.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per site, from V1 up. A dot under each panel: its peak with the interval.
    """
    data, options = matrix.dataset, matrix.provenance["options"]
    mean = matrix.mean.transpose("site", "timestep", "time")
    held = [str(s) for s in mean["site"].values]
    sites = sites_in_order(held)
    panels = {site_title(site): mean.isel(site=held.index(site)).values for site in sites}
    significant = matrix.significant(alpha).transpose("site", "timestep", "time").values
    outlined = {site_title(site): significant[held.index(site)] for site in sites}
    sheet = Sheet(ax, len(sites), size=(1.7, 1.45), room=(0.9, 0.5), share="xy")
    time_matrices(sheet, panels, data["time"].values, data["timestep"].values, label=matrix.label, outlined=outlined)
    peaks: dict[str, Any] = {row.site: row for row in matrix.peaks().itertuples()}  # type: ignore[misc]
    for axis, site in zip(sheet.axes, sites, strict=True):
        row = peaks[site]
        axis.hlines(-0.35, milliseconds(row.ci_low), milliseconds(row.ci_high), color=ACCENT, linewidth=1.5)
        axis.plot(milliseconds(row.latency), -0.35, "o", color=ACCENT, markersize=3)
    test = f"p ≤ {alpha:g}, {TESTS[options['time_test']]}, corrected over all sites"
    sheet.caption(
        f"Outlined: clusters with {test}" if significant.any() else f"No cluster has {test}",
        f"dot and bar below: latency of the peak and its {100 * options['confidence']:g} % interval",
        f"mean of {counted(data.sizes['subject'], 'subject')}",
        provenance=matrix.provenance,
    )
    return sheet.axes
