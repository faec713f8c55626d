"""Figures of encoding results: scores by area, timestep and stream; what is best; shared variance; maps; time matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import SpecError
from ...figures import SCORE_NAMES, STREAM_COLOURS, STREAM_NAMES, make_panels
from ..result import EncodingResult
from ..scores.score import mean_of_finite
from .maps import draw_volume

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def plot_scores(result: EncodingResult, score: str = "r", *, neuroids: np.ndarray | None = None) -> Figure:
    """Draw scores over model timesteps: one panel per area, one line per stream.

    Parameters
    ----------
    result : EncodingResult
        With one feature space per site and timestep.
    score : str
        A quantity over space and neuroid (and time, which is averaged).
    neuroids : array of positions or bool, optional
        Which to average over, such as one roi; default all with a score.

    Returns
    -------
    matplotlib.figure.Figure
        Mean over neuroids; the band is the interquartile range.
    """
    values = _per_space(result, score, neuroids)
    area, stream, step = (_labels(result, key) for key in ("area", "stream", "timestep"))
    areas = list(dict.fromkeys(area))
    figure, axes = make_panels(1, len(areas), width=2.1, height=2.6, sharey=True)
    for axis, name in zip(axes, areas, strict=True):
        for which in dict.fromkeys(stream):
            at = np.flatnonzero((area == name) & (stream == which))
            if not len(at):
                continue
            at = at[np.argsort(step[at])]
            low, high = np.array([_quartiles(values[i]) for i in at]).T
            mean = [np.mean(values[i][np.isfinite(values[i])]) for i in at]
            colour = STREAM_COLOURS.get(which)
            axis.fill_between(step[at], low, high, color=colour, alpha=0.15, linewidth=0)
            axis.plot(step[at], mean, "o-", color=colour, markersize=4, label=STREAM_NAMES.get(which, which))
        axis.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axis.set(title=name, xlabel="timestep", xticks=sorted(set(step.tolist())))
        axis.margins(x=0.1)
    axes[0].set_ylabel(SCORE_NAMES.get(score, score))
    if any(stream):  # other networks have none
        axes[-1].legend(frameon=False, title="stream", fontsize=8, title_fontsize=8)
    return figure


def plot_best_timestep(result: EncodingResult, score: str = "r2", *, by: str | None = None) -> Figure:
    """Draw how many targets each timestep explains best, coloured by stream.

    Parameters
    ----------
    result : EncodingResult
    score : {"r", "r2"}
    by : str, optional
        A coordinate on neuroid, such as ``"roi"``: one panel for each value.

    Returns
    -------
    matplotlib.figure.Figure
        Filled: targets whose choice leads what came second, by a 95 % interval; outlined: all.
    """
    for key in ("timestep", "stream"):
        _labels(result, key)
    best = result.best(score, nested=result.can_nest)
    panels = np.full(best["space"].shape[0], "all") if by is None else result[by].values.astype(str)
    names = list(dict.fromkeys(panels))
    steps = np.unique(_labels(result, "timestep"))
    streams = list(dict.fromkeys(_labels(result, "stream")))
    figure, axes = make_panels(1, len(names), width=2.6, height=2.6)
    width = 0.8 / len(streams)
    for axis, name in zip(axes, names, strict=True):
        here = panels == name
        step, stream, margin = (
            best[key].values[here].ravel()
            for key in ("timestep", "stream", "margin_ci_low" if result.can_nest else "margin")
        )
        for i, which in enumerate(streams):
            every = np.array([((step == s) & (stream == which)).sum() for s in steps])
            sure = np.array([((step == s) & (stream == which) & (margin > 0)).sum() for s in steps])
            x = steps + (i - (len(streams) - 1) / 2) * width
            colour = STREAM_COLOURS.get(which, "0.4")
            axis.bar(x, sure, width, color=colour, label=STREAM_NAMES.get(which, which))
            axis.bar(x, every, width, facecolor="none", edgecolor=colour, linewidth=1)
        axis.set(title=f"{name} (n = {here.sum()})" if by else "", xlabel="best timestep", xticks=steps)
    axes[0].set_ylabel("targets (filled: ahead of the second)")
    axes[0].yaxis.get_major_locator().set_params(integer=True)
    if any(streams):
        handles = axes[-1].get_legend_handles_labels()
        figure.legend(*handles, frameon=False, title="stream", fontsize=8, title_fontsize=8, loc="outside right center")
    return figure


def plot_best(result: EncodingResult, score: str = "r2", *, neuroids: np.ndarray | None = None) -> Figure:
    """Draw how many targets each area and timestep explains best: one panel per stream.

    Parameters
    ----------
    result : EncodingResult
    score : {"r", "r2"}
    neuroids : array of positions or bool, optional
        Which to count; default all with a score.

    Returns
    -------
    matplotlib.figure.Figure
        Per cent of targets whose best feature space lies there; a cell that was not fitted is grey.
    """
    area, stream, step = (
        _labels(result, key).astype(str if key != "timestep" else int) for key in ("area", "stream", "timestep")
    )
    winner = result.best(score, nested=result.can_nest)["space"].values
    winner = (winner if neuroids is None else winner[neuroids]).ravel()
    winner = winner[winner >= 0]
    if not len(winner):
        raise SpecError(f"{score} has no value for these neuroids")
    areas, streams, steps = list(dict.fromkeys(area)), list(dict.fromkeys(stream)), np.unique(step)
    table = np.full((len(streams), len(areas), len(steps)), np.nan)
    for i, count in enumerate(np.bincount(winner, minlength=len(area))):
        table[streams.index(stream[i]), areas.index(area[i]), np.searchsorted(steps, step[i])] = (
            100 * count / len(winner)
        )
    figure, axes = make_panels(
        1, len(streams), width=0.45 * len(steps) + 0.8, height=0.35 * len(areas) + 0.9, sharey=True
    )
    mesh = None
    for axis, name, panel in zip(axes, streams, table, strict=True):
        axis.set_facecolor("0.85")
        mesh = axis.imshow(panel, cmap="Greens", vmin=0, vmax=np.nanmax(table), aspect="auto")
        for (i, j), value in np.ndenumerate(panel):
            if value >= 0.5:
                axis.text(
                    j,
                    i,
                    f"{value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="k" if value < 0.6 * np.nanmax(table) else "w",
                )
        axis.set(
            title=name,
            xlabel="timestep",
            xticks=range(len(steps)),
            xticklabels=steps,
            yticks=range(len(areas)),
            yticklabels=areas,
        )
    if mesh is not None:
        figure.colorbar(mesh, ax=list(axes), label=f"% of {len(winner)} targets", shrink=0.9)
    return figure


def plot_map(result: EncodingResult, name: str = "r2", *, title: str | None = None, **choice: int) -> Figure:
    """Draw one quantity on the brain: a glass brain when nilearn is installed, otherwise slices.

    Parameters
    ----------
    result : EncodingResult
        Of responses read from volumes.
    name : str
        A quantity such as ``"r2"``.
    title : str, optional
    **choice : int
        Positions in further dims, such as ``space=3``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    image = result.to_volume(name, **choice)
    label = SCORE_NAMES.get(name, name)
    return draw_volume(image, label, title="" if title is None else title)


def plot_time_matrix(matrix: xr.DataArray) -> Figure:
    """Draw a matrix of :mod:`bltvs_neuro.encoding.scores.time`: timestep x time per site, or time x time.

    Parameters
    ----------
    matrix : DataArray with dims (site, timestep, time), or (time_train, time_test)

    Returns
    -------
    matplotlib.figure.Figure
        Neural time in seconds.
    """
    score = SCORE_NAMES.get(str(matrix.name), str(matrix.name))
    if matrix.dims == ("time_train", "time_test"):
        panels: list[tuple[str, Any]] = [("", matrix)]
        y, x = matrix["time_train"].values, matrix["time_test"].values
        labels = ("tested at (s)", "trained at (s)")
    elif matrix.dims == ("site", "timestep", "time"):
        panels = [(str(site), matrix.isel(site=i)) for i, site in enumerate(matrix["site"].values)]
        y, x = matrix["timestep"].values, matrix["time"].values
        labels = ("time (s)", "timestep")
    else:
        raise SpecError(
            f"a time matrix has dims (site, timestep, time) or (time_train, time_test); got {matrix.dims}: average neuroids"
        )
    columns = min(4, len(panels))
    figure, axes = make_panels(-(-len(panels) // columns), columns, width=2.6, height=2.3, sharey=True)
    values = matrix.values[np.isfinite(matrix.values)]
    limit = float(np.abs(values).max()) if len(values) else 1.0
    mesh = None
    for axis, (name, panel) in zip(axes, panels, strict=False):
        mesh = axis.pcolormesh(x, y, panel.values, vmin=-limit, vmax=limit, cmap="RdBu_r", shading="nearest")
        axis.set(title=name)
        axis.set_facecolor("0.85")
        if labels[1] == "timestep":
            axis.set_yticks(y)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    for i, axis in enumerate(axes[: len(panels)]):
        if i + columns >= len(panels):
            axis.set_xlabel(labels[0])
        if i % columns == 0:
            axis.set_ylabel(labels[1])
    if mesh is not None:
        figure.colorbar(mesh, ax=list(axes), label=score, shrink=0.8)
    return figure


def _per_space(result: EncodingResult, score: str, neuroids: np.ndarray | None) -> np.ndarray:
    array = result[score]
    if array.dims[:2] != ("space", "neuroid"):
        raise SpecError(f"scores over space and neuroid can be drawn; {score} has {array.dims}")
    values = array.values if neuroids is None else array.values[:, neuroids]
    if values.ndim == 3:  # (space, neuroid, time) -> (space, neuroid)
        values = mean_of_finite(values)
    if not np.isfinite(values).any():
        raise SpecError(f"{score} has no value for these neuroids")
    return values


def _labels(result: EncodingResult, key: str) -> np.ndarray:
    if key not in result.dataset.coords:
        raise SpecError(f"this figure needs a space per site and timestep; these spaces join their {key}s")
    return result.dataset[key].values


def _quartiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values[np.isfinite(values)], [0.25, 0.75])
