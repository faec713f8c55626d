"""How figures look: vector fonts, sizes of a journal column, colours that colour-blind readers tell apart."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from .durable import whole_file
from .errors import unknown

STREAM_COLOURS = {"bu": "#0072B2", "td": "#D55E00", "bu+td": "#009E73"}
"""Okabe and Ito (2008)."""
STREAM_NAMES = {"bu": "bottom-up", "td": "top-down", "bu+td": "both streams"}
"""In figures; tables and code say bu and td."""
STREAM_MARKERS = {"bu": "o", "td": "s", "bu+td": "^"}
STREAM_LINES: dict[str, Any] = {"bu": "-", "td": (0, (3, 1.5)), "bu+td": ":"}
"""So that streams are told apart in grey as well."""
PALETTE = ("#0072B2", "#B84C00", "#00704D", "#A0397A", "#5A5A00", "#000000", "#6B4FBB", "#8A1C1C")
"""Whatever else is told apart: each has a contrast of 4.5 to white; markers or dashes come with them."""
AREAS = ("Retina", "LGN", "V1", "V2", "V3", "V4", "LOC", "Readout")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
ACCENT = STREAM_COLOURS["td"]
"""What is picked out of a figure: clusters, peaks, the best."""
GREY, WARNING = "#555555", "#B00020"
SCORE_NAMES = {
    "r": "Pearson r", "r2": "$R^2$", "r_normalised": "Pearson r / ceiling", "r2_normalised": "$R^2$ / ceiling",
}  # fmt: skip
CEILING_COLOUR = "#BDBDBD"
RDM_MAP, SCORE_MAP = "cividis", "viridis"
FIGURE_ENDINGS = (".png", ".pdf", ".svg")
COLUMN, PAGE = 3.5, 7.2
"""Widths in inches of one and two columns."""

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
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


def new_figure(width: float, height: float) -> Figure:
    """Make a figure (inches) outside pyplot, so that nothing keeps it open."""
    return Figure(figsize=(width, height), layout="constrained")


def make_panels(
    rows: int, columns: int, *, width: float, height: float, sharey: bool = False
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, flat; sizes in inches per panel."""
    figure = new_figure(max(3.2, width * columns + 0.8), height * rows + 0.3)
    axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes.ravel()


def save_figure(
    figure: Figure,
    path: str | os.PathLike[str],
    *,
    dpi: int = 300,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Save a figure with what it is of among the file's metadata; in PDF and SVG text stays text.

    Where ``about`` says that the weights are untrained, the figure does so too, below its lower edge. A figure that is
    there is replaced if ``overwrite``.
    """
    target = check_figure(path)
    key = "Subject" if target.suffix == ".pdf" else "Description"
    metadata = {key: json.dumps(dict(about), default=str)} if about else None
    with mpl.rc_context(RC), whole_file(target, overwrite=overwrite) as part:
        if about and about.get("weights") == "untrained":
            engine = figure.get_layout_engine()
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out as it is without the stamp, which a tight box then takes in
            stamp = figure.text(0.01, -0.01, "untrained weights", ha="left", va="top", fontsize=8, color=WARNING)
            figure.savefig(part, dpi=dpi, metadata=metadata, bbox_inches="tight")
            stamp.remove()
            figure.set_layout_engine(engine)
        else:
            figure.savefig(part, dpi=dpi, metadata=metadata)
    return target


def check_figure(path: str | os.PathLike[str]) -> Path:
    """The path of a figure; SpecError for an ending that no figure has."""
    path = Path(path)
    if path.suffix not in FIGURE_ENDINGS:
        raise unknown("ending of a figure", path.suffix, FIGURE_ENDINGS)
    return path


def area_styles(areas: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of areas: those of BLT_VS have theirs in every figure, others are counted."""
    known = set(areas) <= set(AREAS)
    return {
        area: {"color": PALETTE[k % len(PALETTE)], "marker": MARKERS[k % len(MARKERS)]}
        for area, k in ((area, AREAS.index(area) if known else i) for i, area in enumerate(areas))
    }
