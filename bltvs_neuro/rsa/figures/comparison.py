"""Figures of a comparison: time courses with ceiling and intervals, area × timestep matrices, models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import DataError, SpecError, unknown
from ...figures import (
    ACCENT,
    CEILING_COLOUR,
    GREY,
    PAGE,
    RC,
    SCORE_MAP,
    STREAM_COLOURS,
    STREAM_LINES,
    STREAM_MARKERS,
    STREAM_NAMES,
    new_figure,
)

if TYPE_CHECKING:
    from ..result import RsaResult


def plot_time_course(
    result: RsaResult,
    *,
    stream: str | Sequence[str] | None = None,
    target: int = 0,
    alpha: float = 0.05,
    ceiling: bool = True,
) -> Figure:
    """Draw scores over timesteps, one panel per area, one line per stream.

    Parameters
    ----------
    result : RsaResult
        Its models carry area, stream and timestep.
    stream : str or sequence of str, optional
        Streams to draw; all by default.
    target : int
        Which roi and time, by position.
    alpha : float
        Filled points: corrected p against zero at most this.
    ceiling : bool
        Whether to show the noise ceiling.

    Returns
    -------
    matplotlib.figure.Figure
        Bars: intervals. Grey band: noise ceiling, lower to upper.
    """
    frame = _of_target(result, target, ("area", "stream", "timestep"))
    streams = _chosen(stream, list(dict.fromkeys(frame["stream"])))
    frame = frame[frame["stream"].isin(streams)]
    areas = list(dict.fromkeys(frame["area"]))
    columns = len(areas) if len(areas) <= 5 else 4
    rows = -(-len(areas) // columns)
    with mpl.rc_context(RC):
        figure = new_figure(min(max(1.75 * columns, 2.6) + 0.2, PAGE), 1.6 * rows + 0.6)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis in axes.ravel()[len(areas) :]:
            axis.set_visible(False)
        steps = np.sort(frame["timestep"].astype(int).unique())
        for axis, area in zip(axes.ravel(), areas, strict=False):
            shown = ceiling and _ceiling(axis, frame)
            axis.axhline(0, color="black", linewidth=0.5, zorder=1)
            for i, name in enumerate(streams):
                part = frame[(frame["area"] == area) & (frame["stream"] == name)].sort_values("timestep")
                shift = 0.16 * (i - (len(streams) - 1) / 2)
                _line(
                    axis, part, part["timestep"].astype(float) + shift, STREAM_COLOURS.get(name, "black"), name, alpha
                )
            axis.set_title(area, fontweight="bold")
            axis.set_xticks(steps[:: max(1, len(steps) // 6)])
            axis.tick_params(labelbottom=True)
        for axis in axes[:, 0]:
            axis.set_ylabel(result.label)
        figure.supxlabel("model timestep", fontsize=8)
        handles: list[Any] = [
            mpl.lines.Line2D(
                [],
                [],
                color=STREAM_COLOURS.get(s, "black"),
                marker=STREAM_MARKERS.get(s, "o"),
                linestyle=STREAM_LINES.get(s, "-"),
                label=STREAM_NAMES.get(s, s),
            )
            for s in streams
        ]
        handles.append(
            mpl.lines.Line2D(
                [],
                [],
                color="black",
                marker="o",
                markerfacecolor="white",
                linestyle="",
                label=f"not above 0 (p > {alpha:g})" if frame["p_zero"].notna().any() else "not tested against 0",
            )
        )
        if shown:
            handles.append(mpl.patches.Patch(color=CEILING_COLOUR, alpha=0.6, label="noise ceiling"))
        figure.legend(
            handles=handles,
            loc="outside upper center",
            title=_target_title(result, target),
            ncols=len(handles) if figure.get_figwidth() > 5 else 2,
        )
    return figure


def plot_models(result: RsaResult, *, target: int = 0, alpha: float = 0.05) -> Figure:
    """Draw the score of each model with its interval, subjects as dots, and the noise ceiling, best model first.

    Parameters
    ----------
    result : RsaResult
    target : int
        Which roi and time, by position.
    alpha : float
        Filled points: corrected p against zero at most this.
    """
    frame = _of_target(result, target, ()).sort_values("score", ascending=False)
    subjects = result.dataset["score_subject"].isel(target=target).transpose("model", "subject")
    names = [str(n) for n in result.dataset["model"].values]
    with mpl.rc_context(RC):
        figure = new_figure(4.2, 0.9 + 0.2 * len(frame))
        axis = figure.subplots()
        _ceiling(axis, frame, across="x")
        axis.axvline(0, color="black", linewidth=0.5)
        listed_rows: Any = frame.itertuples()
        for y, row in enumerate(listed_rows):
            own = subjects.values[names.index(str(row.model))]
            axis.plot(own, np.full(len(own), y), "|", color=GREY, markersize=5, zorder=2)
            axis.hlines(y, row.ci_low, row.ci_high, color=STREAM_COLOURS["bu"], zorder=3)
            full = row.p_zero_corrected <= alpha
            axis.plot(
                row.score, y, "o", color=STREAM_COLOURS["bu"], markerfacecolor=None if full else "white", zorder=4
            )
        axis.set_yticks(range(len(frame)), frame["model"])
        axis.set_ylim(len(frame) - 0.4, -0.6)
        axis.set_xlabel(result.label)
        axis.set_title(_target_title(result, target))
    return figure


def plot_matrix(result: RsaResult, *, stream: str | Sequence[str] | None = None, alpha: float = 0.05) -> Figure:
    """Draw scores as area × timestep matrices, one panel per stream and roi.

    Parameters
    ----------
    result, stream
        As :func:`plot_time_course`.
    alpha : float
        Dots: corrected p against zero at most this. A frame marks the best cell of each roi; it is broken where halves of the
        data disagree about it, or its score on the other half may be zero. Empty cells: the site is not active at this timestep.
    """
    frame = pd.concat(
        [_of_target(result, t, ("area", "stream", "timestep")) for t in range(result.dataset.sizes["target"])]
    )
    streams = _chosen(stream, list(dict.fromkeys(frame["stream"])))
    frame = frame[frame["stream"].isin(streams)]
    areas, targets = list(dict.fromkeys(frame["area"])), list(dict.fromkeys(frame["target"]))
    steps = np.sort(frame["timestep"].astype(int).unique())
    low, high = min(0.0, float(frame["score"].min())), float(frame["score"].max())
    fair = result.best(nested=True).set_index("target")
    sure = (fair["stability"] >= 0.5) & (fair["ci_low"] > 0)
    with mpl.rc_context(RC):
        width = 0.7 + len(targets) * (0.45 + 0.24 * len(steps)) + 0.5
        figure = new_figure(min(max(width, 2.6), 2 * PAGE), 0.75 + len(streams) * (0.35 + 0.22 * len(areas)))
        axes = figure.subplots(len(streams), len(targets), squeeze=False, sharex=True, sharey=True)
        for column, t in enumerate(targets):
            of_target = frame[frame["target"] == t]
            best = of_target.loc[of_target["score"].idxmax()] if of_target["score"].notna().any() else None
            for row, name in enumerate(streams):
                axis = axes[row, column]
                image = _cells(axis, of_target[of_target["stream"] == name], areas, steps, alpha, (low, high))
                if best is not None and best["stream"] == name:
                    x, y = np.searchsorted(steps, int(best["timestep"])), areas.index(best["area"])
                    axis.add_patch(
                        mpl.patches.Rectangle(
                            (x - 0.5, y - 0.5),
                            1,
                            1,
                            fill=False,
                            clip_on=False,
                            edgecolor=ACCENT,
                            linewidth=1.4,
                            linestyle="-" if sure[t] else (0, (2, 1.5)),
                        )
                    )
                axis.set_title(", ".join(p for p in (_target_title(result, int(t)), STREAM_NAMES.get(name, name)) if p))
                if column == 0:
                    axis.set_ylabel("area")
                if row == len(streams) - 1:
                    axis.set_xlabel("model timestep")
        bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=18)
        bar.set_label(result.label)
        bar.outline.set_linewidth(0.5)
    return figure


def _cells(
    axis: Axes,
    frame: pd.DataFrame,
    areas: list[str],
    steps: np.ndarray[Any, Any],
    alpha: float,
    limits: tuple[float, float],
) -> Any:
    score, p = np.full((2, len(areas), len(steps)), np.nan)
    listed_rows: Any = frame.itertuples()
    for row in listed_rows:
        cell = areas.index(row.area), np.searchsorted(steps, int(row.timestep))
        score[cell], p[cell] = row.score, row.p_zero_corrected
    image = axis.imshow(score, cmap=SCORE_MAP, vmin=limits[0], vmax=limits[1], aspect="auto", origin="lower")
    y, x = np.nonzero(p <= alpha)
    middle = sum(limits) / 2
    axis.scatter(
        x, y, s=4, c=["black" if score[a, b] > middle else "white" for a, b in zip(y, x, strict=True)], linewidths=0
    )
    axis.set_yticks(range(len(areas)), areas)
    axis.set_xticks(range(len(steps)), [str(s) for s in steps])
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(length=0)
    return image


def _line(axis: Axes, part: pd.DataFrame, x: Any, colour: str, name: str, alpha: float) -> None:
    if part.empty:
        return
    axis.plot(x, part["score"], color=colour, linestyle=STREAM_LINES.get(name, "-"), zorder=3)
    axis.vlines(x, part["ci_low"], part["ci_high"], color=colour, linewidth=0.8, zorder=2)
    face = [colour if p <= alpha else "white" for p in part["p_zero_corrected"]]
    axis.scatter(
        x,
        part["score"],
        s=12,
        c=face,
        marker=STREAM_MARKERS.get(name, "o"),
        edgecolors=colour,
        linewidths=0.8,
        zorder=4,
        label=name,
    )


def _ceiling(axis: Axes, frame: pd.DataFrame, across: str = "y") -> bool:
    low, high = frame["ceiling_lower"].iloc[0], frame["ceiling_upper"].iloc[0]
    if np.isnan(low):
        return False
    span = axis.axhspan if across == "y" else axis.axvspan
    span(low, high, color=CEILING_COLOUR, alpha=0.6, linewidth=0, zorder=0)
    return True


def _of_target(result: RsaResult, target: int, needed: tuple[str, ...]) -> pd.DataFrame:
    n = result.dataset.sizes["target"]
    if not 0 <= target < n:
        raise SpecError(f"there are targets 0 to {n - 1}; got {target}")
    frame = result.to_frame()
    absent = [c for c in needed if c not in frame]
    if absent:
        raise DataError(f"this figure needs models with {', '.join(needed)}; they have no {', '.join(absent)}")
    frame = frame[frame["target"] == target]
    order = {str(name): i for i, name in enumerate(result.dataset["model"].values)}
    return frame.sort_values("model", key=lambda names: names.map(order), kind="stable")


def _chosen(stream: str | Sequence[str] | None, there: list[str]) -> list[str]:
    if stream is None:
        return there
    wanted = [stream] if isinstance(stream, str) else list(stream)
    for name in wanted:
        if name not in there:
            raise unknown("stream", name, there)
    return wanted


def _target_title(result: RsaResult, target: int) -> str:
    parts = []
    if "roi" in result.dataset.coords:
        parts.append(str(result.dataset["roi"].values[target]))
    if "time" in result.dataset.coords:
        parts.append(f"{1000 * float(result.dataset['time'].values[target]):.0f} ms")
    return " ".join(parts)
