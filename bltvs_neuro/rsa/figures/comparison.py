"""Figures of a comparison: time courses with ceiling and intervals, area × timestep matrices, models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from ...errors import DataError, SpecError, counted, unknown
from ...figures import (
    ACCENT,
    STREAM_COLOURS,
    TIMESTEP_LABEL,
    Place,
    Sheet,
    at_time,
    contrasting,
    drawn,
    in_order,
    ink,
    line_key,
    score_scale,
    step_ticks,
    stream_style,
)

if TYPE_CHECKING:
    from ..result import RsaResult


@drawn
def plot_time_course(
    result: RsaResult,
    *,
    stream: str | Sequence[str] | None = None,
    target: int = 0,
    alpha: float = 0.05,
    ceiling: bool = True,
    ax: Place = None,
) -> np.ndarray:
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
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each panel.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per area, from V1 up. Bars: intervals. Grey band: noise ceiling, lower to upper.
    """
    frame = _of_target(result, target, ("area", "stream", "timestep"))
    streams = _chosen(stream, list(dict.fromkeys(frame["stream"])))
    frame = frame[frame["stream"].isin(streams)]
    areas = in_order(frame["area"])
    columns = len(areas) if len(areas) <= 5 else 4
    sheet = Sheet(ax, len(areas), columns=columns, size=(1.35, 1.6), room=(0.4, 0.9), share="xy")
    shown = hollow = False
    for axis, area in zip(sheet.axes, areas, strict=True):
        shown = ceiling and _ceiling(axis, frame)
        axis.axhline(0, color=ink(), linewidth=0.5, zorder=1)
        for i, name in enumerate(streams):
            part = frame[(frame["area"] == area) & (frame["stream"] == name)].sort_values("timestep")
            shift = 0.16 * (i - (len(streams) - 1) / 2)
            _line(axis, part, part["timestep"].astype(float) + shift, name, alpha)
            hollow |= not (part["p_zero_corrected"] <= alpha).all()
        axis.set_title(area, fontweight="bold")
        step_ticks(axis, frame["timestep"])
    sheet.label_x(TIMESTEP_LABEL)
    for axis in sheet.left:
        axis.set_ylabel(result.label)
    handles: list[Any] = [line_key(**stream_style(s)) for s in streams]
    if hollow:
        tested = frame["p_zero"].notna().any()
        label = f"not above 0 (p > {alpha:g})" if tested else "not tested against 0"
        handles.append(line_key(label, color=ink(), marker="o", markerfacecolor="none", linestyle=""))
    if shown:
        handles.append(Patch(color=ink(0.2), label="noise ceiling"))
    sheet.key(handles, title=_target_title(result, target))
    sheet.caption(*_said(result, target, alpha), provenance=result.provenance)
    return sheet.axes


@drawn
def plot_models(result: RsaResult, *, target: int = 0, alpha: float = 0.05, ax: Axes | None = None) -> Axes:
    """Draw the score of each model with its interval, subjects as strokes, and the noise ceiling, best model first.

    Parameters
    ----------
    result : RsaResult
    target : int
        Which roi and time, by position.
    alpha : float
        Filled points: corrected p against zero at most this.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
    """
    frame = _of_target(result, target, ()).sort_values("score", ascending=False)
    subjects = result.dataset["score_subject"].isel(target=target).transpose("model", "subject")
    names = [str(n) for n in result.dataset["model"].values]
    sheet = Sheet(ax, size=(4.2, 0.2 * len(frame)), room=(0, 1.3))
    axis: Axes = sheet.axes[0]
    shown = _ceiling(axis, frame, across="x")
    axis.axvline(0, color=ink(), linewidth=0.5)
    colour = STREAM_COLOURS["bu"]
    filled = (frame["p_zero_corrected"] <= alpha).to_numpy()
    listed_rows: Any = frame.itertuples()
    for y, row in enumerate(listed_rows):
        own = subjects.values[names.index(str(row.model))]
        axis.plot(own, np.full(len(own), y), "|", color=ink(0.6), markersize=5, zorder=2)
        axis.hlines(y, row.ci_low, row.ci_high, color=colour, zorder=3)
        axis.plot(row.score, y, "o", color=colour, markerfacecolor=colour if filled[y] else ink(0), zorder=4)
    axis.set_yticks(range(len(frame)), frame["model"])
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.set_xlabel(result.label)
    sheet.key([Patch(color=ink(0.2), label="noise ceiling")] if shown else [], title=_target_title(result, target))
    said = _said(result, target, alpha)
    if not filled.all():
        tested = frame["p_zero"].notna().any()
        said.insert(0, f"Hollow: not above 0 (p > {alpha:g})" if tested else "Not tested against 0")
    sheet.caption("Strokes: subjects", *said, provenance=result.provenance)
    return axis


@drawn
def plot_matrix(
    result: RsaResult, *, stream: str | Sequence[str] | None = None, alpha: float = 0.05, ax: Place = None
) -> np.ndarray:
    """Draw scores as area × timestep matrices, one panel per stream and roi.

    Parameters
    ----------
    result, stream, ax
        As :func:`plot_time_course`.
    alpha : float
        Dots: corrected p against zero at most this. A frame marks the best cell of each roi; it is broken where halves of the
        data disagree about it, or its score on the other half may be zero. Empty cells: the site is not active at this timestep.

    Returns
    -------
    array of matplotlib.axes.Axes
    """
    frame = pd.concat(
        [_of_target(result, t, ("area", "stream", "timestep")) for t in range(result.dataset.sizes["target"])]
    )
    streams = _chosen(stream, list(dict.fromkeys(frame["stream"])))
    frame = frame[frame["stream"].isin(streams)]
    areas, targets = in_order(frame["area"]), list(dict.fromkeys(frame["target"]))
    steps = np.sort(frame["timestep"].astype(int).unique())
    scale = score_scale(frame["score"])
    fair = result.best(nested=True).set_index("target")
    sure = (fair["stability"] >= 0.5) & (fair["ci_low"] > 0)
    sheet = Sheet(
        ax, len(streams) * len(targets), columns=len(targets), size=(0.6 + 0.24 * len(steps), 0.45 + 0.22 * len(areas)),
        room=(1.2, 0.6), share="xy",
    )  # fmt: skip
    dots = False
    for i, axis in enumerate(sheet.axes):
        name, t = streams[i // len(targets)], targets[i % len(targets)]
        of_target = frame[frame["target"] == t]
        part = of_target[of_target["stream"] == name]
        image = _cells(axis, part, areas, steps, alpha, scale)
        dots |= bool((part["p_zero_corrected"] <= alpha).any())
        best = of_target.loc[of_target["score"].idxmax()] if of_target["score"].notna().any() else None
        if best is not None and best["stream"] == name:
            corner = np.searchsorted(steps, int(best["timestep"])) - 0.5, areas.index(best["area"]) - 0.5
            line = "-" if sure[t] else (0, (2, 1.5))
            axis.add_patch(
                Rectangle(corner, 1, 1, fill=False, clip_on=False, edgecolor=ACCENT, linewidth=1.4, linestyle=line)
            )
        axis.set_title(", ".join(filter(None, (_target_title(result, int(t)), stream_style(name)["label"]))))
    for axis in sheet.left:
        axis.set_ylabel("area")
    sheet.label_x(TIMESTEP_LABEL)
    sheet.bar(image, result.label)
    said = _said(result, 0, alpha)[2:]
    if dots:
        said.insert(0, f"Dots: above 0 (p ≤ {alpha:g}, {_correction(result)})")
    frames = "Frame: best of all" + ("" if sure.all() else "; broken: halves of the data do not support it")
    sheet.caption(frames, *said, provenance=result.provenance)
    return sheet.axes


def _cells(
    axis: Axes,
    frame: pd.DataFrame,
    areas: list[str],
    steps: np.ndarray[Any, Any],
    alpha: float,
    scale: dict[str, Any],
) -> Any:
    score, p = np.full((2, len(areas), len(steps)), np.nan)
    listed_rows: Any = frame.itertuples()
    for row in listed_rows:
        cell = areas.index(row.area), np.searchsorted(steps, int(row.timestep))
        score[cell], p[cell] = row.score, row.p_zero_corrected
    image = axis.imshow(score, aspect="auto", origin="lower", **scale)
    y, x = np.nonzero(p <= alpha)
    colours = [contrasting(image.to_rgba(score[a, b])[:3]) for a, b in zip(y, x, strict=True)]
    axis.scatter(x, y, s=4, c=colours, linewidths=0)
    axis.set_yticks(range(len(areas)), areas)
    axis.set_xticks(range(len(steps)), [str(s) for s in steps])
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(length=0)
    return image


def _line(axis: Axes, part: pd.DataFrame, x: Any, name: str, alpha: float) -> None:
    if part.empty:
        return
    style = stream_style(name)
    colour, marker = style["color"], style.pop("marker")
    axis.plot(x, part["score"], zorder=3, **style)
    axis.vlines(x, part["ci_low"], part["ci_high"], color=colour, linewidth=0.8, zorder=2)
    face = [colour if p <= alpha else ink(0) for p in part["p_zero_corrected"]]
    axis.scatter(x, part["score"], s=12, c=face, marker=marker, edgecolors=colour, linewidths=0.8, zorder=4)


def _ceiling(axis: Axes, frame: pd.DataFrame, across: str = "y") -> bool:
    low, high = frame["ceiling_lower"].iloc[0], frame["ceiling_upper"].iloc[0]
    if np.isnan(low):
        return False
    span = axis.axhspan if across == "y" else axis.axvspan
    span(low, high, color=ink(0.2), linewidth=0, zorder=0)
    return True


def _said(result: RsaResult, target: int, alpha: float) -> list[str]:
    """What bars and points are, and how many stimuli and subjects stand behind them."""
    about = result.provenance
    options, subjects = about["options"], int(result.dataset["n_subjects"].values.ravel()[target])
    stimuli = about.get("n_stimuli")
    here = result.dataset.isel(target=target)
    known, above = bool(here["ci_low"].notnull().any()), bool((here["p_zero_corrected"] <= alpha).any())
    return [
        f"Bars: {100 * options['confidence']:g} % intervals ({options['variance']})" if known else "",
        f"Filled: above 0 (p ≤ {alpha:g}, {_correction(result)})" if above else "",
        f"{stimuli} stimuli, {counted(subjects, 'subject')}",
    ]  # fmt: skip


def _correction(result: RsaResult) -> str:
    """The correction for many tests, as figures name it."""
    method = result.provenance["options"]["correction"]
    return {"fdr": "false discovery rate", "none": "uncorrected"}.get(method, str(method))


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
        parts.append(at_time(float(result.dataset["time"].values[target])))
    return " ".join(parts)
