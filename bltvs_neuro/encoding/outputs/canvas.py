"""What the figures of this package share: a canvas without global state, colours and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"bu": "#0072B2", "td": "#D55E00"}
"""Of the streams; told apart with every common colour vision."""

SCORE_NAMES = {
    "r": "Pearson r",
    "r2": "$R^2$",
    "r_normalised": "Pearson r / ceiling",
    "r2_normalised": "$R^2$ / ceiling",
}


def make_figure(
    rows: int, columns: int, *, width: float, height: float, sharey: bool = False
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, flat; sizes in inches per panel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # not through pyplot: no global state, no window, nothing to close
    figure = Figure(figsize=(max(3.2, width * columns + 0.8), height * rows + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes.ravel()


def mean_of_finite(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is finite; NaN where nothing is."""
    good = np.isfinite(values)
    count = good.sum(axis=-1)
    return np.where(count > 0, np.where(good, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)
