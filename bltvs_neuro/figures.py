"""How figures look: where they are drawn, what they say of themselves, colours that colour-blind readers tell apart.

A style (``plt.style.use``, ``rcParams``) comes first: it sets fonts, sizes and the colours of text and background, and what
is drawn in the colour of text follows it, on a dark background too.
"""

from __future__ import annotations

import functools
import json
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .durable import whole_file
from .errors import SpecError, counted, unknown

Plot = TypeVar("Plot", bound=Callable[..., Any])
Place = Axes | Sequence[Axes] | np.ndarray | None
"""Where to draw: a figure of its own (None); an Axes, whose place is divided among several panels; or one for each."""

STREAM_COLOURS = {"bu": "#0072B2", "td": "#D55E00", "bu+td": "#009E73"}
"""Okabe and Ito (2008)."""
DARK_STREAM_COLOURS = {"bu": "#56B4E9", "td": "#FF9E4A", "bu+td": "#3DD6A0"}
STREAM_NAMES = {"bu": "bottom-up", "td": "top-down", "bu+td": "both streams"}
"""In figures; tables and code say bu and td."""
STREAM_MARKERS = {"bu": "o", "td": "s", "bu+td": "^"}
STREAM_LINES: dict[str, Any] = {"bu": "-", "td": (0, (3, 1.5)), "bu+td": ":"}
"""So that streams are told apart in grey as well."""
PALETTE = ("#0072B2", "#B84C00", "#00704D", "#A0397A", "#5A5A00", "#4D4D4D", "#6B4FBB", "#8A1C1C")
"""Whatever else is told apart: each has a contrast of 4.5 to white; markers or dashes come with them."""
DARK_PALETTE = ("#56B4E9", "#FF9E4A", "#3DD6A0", "#E889C0", "#D6D65C", "#C8C8C8", "#B7A1F5", "#FF8A80")
"""The same hues on a dark background."""
AREAS = ("Retina", "LGN", "V1", "V2", "V3", "V4", "LOC", "Readout")
MOST_CATEGORIES = 24
"""That bars and colours tell apart."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
ACCENT = STREAM_COLOURS["td"]
"""What is picked out of a figure: clusters, peaks, the best."""
WARNING = "#D32F2F"
SCORE_NAMES = {
    "r": "Pearson r", "r2": "$R^2$", "r_normalised": "Pearson r / ceiling", "r2_normalised": "$R^2$ / ceiling",
}  # fmt: skip
RDM_MAP, SCORE_MAP, SIGNED_MAP = "cividis", "viridis", "RdBu_r"
TIMESTEP_LABEL = "model timestep"
TIME_LABEL = "time after onset (ms)"
FIGURE_ENDINGS = (".png", ".pdf", ".svg")
COLUMN, PAGE = 3.5, 7.2
"""Widths in inches of one and two columns."""

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": "medium",
    "axes.labelsize": "medium",
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
    "legend.fontsize": "small",
    "legend.title_fontsize": "small",
    "figure.titlesize": "medium",
    "figure.labelsize": "medium",
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
}


def in_style() -> Any:
    """Context of :data:`RC`, but for what a style of the reader's own has set."""
    return mpl.rc_context({key: value for key, value in RC.items() if mpl.rcParams[key] == mpl.rcParamsDefault[key]})


def drawn(plot: Plot) -> Plot:
    """Decorator of whatever draws: in the package's style."""

    @functools.wraps(plot)
    def in_our_style(*args: Any, **options: Any) -> Any:
        with in_style():
            return plot(*args, **options)

    return in_our_style  # type: ignore[return-value]


def ink(share: float = 1.0) -> str:
    """The colour of text, or one between it (1) and the background (0)."""
    text, ground = np.array(to_rgb(mpl.rcParams["text.color"])), np.array(to_rgb(_ground()))
    return to_hex(ground + share * (text - ground))


def _ground() -> Any:
    found = mpl.rcParams["axes.facecolor"]
    return found if found != "none" else "white"


def contrasting(colour: Any) -> str:
    """Black or white, whichever is read on a colour."""
    return "black" if _luminance(colour) > 0.4 else "white"


def _luminance(colour: Any) -> float:
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


def on_dark() -> bool:
    """Whether the background is dark."""
    return _luminance(_ground()) < 0.4


def palette() -> tuple[str, ...]:
    """:data:`PALETTE`, or its lighter twin on a dark background."""
    return DARK_PALETTE if on_dark() else PALETTE


def tints(n: int) -> list[str]:
    """Colours of so many categories: the palette, then lighter and darker ones of its hues."""
    colours = np.array([to_rgb(colour) for colour in palette()])
    rest = np.concatenate([(colours + 1) / 2, colours * 0.55, (colours + 3) / 4])
    return [*palette(), *(to_hex(colour) for colour in rest)][:n]


def in_order(areas: Iterable[Any]) -> list[str]:
    """Each area once, from the eye up; names that BLT_VS does not have keep their order."""
    found = list(dict.fromkeys(str(area) for area in areas))
    return sorted(found, key=AREAS.index) if set(found) <= set(AREAS) else found


def area_styles(areas: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of areas: those of BLT_VS have theirs in every figure, others are counted."""
    known, colours = set(areas) <= set(AREAS), palette()
    return {
        area: {"color": colours[k % len(colours)], "marker": MARKERS[k % len(MARKERS)]}
        for area, k in ((area, AREAS.index(area) if known else i) for i, area in enumerate(areas))
    }


def stream_style(stream: str) -> dict[str, Any]:
    """Colour, marker, dashes and name of a stream."""
    return {
        "color": (DARK_STREAM_COLOURS if on_dark() else STREAM_COLOURS).get(stream, ink()),
        "marker": STREAM_MARKERS.get(stream, "o"), "linestyle": STREAM_LINES.get(stream, "-"),
        "label": STREAM_NAMES.get(stream, stream),
    }  # fmt: skip


def score_scale(values: Any, *, low: float = 0.0) -> dict[str, Any]:
    """Map and limits of colours of scores: of one side from ``low`` up, of both only where a value is far below it."""
    found = np.asarray(values, np.float64)
    found = found[np.isfinite(found)] if np.isfinite(found).any() else np.array([low])
    above, below = float(found.max()) - low, low - float(found.min())
    if below > 0.2 * above:
        limit = max(above, below)
        return {"cmap": SIGNED_MAP, "vmin": low - limit, "vmax": low + limit}
    return {"cmap": SCORE_MAP, "vmin": low, "vmax": low + (above or 1.0)}


def milliseconds(seconds: Any) -> np.ndarray:
    """Neural time as figures have it; without the last digits of binary fractions."""
    return np.round(1000 * np.asarray(seconds, np.float64), 6)


def at_time(seconds: float) -> str:
    """A neural time in titles."""
    return f"{float(milliseconds(seconds)):.6g} ms"


def step_ticks(axis: Axes, steps: Iterable[int]) -> None:
    """Whole timesteps along x, few enough to be read."""
    steps = sorted({int(step) for step in steps})
    axis.set_xticks(steps[:: max(1, len(steps) // 6)])


def site_title(site: str, stream: str = "") -> str:
    """A site (``V4/td``, or area and stream) in titles: the area, and the stream spelled out."""
    area, _, given = site.partition("/")
    stream = stream or given
    return ", ".join(filter(None, (area, STREAM_NAMES.get(stream, stream))))


def sites_in_order(sites: Iterable[str]) -> list[str]:
    """Each site once, by :func:`in_order` of the areas."""
    found = list(dict.fromkeys(str(site) for site in sites))
    areas = in_order(site.partition("/")[0] for site in found)
    return sorted(found, key=lambda site: areas.index(site.partition("/")[0]))


class Sheet:
    """Where panels are drawn: a figure of its own, the place of an Axes, or Axes that are given.

    Parameters
    ----------
    ax : Axes, sequence of Axes, or None
    panels : int
    columns : int
        Most panels in a row.
    size : (float, float)
        Of a panel, inches.
    room : (float, float)
        Beside and above all panels, inches.
    share : {"", "x", "y", "xy"}
        Axes that panels have in common.
    """

    def __init__(
        self, ax: Place, panels: int = 1, *, columns: int = 4, size: tuple[float, float],
        room: tuple[float, float] = (0.6, 0.5), share: str = "",
    ) -> None:  # fmt: skip
        columns = min(columns, panels)
        rows = -(-panels // columns)
        self.figure: Any = None  # Figure, SubFigure, or None for Axes that are given
        if ax is None:
            width = max(room[0] + size[0] * columns, 2.8)
            self.figure = new_figure(width, room[1] + size[1] * rows)
        elif isinstance(ax, Axes) and panels > 1:
            place = ax.get_subplotspec()
            if place is None:
                raise SpecError(
                    f"this figure has {panels} panels: give an Axes of a grid (plt.subplots), whose place is divided, or {panels}"
                )
            self.figure = ax.figure.add_subfigure(place)
            ax.remove()
        if self.figure is None:
            given = np.array(ax, dtype=object).ravel()
            if len(given) != panels:
                raise SpecError(f"this figure has {counted(panels, 'panel')}; got {len(given)} Axes")
            self.axes = given
        else:
            grid = self.figure.subplots(rows, columns, squeeze=False, sharex="x" in share, sharey="y" in share)
            self.axes = grid.ravel()[:panels]
            for spare in grid.ravel()[panels:]:
                spare.remove()
        for spine in ("top", "right"):
            for axis in self.axes:
                axis.spines[spine].set_visible(False)
        self.columns = columns
        self.left = list(self.axes[::columns])
        self.bottom = list(self.axes[max(panels - columns, 0) :])
        for axis in self.bottom:
            axis.tick_params(labelbottom=True)

    @property
    def width(self) -> float:
        """Inches."""
        box = self.axes[0].bbox if self.figure is None else self.figure.bbox
        return float(box.width / self.axes[0].figure.dpi)

    def label_x(self, text: str) -> None:
        """Name the axis below the panels; below the middle one alone where it is wider than they are."""
        wide = self.figure is not None and self.width / self.columns < 0.075 * len(text)
        for axis in [self.bottom[len(self.bottom) // 2]] if wide else self.bottom:
            axis.set_xlabel(text)

    def key(self, handles: Iterable[Artist], *, title: str = "", at: Literal["above", "right"] = "above") -> None:
        """What colours and marks stand for, each label once, below a title; the title alone where there is nothing."""
        once = {str(handle.get_label()): handle for handle in reversed(list(handles))}
        shown = list(reversed(once.values()))
        if self.figure is None:
            if title:
                self.axes[0].set_title(title)
            if shown:
                self.axes[-1].legend(handles=shown)
        elif shown:
            inches = [0.45 + 0.06 * len(name) for name in once]  # about so wide in small letters
            rows = -(-sum(inches) // self.width)
            columns = -(-len(once) // int(rows)) if at == "above" else 1
            loc = "outside upper center" if at == "above" else "outside right center"
            self.figure.legend(handles=shown, loc=loc, ncols=columns, title=title or None)
        elif title:
            self.figure.suptitle(title)

    def bar(self, image: Any, label: str) -> Any:
        """The scale of colours, beside all panels; an arrow where values lie below it."""
        values = np.ma.compressed(np.ma.masked_invalid(image.get_array()))
        low = len(values) and values.min() < image.norm.vmin - 1e-12
        where = self.axes[0].figure if self.figure is None else self.figure
        bar = where.colorbar(image, ax=list(self.axes), label=label, shrink=0.9, extend="min" if low else "neither")
        bar.outline.set_linewidth(0.5)
        return bar

    def caption(self, *sentences: str, provenance: Mapping[str, Any] | None = None) -> None:
        """What bands, bars and dots mean and what the numbers come from, in small letters below."""
        model, weights = model_of(provenance or {})
        stamp = weights in UNTRAINED
        said = [s[0].upper() + s[1:].rstrip(".") for s in sentences if s]
        said += [f"Model: {model}{', untrained weights' * stamp}"] if model else ["Untrained weights"] * stamp
        text = ". ".join(said)
        if not text:
            return
        small = 0.8 * float(mpl.rcParams["font.size"])
        text = textwrap.fill(f"{text}.", max(20, int(self.width * 125 / small)))
        style: dict[str, Any] = {"fontsize": small, "color": WARNING if stamp else ink(0.75), "ha": "left"}
        if self.figure is not None:
            self.figure.supxlabel(text, x=0.01, **style)
            return
        axis = self.axes[0]
        below = axis.xaxis.label if axis.get_xlabel() else axis.transAxes
        axis.annotate(
            text, (0, 0), xycoords=(axis.transAxes, below), xytext=(0, -4), textcoords="offset points", va="top",
            annotation_clip=False, **style,
        )  # fmt: skip


def time_matrices(
    sheet: Sheet, panels: Mapping[str, np.ndarray], time: np.ndarray, rows: np.ndarray, *, label: str,
    outlined: Mapping[str, np.ndarray] | None = None,
) -> None:  # fmt: skip
    """Draw matrices over neural time, named by their titles: a row per model timestep, or per neural time of training.

    Parameters
    ----------
    sheet : Sheet
    panels : mapping of title to array (rows, times)
        NaN is left grey.
    time : array
        Seconds.
    rows : array
        Timesteps (int), or seconds (float), which are drawn in milliseconds.
    label : str
        Of the values.
    outlined : mapping of title to bool array (rows, times), optional
        Cells to draw a line around, where there are any.
    """
    scale = score_scale(np.stack(list(panels.values())))
    steps = np.issubdtype(rows.dtype, np.integer)
    x, y = _edges(milliseconds(time)), np.arange(len(rows) + 1) - 0.5 if steps else _edges(milliseconds(rows))
    for axis, (title, values) in zip(sheet.axes, panels.items(), strict=True):
        axis.set_facecolor(ink(0.15))
        image = axis.pcolormesh(x, y, np.ma.masked_invalid(values), **scale)
        mask = (outlined or {}).get(title)
        if mask is not None and mask.any():
            axis.add_collection(LineCollection(borders(mask, x, y), colors=ACCENT, linewidths=1.0, clip_on=False))
        axis.set_title(title, fontweight="bold")
        if steps:
            axis.set_yticks(range(len(rows)), [str(int(step)) for step in rows])
    for axis in sheet.left:
        axis.set_ylabel(TIMESTEP_LABEL if steps else "trained at (ms)")
    sheet.label_x(TIME_LABEL if steps else "tested at (ms)")
    sheet.bar(image, label)


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders between neighbours, and as far beyond the ends."""
    if len(centres) < 2:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def borders(mask: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[list[tuple[float, float]]]:
    """Segments around the cells of ``mask`` (rows, columns), whose edges are ``y`` and ``x``."""
    padded = np.pad(mask, 1).astype(int)
    down, right = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    segments = [[(x[c], y[r]), (x[c + 1], y[r])] for r, c in np.argwhere(down)]
    return segments + [[(x[c], y[r]), (x[c], y[r + 1])] for r, c in np.argwhere(right)]


UNTRAINED = ("untrained", "as constructed")


def model_of(provenance: Mapping[str, Any]) -> tuple[str, str]:
    """Name and weights of the model that numbers come from, wherever a provenance says so; empty if nowhere."""
    model, weights = provenance.get("model"), provenance.get("weights")
    if isinstance(model, str) and weights is not None:
        return model, str(weights)
    for held in provenance.values():
        if isinstance(held, Mapping) and (found := model_of(held)) != ("", ""):
            return found
    return (model, "") if isinstance(model, str) else ("", "")


def line_key(label: str, **style: Any) -> Line2D:
    """A mark of a key, drawn nowhere."""
    return Line2D([], [], label=label, **style)


def shown_handles(axes: Iterable[Axes]) -> list[Artist]:
    """What is drawn in any of the panels and has a label, each label once."""
    found: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values())


def new_figure(width: float, height: float) -> Figure:
    """Make a figure (inches) outside pyplot, so that nothing keeps it open."""
    return Figure(figsize=(width, height), layout="constrained")


def figure_of(drawn: Any) -> Figure:
    """The figure of what a plot gives: an Axes, or an array of them."""
    axis = drawn if isinstance(drawn, Figure | Axes) else np.array(drawn, dtype=object).ravel()[0]
    figure = axis.figure
    return figure if isinstance(figure, Figure) else figure.figure  # a figure within a figure


def save_figure(
    drawn: Any,
    path: str | os.PathLike[str],
    *,
    dpi: int = 300,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Save what a plot gives (or its figure) with what it is of among the file's metadata; in PDF and SVG text stays text.

    A figure that is there is replaced if ``overwrite``.

    Examples
    --------
    >>> rdms = bn.compute_rdms("acts.h5", metric="correlation")
    >>> result = bn.compare_rdms(rdms, rdms.isel(rdm=[0]), inference=bn.Inference(bootstrap=20))
    >>> save_figure(result.plot_time_course(), "scores.pdf").name
    'scores.pdf'
    """
    target = check_figure(path)
    key = "Subject" if target.suffix == ".pdf" else "Description"
    metadata = {key: json.dumps(dict(about), default=str)[:30000]} if about else None
    with in_style(), whole_file(target, overwrite=overwrite) as part:
        figure_of(drawn).savefig(part, dpi=dpi, metadata=metadata)
    return target


def check_figure(path: str | os.PathLike[str]) -> Path:
    """The path of a figure; SpecError for an ending that no figure has."""
    path = Path(path)
    if path.suffix not in FIGURE_ENDINGS:
        raise unknown("ending of a figure", path.suffix, FIGURE_ENDINGS)
    return path
