"""What the page's figures share, made with plotly: readable in black and white, with a table and a sentence for each."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..figures import AREAS, DARK_PALETTE, PALETTE, borders, score_scale

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star", "x", "triangle-down")
INK, GROUND, GRID, AXIS, BAND, EDGE, NOTE = (
    "#111111", "#ffffff", "#d0d0d0", "#808080", "#d9d9d9", "#555555", "#333333"
)  # fmt: skip
DARK = dict(zip(PALETTE, DARK_PALETTE, strict=True)) | {
    INK: "#eeeeee", GROUND: "#14161a", GRID: "#3a3d42", AXIS: "#8a8d92", BAND: "#33363b", EDGE: "#a8abb0", NOTE: "#cccccc",
}  # fmt: skip
"""What the page draws in place of a colour where the reader's system is dark."""
ALPHA = 0.05


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


@dataclass(frozen=True)
class Series:
    """A line over timesteps or time: (x, y), with the ends of intervals and corrected p values where there are any."""

    name: str
    x: Sequence[float]
    y: Sequence[float] | np.ndarray
    low: Sequence[float] | np.ndarray | None = None
    high: Sequence[float] | np.ndarray | None = None
    p: Sequence[float] | np.ndarray | None = None


def _cell(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return f"{value:.3g}" if math.isfinite(value) else ""
    return value if isinstance(value, str) else str(value)


def safe(text: object) -> str:
    """Text for plotly, which reads a little HTML but no entity for quotes."""
    return html.escape(str(text), quote=False)


def layout(x: str, y: str, **more: Any) -> dict[str, Any]:
    """What all figures share."""
    axis = {"automargin": True, "gridcolor": GRID, "zerolinecolor": AXIS, "linecolor": AXIS}
    return {
        "xaxis": {"title": {"text": safe(x)}, **axis},
        "yaxis": {"title": {"text": safe(y)}, **axis},
        "font": {"size": 14, "color": INK, "family": "system-ui, sans-serif"},
        "paper_bgcolor": GROUND, "plot_bgcolor": GROUND, "dragmode": False, "autosize": True,
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


def plain(values: Any) -> list[Any]:
    """Numbers as a list that JSON has, also with those versions of plotly that write arrays in base64."""
    found = np.asarray(values, np.float64)
    return np.where(np.isfinite(found), found, None).tolist()  # type: ignore[call-overload]


def course(
    label: str, series: Sequence[Series], *, x: str, y: str, said: str, reference: tuple[str, Sequence[float]] | None = None
) -> Option:  # fmt: skip
    """Lines over timesteps or time that differ by colour, dash, symbol and a small shift; hollow where not significant.

    Parameters
    ----------
    label : str
        Of the choice.
    series : sequence of Series
    x, y : str
        What the axes are.
    said : str
        Follows what is highest, in the sentence beside the figure.
    reference : (name, (level,) or (lower, upper)), optional
        A dotted line, or a band: chance, a noise ceiling.
    """
    traces = [_line(one, k, len(series), x) for k, one in enumerate(series)]
    shapes, notes = _reference(reference)
    laid_out = layout(x, y, shapes=shapes, annotations=notes)
    ticks = sorted({v for one in series for v in one.x})
    if x == "timestep":
        laid_out["xaxis"] |= {"tickvals": ticks}
    unit = "at timestep {:g}" if x == "timestep" else "at {:g} ms"
    found = [(float(v), one.name, at) for one in series for at, v in zip(one.x, one.y, strict=True) if v == v]
    best = max(found, default=None)
    highest = "none" if best is None else f"{best[1]} {unit.format(best[2])}, {best[0]:.3f}"
    columns, rows = _table(series, x, y)
    return Option(
        label, as_json(traces, laid_out), f"{_about(y, label)}. Highest: {highest}. {said}".strip(), columns, rows
    )


def _about(y: str, label: str) -> str:
    """What is drawn of which choice; once where the choice names it."""
    return label if label.startswith(y.removeprefix("mean ")) else f"{y}, {label}"


def _line(one: Series, index: int, count: int, x: str) -> Any:
    import plotly.graph_objects as go

    k = AREAS.index(one.name) if one.name in AREAS else index % len(PALETTE)
    shift, bars = 0.0, {}
    y = np.asarray(one.y, np.float64)
    if one.low is not None and one.high is not None and np.isfinite(np.asarray(one.low, np.float64)).any():
        shift = 0.3 * ((index + 0.5) / count - 0.5) if x == "timestep" else 0.0
        low, high = np.nan_to_num(y - np.asarray(one.low)), np.nan_to_num(np.asarray(one.high) - y)
        bars = {
            "error_y": {"array": plain(high), "arrayminus": plain(low), "thickness": 1, "width": 3, "color": PALETTE[k]}
        }
    symbols: Any = SYMBOLS[k]
    if one.p is not None and np.isfinite(np.asarray(one.p, np.float64)).any():
        symbols = [SYMBOLS[k] if p <= ALPHA else f"{SYMBOLS[k]}-open" for p in one.p]
    unit = "timestep %{customdata}" if x == "timestep" else "%{customdata} ms"
    return go.Scatter(
        x=[t + shift for t in one.x],
        y=plain(y),
        customdata=list(one.x),
        name=safe(one.name),
        mode="lines+markers" if len(one.x) <= 24 else "lines",
        line={"color": PALETTE[k], "dash": DASHES[k], "width": 2},
        marker={"symbol": symbols, "size": 8, "color": PALETTE[k]},
        hovertemplate="%{fullData.name}, " + unit + ": %{y:.3f}<extra></extra>",
        **bars,
    )


def _table(series: Sequence[Series], x: str, y: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """A row per point, with the columns that any of the lines has."""
    more = [name for name in ("low", "high", "p") if any(getattr(one, name) is not None for one in series)]
    names = {"low": "ci_low", "high": "ci_high", "p": "p_corrected"}
    rows = []
    for one in series:
        held = [getattr(one, name) if getattr(one, name) is not None else [math.nan] * len(one.x) for name in more]
        rows += [(one.name, *row) for row in zip(one.x, one.y, *held, strict=True)]
    return ("line", "timestep" if x == "timestep" else "ms", y, *(names[name] for name in more)), rows


def _reference(reference: tuple[str, Sequence[float]] | None) -> tuple[list[Any], list[Any]]:
    """A grey band with a border, or a line, and its name; nothing where there is no level."""
    if reference is None or not all(math.isfinite(level) for level in reference[1]):
        return [], []
    low, high = min(reference[1]), max(reference[1])
    band = {
        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": low, "y1": high, "layer": "below",
        "fillcolor": BAND, "line": {"color": EDGE, "width": 1, "dash": "dot"},
    }  # fmt: skip
    note = {
        "xref": "paper", "x": 0.01, "y": high, "text": reference[0], "showarrow": False,
        "yanchor": "top" if high > low else "bottom", "xanchor": "left", "font": {"size": 12, "color": NOTE},
    }  # fmt: skip
    return [band], [note]


def bars(
    label: str, table: Mapping[str, Sequence[Any] | np.ndarray], *, said: str,
    reference: tuple[str, Sequence[float]] | None = None,
) -> Option:  # fmt: skip
    """Bars of what has no timesteps: columns name, score, and where there are any ci_low, ci_high, p_corrected."""
    import plotly.graph_objects as go

    columns = tuple(table)
    names, score = [str(name) for name in table[columns[0]]], np.asarray(table[columns[1]], np.float64)
    error = {}
    if "ci_low" in table:
        low, high = np.asarray(table["ci_low"], np.float64), np.asarray(table["ci_high"], np.float64)
        ends = [plain(np.nan_to_num(end)) for end in (high - score, score - low)]
        error = {"array": ends[0], "arrayminus": ends[1], "color": INK}
    drawn = go.Bar(
        x=[safe(name) for name in names], y=plain(score), marker={"color": PALETTE[0]}, error_y=error,
        hovertemplate="%{x}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    shapes, notes = _reference(reference)
    best = f"{names[int(np.nanargmax(score))]}, {np.nanmax(score):.3f}" if np.isfinite(score).any() else "none"
    figure = as_json([drawn], layout(columns[0], columns[1], showlegend=False, shapes=shapes, annotations=notes))
    alt = f"{_about(columns[1], label)}, {len(names)} bars. Highest: {best}. {said}".strip()
    return Option(label, figure, alt, columns, list(zip(*table.values(), strict=True)))


def matrix(
    label: str, values: np.ndarray, x: np.ndarray, y: np.ndarray, *, titles: tuple[str, str, str], said: str,
    table: tuple[tuple[str, ...], list[tuple[Any, ...]]], outlined: np.ndarray | None = None, low: float = 0.0,
) -> Option:  # fmt: skip
    """A heat map of scores (rows ``y`` from below, columns ``x``) with what ``titles`` call x, y and the values."""
    import plotly.graph_objects as go

    scale = score_scale(values, low=low)
    named = {"viridis": "Viridis", "RdBu_r": "RdBu_r"}[scale["cmap"]]
    heat = go.Heatmap(
        z=plain(values), x=plain(x), y=plain(y), colorscale=named, zmin=scale["vmin"], zmax=scale["vmax"], hoverongaps=False,
        colorbar={"title": {"text": safe(titles[2]), "side": "right"}, "thickness": 14},
        hovertemplate=f"{safe(titles[0])} %{{x}}, {safe(titles[1])} %{{y}}: %{{z:.3f}}<extra></extra>",
    )  # fmt: skip
    shapes = []
    if outlined is not None and outlined.any():
        half = [(v[1] - v[0]) / 2 if len(v) > 1 else 0.5 for v in (x, y)]
        edges = [np.append(v - h, v[-1] + h) for v, h in zip((x, y), half, strict=True)]
        ends = borders(outlined, edges[0], edges[1])
        line = {"color": PALETTE[1], "width": 2}
        shapes = [{"type": "line", "x0": a[0], "y0": a[1], "x1": b[0], "y1": b[1], "line": line} for a, b in ends]
    laid_out = layout(titles[0], titles[1], showlegend=False, shapes=shapes)
    for axis, ticks in (("xaxis", x), ("yaxis", y)):
        laid_out[axis] |= {"showgrid": False, "zeroline": False} | (
            {"tickvals": plain(ticks)} if len(ticks) <= 12 else {}
        )
    return Option(label, as_json([heat], laid_out), f"{titles[2]}, {label}. {said}".strip(), *table)


def rdm_template(ids: Sequence[str]) -> dict[str, Any]:
    """A heatmap whose values the page fills in."""
    import plotly.graph_objects as go

    heat = go.Heatmap(
        z=[[0.0]], customdata=[safe(i) for i in ids], colorscale="Cividis", hoverongaps=False,
        colorbar={
            "title": {"text": "dissimilarity", "side": "top"}, "orientation": "h", "thickness": 14,
            "y": 1.01, "yanchor": "bottom",
        },
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip
    laid_out = layout("stimulus", "stimulus", showlegend=False)
    bare = {"constrain": "domain", "showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    laid_out["xaxis"] |= bare | {"title": {"text": ""}}  # bars of categories take its place
    laid_out["yaxis"] |= bare | {
        "title": {"text": "stimulus", "standoff": 22},
        "autorange": "reversed",
        "scaleanchor": "x",
    }
    return as_json([heat], laid_out)


def mds_template(ids: Sequence[str]) -> dict[str, Any]:
    """A scatter plot whose points the page fills in."""
    import plotly.graph_objects as go

    points = go.Scatter(
        x=[], y=[], mode="markers", text=[safe(i) for i in ids], hovertemplate="%{text}<extra></extra>",
        marker={"size": 9, "color": PALETTE[0], "line": {"width": 1, "color": GROUND}},
    )  # fmt: skip
    laid_out = layout("dimension 1", "dimension 2", showlegend=False)
    for axis in ("xaxis", "yaxis"):
        laid_out[axis] |= {"showticklabels": False}
    laid_out["yaxis"] |= {"scaleanchor": "x"}
    return as_json([points], laid_out)
