"""Figures of encoding results: scores by area, timestep and stream; the best timestep; maps of the brain; time matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SpecError
from .result import EncodingResult

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

COLOURS = {"bu": "#0072B2", "td": "#D55E00"}
"""Of the streams; told apart with every common colour vision."""

SCORE_NAMES = {
    "r": "Pearson r",
    "r2": "$R^2$",
    "r_normalised": "Pearson r / ceiling",
    "r2_normalised": "$R^2$ / ceiling",
}


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
    figure, axes = _figure(1, len(areas), width=2.1, height=2.6, sharey=True)
    for axis, name in zip(axes, areas, strict=True):
        for which in dict.fromkeys(stream):
            at = np.flatnonzero((area == name) & (stream == which))
            if not len(at):
                continue
            at = at[np.argsort(step[at])]
            low, high = np.array([_quartiles(values[i]) for i in at]).T
            mean = [np.mean(values[i][np.isfinite(values[i])]) for i in at]
            colour = COLOURS.get(which)
            axis.fill_between(step[at], low, high, color=colour, alpha=0.15, linewidth=0)
            axis.plot(step[at], mean, "o-", color=colour, markersize=4, label=which)
        axis.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        axis.set(title=name, xlabel="timestep", xticks=sorted(set(step.tolist())))
        axis.margins(x=0.1)
    axes[0].set_ylabel(SCORE_NAMES.get(score, score))
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
        Filled: targets whose cross-validated margin is positive; outlined: all.
    """
    for key in ("timestep", "stream"):
        _labels(result, key)
    best = result.best(score)
    panels = np.full(best["space"].shape[0], "all") if by is None else result[by].values.astype(str)
    names = list(dict.fromkeys(panels))
    steps = np.unique(_labels(result, "timestep"))
    streams = list(dict.fromkeys(_labels(result, "stream")))
    figure, axes = _figure(1, len(names), width=2.6, height=2.6)
    width = 0.8 / len(streams)
    for axis, name in zip(axes, names, strict=True):
        here = panels == name
        step, stream, margin = (best[key].values[here].ravel() for key in ("timestep", "stream", "margin"))
        for i, which in enumerate(streams):
            every = np.array([((step == s) & (stream == which)).sum() for s in steps])
            sure = np.array([((step == s) & (stream == which) & (margin > 0)).sum() for s in steps])
            x = steps + (i - (len(streams) - 1) / 2) * width
            colour = COLOURS.get(which, "0.4")
            axis.bar(x, sure, width, color=colour, label=which)
            axis.bar(x, every, width, facecolor="none", edgecolor=colour, linewidth=1)
        axis.set(title=f"{name} (n = {here.sum()})" if by else "", xlabel="best timestep", xticks=steps)
    axes[0].set_ylabel("targets (filled: margin > 0)")
    axes[-1].legend(frameon=False, title="stream", fontsize=8, title_fontsize=8)
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
    label = title if title is not None else SCORE_NAMES.get(name, name)
    try:
        from nilearn.plotting import plot_glass_brain
    except ImportError:
        return _slices(image, label)
    figure, axes = _figure(1, 1, width=9, height=3)
    axes[0].axis("off")
    plot_glass_brain(image, figure=figure, axes=axes[0], colorbar=True, title=label, plot_abs=False)
    return figure


def plot_time_matrix(matrix: xr.DataArray) -> Figure:
    """Draw a matrix of :mod:`bltvs_neuro.encoding.time`: timestep x time per site, or time x time.

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
    figure, axes = _figure(-(-len(panels) // columns), columns, width=2.6, height=2.3, sharey=True)
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


def _figure(rows: int, columns: int, *, width: float, height: float, sharey: bool = False) -> tuple[Figure, np.ndarray]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # not through pyplot: no global state, no window, nothing to close
    figure = Figure(figsize=(max(3.2, width * columns + 0.8), height * rows + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes.ravel()


def _slices(image: Any, title: str) -> Figure:
    values = np.asarray(image.dataobj, dtype=np.float64)
    filled = np.flatnonzero(np.isfinite(values).any(axis=(0, 1)))
    if not len(filled):
        raise SpecError("there is no value to draw on the map")
    some = filled[np.unique(np.linspace(0, len(filled) - 1, 8).astype(int))]
    columns = min(4, len(some))
    figure, axes = _figure(-(-len(some) // columns), columns, width=1.8, height=1.9)
    finite = values[np.isfinite(values)]
    low, high = min(0.0, float(finite.min())), float(finite.max())
    mesh = None
    for axis, k in zip(axes, some, strict=False):
        axis.set_facecolor("0.92")
        mesh = axis.imshow(
            values[:, :, k].T, origin="lower", vmin=low, vmax=high, cmap="viridis", interpolation="nearest"
        )
        axis.set(title=f"slice {k}", xticks=[], yticks=[])
        axis.title.set_fontsize(8)
    for axis in axes[len(some) :]:
        axis.axis("off")
    if mesh is not None:
        figure.colorbar(mesh, ax=list(axes), label=title, shrink=0.8)
    return figure


def _per_space(result: EncodingResult, score: str, neuroids: np.ndarray | None) -> np.ndarray:
    array = result[score]
    if array.dims[:2] != ("space", "neuroid"):
        raise SpecError(f"scores over space and neuroid can be drawn; {score} has {array.dims}")
    values = array.values if neuroids is None else array.values[:, neuroids]
    values = values.reshape(len(values), -1)
    if not np.isfinite(values).any():
        raise SpecError(f"{score} has no value for these neuroids")
    return values


def _labels(result: EncodingResult, key: str) -> np.ndarray:
    if key not in result.dataset.coords:
        raise SpecError(f"this figure needs a space per site and timestep; these spaces join their {key}s")
    return result.dataset[key].values


def _quartiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values[np.isfinite(values)], [0.25, 0.75])
