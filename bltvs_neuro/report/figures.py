"""The page's figures, made with plotly: readable in black and white, with a table and a sentence for each."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..figures import AREAS, PALETTE, STREAM_NAMES
from ..rsa.result import RsaResult

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star", "x", "triangle-down")


@dataclass(frozen=True)
class Option:
    """One choice of a figure: what is drawn, said and tabulated."""

    label: str
    figure: dict[str, Any]
    alt: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data; numbers that JSON lacks become None."""
        rows = [[_cell(value) for value in row] for row in self.rows]
        return {
            "label": self.label,
            "figure": self.figure,
            "alt": self.alt,
            "columns": list(self.columns),
            "rows": rows,
        }


def _cell(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return f"{value:.3g}" if math.isfinite(value) else ""
    return value if isinstance(value, str) else str(value)


def safe(text: object) -> str:
    """Text for plotly, which reads a little HTML."""
    return html.escape(str(text), quote=True)


def layout(x: str, y: str, **more: Any) -> dict[str, Any]:
    """What all figures share."""
    return {
        "xaxis": {"title": {"text": x}, "automargin": True, "gridcolor": "#d0d0d0", "zerolinecolor": "#808080"},
        "yaxis": {"title": {"text": y}, "automargin": True, "gridcolor": "#d0d0d0", "zerolinecolor": "#808080"},
        "font": {"size": 14, "color": "#111111", "family": "system-ui, sans-serif"},
        "paper_bgcolor": "white", "plot_bgcolor": "white", "dragmode": False, "autosize": True,
        "margin": {"l": 8, "r": 8, "t": 16, "b": 8},
        "showlegend": True,
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        **more,
    }  # fmt: skip


def as_json(traces: Sequence[Any], laid_out: dict[str, Any]) -> dict[str, Any]:
    """A figure as plotly's JSON; plotly checks every name and value in it."""
    import plotly.graph_objects as go

    figure = json.loads(go.Figure(list(traces), laid_out).to_json())
    figure["layout"].pop("template", None)
    return dict(figure)


def line(
    x: Sequence[int],
    y: Sequence[float] | np.ndarray,
    name: str,
    index: int,
    count: int,
    error: Sequence[Sequence[float]] | None = None,
) -> Any:
    """A line over timesteps that differs from the ``count`` lines by colour, dash, symbol and a small shift."""
    import plotly.graph_objects as go

    k = AREAS.index(name) if name in AREAS else index % len(PALETTE)
    shift, bars = 0.0, {}
    if error is not None:
        shift = 0.3 * ((index + 0.5) / count - 0.5)
        bars = {"error_y": {"array": error[1], "arrayminus": error[0], "thickness": 1, "width": 3, "color": PALETTE[k]}}
    return go.Scatter(
        x=[t + shift for t in x],
        y=[float(v) if math.isfinite(v) else None for v in y],
        customdata=list(x),
        name=safe(name),
        mode="lines+markers",
        line={"color": PALETTE[k], "dash": DASHES[k], "width": 2},
        marker={"symbol": SYMBOLS[k], "size": 8, "color": PALETTE[k]},
        hovertemplate="%{fullData.name}, timestep %{customdata}: %{y:.3f}<extra></extra>",
        **bars,
    )


def rsa_options(result: RsaResult) -> list[Option]:
    """A choice for each target and stream: scores over timesteps, with ceilings; bars where models have no timesteps."""
    data = result.dataset
    options = []
    for t in range(data.sizes["target"]):
        target = data.isel(target=t)
        where = ", ".join(f"{key} {target[key].item()}" for key in ("roi", "time") if key in target.coords) or "data"
        ceilings = float(target["ceiling_lower"]), float(target["ceiling_upper"])
        if all(key in data.coords for key in ("area", "stream", "timestep")):
            for stream in dict.fromkeys(str(s) for s in data["stream"].values):
                keep = np.flatnonzero(data["stream"].values.astype(str) == stream)
                name = f"{where}, {STREAM_NAMES.get(stream, stream)}"
                options.append(_rsa_course(target.isel(model=keep), name, ceilings, result))
        else:
            options.append(_rsa_bars(target, where, ceilings, result))
    return options


def _rsa_course(target: xr.Dataset, label: str, ceilings: tuple[float, float], result: RsaResult) -> Option:
    traces, rows, best = [], [], (-math.inf, "")
    steps = sorted({int(t) for t in target["timestep"].values})
    areas = list(dict.fromkeys(str(a) for a in target["area"].values))
    for index, area in enumerate(areas):
        keep = np.flatnonzero(target["area"].values.astype(str) == area)
        part = target.isel(model=keep[np.argsort(target["timestep"].values[keep])])
        score, low, high = (part[k].values for k in ("score", "ci_low", "ci_high"))
        x = [int(t) for t in part["timestep"].values]
        traces.append(
            line(x, score, area, index, len(areas), [np.nan_to_num(score - low), np.nan_to_num(high - score)])
        )
        rows += [(area, *row) for row in zip(x, score, low, high, strict=True)]
        best = max(best, *((float(s), f"{area} at timestep {t}") for s, t in zip(score, x, strict=True) if s == s))
    shapes, notes = _ceiling(ceilings, steps)
    alt = (
        f"{result.label} with {label} over timesteps. Highest: {best[1]}, {best[0]:.3f}. Noise ceiling "
        f"{ceilings[0]:.3f} to {ceilings[1]:.3f}. Error bars: {result.provenance['options'].get('confidence', 0.95):.0%} "
        "intervals."
    )
    laid_out = layout("timestep", safe(result.label), shapes=shapes, annotations=notes)
    laid_out["xaxis"] |= {"tickvals": steps}
    return Option(label, as_json(traces, laid_out), alt, ("area", "timestep", "score", "ci_low", "ci_high"), rows)


def _rsa_bars(target: xr.Dataset, label: str, ceilings: tuple[float, float], result: RsaResult) -> Option:
    import plotly.graph_objects as go

    names = [str(n) for n in target["model"].values]
    score, low, high = (target[k].values for k in ("score", "ci_low", "ci_high"))
    bars = go.Bar(
        x=[safe(n) for n in names], y=score, marker={"color": PALETTE[0]},
        error_y={"array": np.nan_to_num(high - score), "arrayminus": np.nan_to_num(score - low), "color": "#111111"},
        hovertemplate="%{x}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    shapes, notes = _ceiling(ceilings, None)
    best = int(np.nanargmax(score)) if np.isfinite(score).any() else 0
    alt = (
        f"{result.label} of {len(names)} models with {label}. Highest: {names[best]}, {score[best]:.3f}. Noise ceiling "
        f"{ceilings[0]:.3f} to {ceilings[1]:.3f}."
    )
    figure = as_json([bars], layout("model", safe(result.label), showlegend=False, shapes=shapes, annotations=notes))
    return Option(
        label, figure, alt, ("model", "score", "ci_low", "ci_high"), list(zip(names, score, low, high, strict=True))
    )


def _ceiling(ceilings: tuple[float, float], steps: Sequence[int] | None) -> tuple[list[Any], list[Any]]:
    """A grey band with a border and its name; nothing where there is no ceiling."""
    low, high = ceilings
    if not (math.isfinite(low) and math.isfinite(high)):
        return [], []
    band = {
        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": low, "y1": high, "layer": "below",
        "fillcolor": "#d9d9d9", "line": {"color": "#555555", "width": 1, "dash": "dot"},
    }  # fmt: skip
    note = {
        "xref": "paper", "x": 0.01, "y": high, "text": "noise ceiling", "showarrow": False, "yanchor": "top",
        "font": {"size": 12, "color": "#333333"},
    }  # fmt: skip
    return [band], [note]


def encoding_options(dataset: xr.Dataset) -> list[Option]:
    """Mean scores over neuroids, for each score and roi, by area and stream over timesteps."""
    options = []
    rois: list[str | None] = [None]
    if "roi" in dataset.coords:
        rois += list(dict.fromkeys(str(r) for r in dataset["roi"].values))
    for score in ("r2", "r", "r2_normalised", "r_normalised"):
        if score in dataset:
            for roi in rois if len(rois) > 2 else rois[:1]:
                some = dataset[score] if roi is None else dataset[score].isel(neuroid=_where(dataset["roi"], roi))
                options += _by_stream(dataset, some, score, roi or "all neuroids")
    return options


def _by_stream(dataset: xr.Dataset, some: xr.DataArray, score: str, label: str) -> list[Option]:
    """One choice for each stream of the model, where spaces have one."""
    if "stream" not in dataset.coords:
        return [_encoding(dataset, some, score, label)]
    found = []
    for stream in dict.fromkeys(str(s) for s in dataset["stream"].values):
        at = _where(dataset["stream"], stream)
        name = f"{label}, {STREAM_NAMES.get(stream, stream)}"
        found.append(_encoding(dataset.isel(space=at), some.isel(space=at), score, name))
    return found


def partition_options(dataset: xr.Dataset) -> list[Option]:
    """Mean unique and shared variance over neuroids; one choice per part."""
    parts = [str(p) for p in dataset["part"].values]
    names = [f"shared by {part}" if "&" in part else f"unique to {part}" for part in parts]
    each = (_by_stream(dataset, dataset["variance"].isel(part=i), "R²", name) for i, name in enumerate(names))
    return [option for options in each for option in options]


def _where(values: xr.DataArray, wanted: str) -> np.ndarray:
    return np.flatnonzero(values.values.astype(str) == wanted)


def _encoding(dataset: xr.Dataset, some: xr.DataArray, score: str, label: str) -> Option:
    rest = [dim for dim in some.dims if dim != "space"]
    means = some.mean(rest, skipna=True).values
    count = int(some.isel(space=0).size)
    traces: list[Any] = []
    rows: list[tuple[Any, ...]] = []
    title = {"r2": "mean R²", "r": "mean r"}.get(score, f"mean {score.replace('_', ' ')}")
    laid_out = layout("timestep", safe(title))
    if "timestep" in dataset.coords and "area" in dataset.coords:
        laid_out["xaxis"] |= {"tickvals": sorted(set(dataset["timestep"].values.astype(int).tolist()))}
        areas, steps = dataset["area"].values.astype(str), dataset["timestep"].values.astype(int)
        names = list(dict.fromkeys(areas.tolist()))
        for index, name in enumerate(names):
            at = np.flatnonzero(areas == name)
            traces.append(line(steps[at].tolist(), means[at], name, index, len(names)))
            rows += [(name, *row) for row in zip(steps[at].tolist(), means[at], strict=True)]
        columns: tuple[str, ...] = ("area", "timestep", score)
    else:
        import plotly.graph_objects as go

        names = (
            [str(n) for n in dataset["name"].values] if "name" in dataset.coords else list(map(str, range(len(means))))
        )
        traces = [go.Bar(x=[safe(n) for n in names], y=means, marker={"color": PALETTE[0]})]
        rows = list(zip(names, means, strict=True))
        columns, laid_out = ("features", score), layout("features", safe(title), showlegend=False)
    finite = [row for row in rows if math.isfinite(row[-1])]
    best = max(finite, key=lambda row: float(row[-1]), default=())
    highest = f"{' at timestep '.join(map(str, best[:-1]))}, {best[-1]:.3f}" if best else "none"
    alt = f"Mean {score} of {label} ({count} targets). Highest: {highest}."
    return Option(f"{score}, {label}", as_json(traces, laid_out), alt, columns, rows)


def rdm_template(ids: Sequence[str]) -> dict[str, Any]:
    """A heatmap whose values the page fills in."""
    import plotly.graph_objects as go

    labels = [safe(i) for i in ids]
    heat = go.Heatmap(
        z=[[0.0]], customdata=labels, colorscale="Cividis", hoverongaps=False,
        colorbar={
            "title": {"text": "dissimilarity", "side": "top"}, "orientation": "h", "thickness": 14,
            "y": 1.01, "yanchor": "bottom",
        },
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    laid_out = layout("stimulus", "stimulus", showlegend=False)
    laid_out["xaxis"] |= {"constrain": "domain", "showgrid": False, "zeroline": False}
    laid_out["yaxis"] |= {
        "autorange": "reversed", "scaleanchor": "x", "constrain": "domain", "showgrid": False, "zeroline": False
    }  # fmt: skip
    return as_json([heat], laid_out)


def mds_template(ids: Sequence[str]) -> dict[str, Any]:
    """A scatter plot whose points the page fills in."""
    import plotly.graph_objects as go

    points = go.Scatter(
        x=[], y=[], mode="markers", text=[safe(i) for i in ids], hovertemplate="%{text}<extra></extra>",
        marker={"size": 9, "color": PALETTE[0], "line": {"width": 1, "color": "white"}},
    )  # fmt: skip
    laid_out = layout("dimension 1", "dimension 2", showlegend=False)
    for axis in ("xaxis", "yaxis"):
        laid_out[axis] |= {"showticklabels": False}
    laid_out["yaxis"] |= {"scaleanchor": "x"}
    return as_json([points], laid_out)
