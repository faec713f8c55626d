"""Figures of unique and shared variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...figures import STREAM_COLOURS, make_panels
from ...schema import TIMESTEP
from ..result import PartitionResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_partition(result: PartitionResult, *, neuroids: np.ndarray | None = None) -> Figure:
    """Draw what each band explains uniquely and what is shared, over model timesteps.

    Parameters
    ----------
    result : PartitionResult
    neuroids : array of positions or bool, optional
        Which to average over; default all that were fitted.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per area (streams apart), stream (areas apart) or site (timesteps apart). What a band explains
        uniquely is drawn beyond what a useless band would show, with the 95 % interval over folds of
        :meth:`~bltvs_neuro.encoding.result.PartitionResult.unique`; all else, and results with neural time, as means
        over neuroids with two standard errors (neuroids share stimuli: a rough guide). ``shared`` sums all parts of more
        than one band.
    """
    parts = [str(part) for part in result["part"].values]
    bands = [part for part in parts if " & " not in part]
    values = result["variance"].values
    values = values if neuroids is None else values[:, :, neuroids]
    values = values.reshape(*values.shape[:2], -1)  # (space, part, target)
    single = np.array([part in bands for part in parts])
    lines = {f"unique {band}": values[:, parts.index(band)] for band in bands}
    if not single.all():
        lines["shared"] = np.nansum(values[:, ~single], axis=1) + 0 * values[:, 0]
    lines["all together"] = (
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
    panels = list(dict.fromkeys(names.tolist()))
    figure, axes = make_panels(1, len(panels), width=2.2, height=2.7, sharey=True)
    for axis, panel in zip(axes, panels, strict=True):
        at = np.flatnonzero(names == panel)
        for k, (label, every) in enumerate(lines.items()):
            mean, low, high = _mean_and_interval(every[at])
            for j, space in enumerate(at):
                mean[j], low[j], high[j] = known.get((int(space), label), (mean[j], low[j], high[j]))
            style = {"color": _colour(label, k, len(lines)), "label": label}
            if TIMESTEP in coords:
                step = coords[TIMESTEP].values[at]
                axis.fill_between(step, low, high, alpha=0.15, linewidth=0, color=style["color"])
                axis.plot(step, mean, "o--" if label == "all together" else "o-", markersize=3.5, **style)
            else:
                axis.bar(k, mean[0], yerr=[[mean[0] - low[0]], [high[0] - mean[0]]], width=0.7, **style)
        axis.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axis.set_title(panel or "all")
        if TIMESTEP in coords:
            axis.set(xlabel="timestep", xticks=sorted(set(coords[TIMESTEP].values[at].tolist())))
            axis.margins(x=0.1)
        else:
            axis.set_xticks(range(len(lines)), list(lines), rotation=90, fontsize=7)
    beyond = "\n(unique: beyond a useless band)" if known else ""
    axes[0].set_ylabel(f"cross-validated $R^2${beyond}")
    if TIMESTEP in coords:
        figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside right center")
    return figure


def _beyond_useless(
    result: PartitionResult, neuroids: np.ndarray | None
) -> dict[tuple[int, str], tuple[float, float, float]]:
    """Unique variance beyond that of a useless band and its interval, by space and line; none with neural time."""
    if "useless_fold" not in result.dataset or "time" in result["variance_fold"].dims:
        return {}
    return {
        (space, f"unique {band}"): (values["beyond"], values["ci_low"], values["ci_high"])
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


def _colour(label: str, k: int, n: int) -> str:
    if label in ("shared", "all together"):
        return {"shared": "0.45", "all together": "0.0"}[label]
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    known = STREAM_COLOURS.get(label.removeprefix("unique "))
    return known if known is not None else to_hex(colormaps["viridis"](k / max(1, n - 2)))
