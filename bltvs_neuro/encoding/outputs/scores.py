"""Figures of encoding results: scores by area, timestep and stream, or over neural time; what is best; maps; time matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from ...errors import SpecError, counted, listed
from ...figures import (
    SCORE_NAMES,
    TIME_LABEL,
    TIMESTEP_LABEL,
    Place,
    Sheet,
    contrasting,
    drawn,
    in_order,
    ink,
    line_key,
    milliseconds,
    on_dark,
    shown_handles,
    site_title,
    sites_in_order,
    step_ticks,
    stream_style,
    time_matrices,
)
from ..result import EncodingResult
from ..scores.score import mean_of_finite
from .maps import draw_volume

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


@drawn
def plot_scores(
    result: EncodingResult,
    score: str = "r",
    *,
    neuroids: np.ndarray | None = None,
    title: str = "",
    ax: Place = None,
) -> np.ndarray:
    """Draw scores over model timesteps, one panel per area and one line per stream; or over neural time.

    Parameters
    ----------
    result : EncodingResult
        With one feature space per site and timestep.
    score : str
        A quantity over space and neuroid (and time).
    neuroids : array of positions or bool, optional
        Which to average over, such as one roi; default all with a score.
    title : str
        Of the figure, such as the region of the neuroids.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each panel.

    Returns
    -------
    array of matplotlib.axes.Axes
        Mean over neuroids; the band is the interquartile range. With neural time a panel per site, a line per timestep.
    """
    values = _values(result, score, neuroids)
    area, stream, step = (_labels(result, key) for key in ("area", "stream", "timestep"))
    known = np.isfinite(values).any(axis=tuple(i for i in range(values.ndim) if i != 1))
    targets = counted(int(known.sum()), "target")
    if values.ndim == 3:
        return _over_time(result, score, values, targets, title, ax)
    areas = in_order(area)
    sheet = Sheet(ax, len(areas), columns=5, size=(1.5, 1.8), room=(0.5, 0.9), share="y")
    ceiling = _mean_ceiling(result, score, known, neuroids)
    for axis, name in zip(sheet.axes, areas, strict=True):
        for which in dict.fromkeys(stream):
            at = np.flatnonzero((area == name) & (stream == which))
            at = at[np.argsort(step[at])]
            at = at[np.isfinite(values[at]).any(axis=1)]
            if len(at):
                low, high = np.array([_quartiles(values[i]) for i in at]).T
                style = stream_style(which)
                axis.fill_between(step[at], low, high, color=style["color"], alpha=0.2, linewidth=0)
                axis.plot(step[at], mean_of_finite(values[at]), **style)
        axis.axhline(0, color=ink(0.4), linewidth=0.8, zorder=0)
        if ceiling is not None:
            axis.axhline(ceiling, color=ink(0.6), linewidth=0.8, linestyle="--", zorder=0, label="noise ceiling (mean)")
        axis.set_title(name, fontweight="bold")
        step_ticks(axis, step)
        axis.margins(x=0.1)
    sheet.label_x(TIMESTEP_LABEL)
    for axis in sheet.left:
        axis.set_ylabel(SCORE_NAMES.get(score, score))
    handles = [h for h in shown_handles(sheet.axes) if h.get_label()]  # other networks have no streams
    sheet.key(handles, title=title)
    sheet.caption(f"Lines: means of {targets}; bands: from their first to their third quartile", _folds(result),
                  provenance=result.provenance)  # fmt: skip
    return sheet.axes


def _over_time(
    result: EncodingResult, score: str, values: np.ndarray, targets: str, title: str, ax: Place
) -> np.ndarray:
    """Score over neural time: a panel per site, a line per timestep of the model, from light to dark."""
    area, stream, step = (_labels(result, key) for key in ("area", "stream", "timestep"))
    sites = [(a, s) for a in in_order(area) for s in dict.fromkeys(stream) if ((area == a) & (stream == s)).any()]
    steps = sorted(set(step.tolist()))
    shades = colormaps["viridis"](np.linspace(0.25, 1, len(steps)) if on_dark() else np.linspace(0, 0.85, len(steps)))
    sheet = Sheet(ax, len(sites), size=(1.7, 1.5), room=(0.5, 1.0), share="xy")
    time = milliseconds(result.dataset["time"].values)
    for axis, (name, which) in zip(sheet.axes, sites, strict=True):
        for i in np.flatnonzero((area == name) & (stream == which)):
            label, shade = f"timestep {int(step[i])}", shades[steps.index(step[i])]
            axis.plot(time, mean_of_finite(values[i].T), color=shade, label=label)
        axis.axhline(0, color=ink(0.4), linewidth=0.8, zorder=0)
        axis.set_title(site_title(name, which), fontweight="bold")
    sheet.label_x(TIME_LABEL)
    for axis in sheet.left:
        axis.set_ylabel(SCORE_NAMES.get(score, score))
    sheet.key([line_key(f"timestep {int(s)}", color=c) for s, c in zip(steps, shades, strict=True)], title=title)
    sheet.caption(f"Lines: means of {targets}", _folds(result), provenance=result.provenance)
    return sheet.axes


@drawn
def plot_best_timestep(
    result: EncodingResult, score: str = "r2", *, by: str | None = None, ax: Place = None
) -> np.ndarray:
    """Draw how many targets each timestep explains best, coloured by stream.

    Parameters
    ----------
    result : EncodingResult
    score : {"r", "r2"}
    by : str, optional
        A coordinate on neuroid, such as ``"roi"``: one panel for each value.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each panel.

    Returns
    -------
    array of matplotlib.axes.Axes
        Filled: targets whose choice is ahead of what came second, by a 95 % interval; outlined: all.
    """
    for key in ("timestep", "stream"):
        _labels(result, key)
    best = result.best(score, nested=result.can_nest)
    panels = np.full(best["space"].shape[0], "all") if by is None else result[by].values.astype(str)
    names = list(dict.fromkeys(panels))
    steps = np.unique(_labels(result, "timestep"))
    streams = list(dict.fromkeys(_labels(result, "stream")))
    sheet = Sheet(ax, len(names), size=(2.0, 1.8), room=(0.5, 0.9))
    width = 0.8 / len(streams)
    for axis, name in zip(sheet.axes, names, strict=True):
        here = panels == name
        step, stream, margin = (
            best[key].values[here].ravel()
            for key in ("timestep", "stream", "margin_ci_low" if result.can_nest else "margin")
        )
        for i, which in enumerate(streams):
            every = np.array([((step == s) & (stream == which)).sum() for s in steps])
            sure = np.array([((step == s) & (stream == which) & (margin > 0)).sum() for s in steps])
            x = steps + (i - (len(streams) - 1) / 2) * width
            style = stream_style(which)
            axis.bar(x, sure, width, color=style["color"], label=style["label"] if every.any() else None)
            axis.bar(x, every, width, facecolor="none", edgecolor=style["color"], linewidth=1)
        axis.set_title(f"{name} (n = {here.sum()})" if by else "")
        step_ticks(axis, steps)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in sheet.left:
        axis.set_ylabel("targets")
    sheet.label_x(f"best {TIMESTEP_LABEL}")
    sheet.key(shown_handles(sheet.axes) if any(streams) else [])
    how = "95 % interval of the margin above 0" if result.can_nest else "margin > 0"
    sheet.caption(f"Filled: ahead of the second feature space in left-out folds ({how}); outlined: all",
                  _folds(result), provenance=result.provenance)  # fmt: skip
    return sheet.axes


@drawn
def plot_best(
    result: EncodingResult,
    score: str = "r2",
    *,
    neuroids: np.ndarray | None = None,
    title: str = "",
    ax: Place = None,
) -> np.ndarray:
    """Draw how many targets each area and timestep explains best: one panel per stream.

    Parameters
    ----------
    result : EncodingResult
    score : {"r", "r2"}
    neuroids : array of positions or bool, optional
        Which to count; default all with a score.
    title : str
        Of the figure, such as the region of the neuroids.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each stream.

    Returns
    -------
    array of matplotlib.axes.Axes
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
    areas, streams, steps = in_order(area), list(dict.fromkeys(stream)), np.unique(step)
    table = np.full((len(streams), len(areas), len(steps)), np.nan)
    for i, count in enumerate(np.bincount(winner, minlength=len(area))):
        table[streams.index(stream[i]), areas.index(area[i]), np.searchsorted(steps, step[i])] = (
            100 * count / len(winner)
        )
    sheet = Sheet(
        ax, len(streams), size=(0.4 * len(steps) + 0.5, 0.3 * len(areas) + 0.6), room=(1.2, 0.7), share="y"
    )  # fmt: skip
    for axis, name, panel in zip(sheet.axes, streams, table, strict=True):
        axis.set_facecolor(ink(0.15))
        image = axis.imshow(panel, cmap="Greens", vmin=0, vmax=np.nanmax(table), aspect="auto", origin="lower")
        for (i, j), value in np.ndenumerate(panel):
            if value >= 0.5:
                colour = contrasting(image.to_rgba(value)[:3])
                axis.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize="small", color=colour)
        axis.set_title(stream_style(name)["label"])
        axis.set_xticks(range(len(steps)), [str(s) for s in steps])
        axis.set_yticks(range(len(areas)), areas)
        axis.spines[:].set_visible(False)
    sheet.label_x(TIMESTEP_LABEL)
    sheet.bar(image, "best for (% of targets)")
    sheet.key([], title=title)
    sheet.caption(f"{counted(len(winner), 'target')}", _folds(result), provenance=result.provenance)
    return sheet.axes


def plot_map(
    result: EncodingResult, name: str = "r2", *, title: str = "", ax: Axes | None = None, **choice: int
) -> np.ndarray:
    """Draw one quantity on the brain: a glass brain when nilearn is installed, otherwise slices.

    Parameters
    ----------
    result : EncodingResult
        Of responses read from volumes.
    name : str
        A quantity such as ``"r2"``.
    title : str
    ax : Axes, optional
        Where to draw; its place is divided among slices.
    **choice : int
        Positions in further dims, such as ``space=3``.

    Returns
    -------
    array of matplotlib.axes.Axes
    """
    image = result.to_volume(name, **choice)
    return draw_volume(image, SCORE_NAMES.get(name, name), title=title, provenance=result.provenance, ax=ax)


@drawn
def plot_time_matrix(matrix: xr.DataArray, *, provenance: Any = None, ax: Place = None) -> np.ndarray:
    """Draw a matrix of :mod:`bltvs_neuro.encoding.scores.time`: timestep x time per site, or time x time.

    Parameters
    ----------
    matrix : DataArray with dims (site, timestep, time), or (time_train, time_test)
        Mean over neuroids.
    provenance : mapping, optional
        What the caption says of the model.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each site.

    Returns
    -------
    array of matplotlib.axes.Axes
        Neural time in milliseconds.
    """
    score = SCORE_NAMES.get(str(matrix.name), str(matrix.name))
    if matrix.dims == ("time_train", "time_test"):
        panels: dict[str, Any] = {"": matrix.values}
        y, x = matrix["time_train"].values, matrix["time_test"].values
        said = "A mapping fitted at one time, tested at every other"
    elif matrix.dims == ("site", "timestep", "time"):
        held = [str(site) for site in matrix["site"].values]
        panels = {site_title(site): matrix.values[held.index(site)] for site in sites_in_order(held)}
        y, x = matrix["timestep"].values.astype(int), matrix["time"].values
        said = ""
    else:
        raise SpecError(
            f"a time matrix has dims (site, timestep, time) or (time_train, time_test); got {listed(matrix.dims)}: average "
            "neuroids"
        )
    sheet = Sheet(ax, len(panels), size=(1.7, 1.45) if len(panels) > 1 else (2.6, 2.2), room=(0.9, 0.5), share="xy")
    time_matrices(sheet, panels, x, y, label=score)
    sheet.caption(said, "Mean over targets", provenance=provenance)
    return sheet.axes


def _values(result: EncodingResult, score: str, neuroids: np.ndarray | None) -> np.ndarray:
    array = result[score]
    if array.dims[:2] != ("space", "neuroid"):
        raise SpecError(f"scores over space and neuroid can be drawn; {score} has {array.dims}")
    values = array.values if neuroids is None else array.values[:, neuroids]
    if not np.isfinite(values).any():
        raise SpecError(f"{score} has no value for these neuroids")
    return values


def _mean_ceiling(
    result: EncodingResult, score: str, known: np.ndarray, neuroids: np.ndarray | None
) -> float | None:  # fmt: skip
    """The mean noise ceiling of the targets drawn, in the unit of the score; None where there is none."""
    if "ceiling" not in result.dataset:
        return None
    if score not in ("r", "r2"):
        return 1.0 if score.endswith("_normalised") else None
    limits = result["ceiling"].values if neuroids is None else result["ceiling"].values[neuroids]
    limits = np.where(limits > 0, limits, np.nan)[known]
    if not np.isfinite(limits).any():
        return None
    return float(np.nanmean(np.sqrt(limits) if score == "r" else limits))


def _folds(result: EncodingResult) -> str:
    """How scores were cross-validated."""
    solver = result.provenance.get("spec", {}).get("solver", "")
    folds = counted(result.dataset.sizes["fold"], "fold")
    return f"Mean over {folds} of cross-validation{f', {solver}' if solver else ''}"


def _labels(result: EncodingResult, key: str) -> np.ndarray:
    if key not in result.dataset.coords:
        raise SpecError(f"this figure needs a space per site and timestep; these spaces join their {key}s")
    return result.dataset[key].values


def _quartiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values[np.isfinite(values)], [0.25, 0.75])
