"""Figures of RDMs themselves: heat maps with category bars, and trajectories of the recurrent dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray
from scipy import stats as sps

from ...errors import DataError, SpecError, difference
from ...figures import (
    ACCENT,
    MOST_CATEGORIES,
    RDM_MAP,
    Place,
    Sheet,
    area_styles,
    at_time,
    drawn,
    in_order,
    ink,
    line_key,
    stream_style,
    tints,
)
from ...neural.align import align_rdms, rdm_stimulus_ids, select_stimuli
from ...neural.condensed import condensed_to_square
from ...neural.labelled import check_rdms
from ...schema import RDM
from ..comparing.similarity import SIMILARITIES, compare_vectors, similarity_name

Array = NDArray[np.float64]


@drawn
def plot_rdms(
    rdms: xr.DataArray,
    *,
    categories: Mapping[str, str] | None = None,
    order: Sequence[str] | None = None,
    scale: Literal["rank", "value"] = "rank",
    columns: int = 4,
    ax: Place = None,
) -> np.ndarray:
    """Draw RDMs as heat maps in stimulus order.

    Parameters
    ----------
    rdms : xarray.DataArray
        RDMs (rdm, pair).
    categories : mapping of stimulus id to category, optional
        Drawn as bars along both sides with a legend; consecutive stimuli of one category are divided from the next by a line.
    order : sequence of str, optional
        Stimulus ids in the order to draw.
    scale : {"rank", "value"}
        Colours show percentiles within each RDM, so that RDMs of different range can be compared, or the values.
    columns : int
        Panels per row.
    ax : Axes or sequence of Axes, optional
        Where to draw: an Axes, whose place is divided, or one for each RDM.

    Returns
    -------
    array of matplotlib.axes.Axes
        One per RDM.
    """
    check_rdms(rdms, missing="keep")
    if order is not None:
        rdms = select_stimuli(rdms, order)
    ids = rdm_stimulus_ids(rdms)
    if categories is not None and not set(ids) <= set(categories):
        raise DataError(difference("stimuli", ids, [i for i in ids if i in categories], "the RDMs", "the categories"))
    values = rdms.values
    if scale == "rank":
        ranks = sps.rankdata(values, axis=1, nan_policy="omit")
        values = 100 * (ranks - 1) / np.maximum(np.nanmax(ranks, axis=1, keepdims=True) - 1, 1)
    squares = condensed_to_square(values)
    for square in squares:
        np.fill_diagonal(square, np.nan)
    limits = (0, 100) if scale == "rank" else (float(np.nanmin(squares)), float(np.nanmax(squares)))
    colours = _category_colours(categories, ids)
    sheet = Sheet(ax, len(rdms), columns=columns, size=(1.75, 1.85), room=(0.8, 0.4 + 0.3 * bool(colours)))
    for axis, square, title in zip(sheet.axes, squares, _titles(rdms), strict=True):
        image = axis.imshow(square, cmap=RDM_MAP, vmin=limits[0], vmax=limits[1], interpolation="nearest")
        axis.set(title=title, xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        if categories is not None:
            _category_bars(axis, [categories[i] for i in ids], colours)
    metric = str(rdms.attrs.get("metric", ""))
    sheet.bar(image, "dissimilarity (percentile)" if scale == "rank" else f"dissimilarity ({metric})")
    sheet.key([Patch(color=c, label=name) for name, c in colours.items()])
    shown = "percentiles within each matrix" if scale == "rank" else "values"
    sheet.caption(f"Colours: {shown} of {metric} dissimilarities", f"{len(ids)} stimuli", provenance=rdms.attrs)
    return sheet.axes


@drawn
def plot_trajectories(
    rdms: xr.DataArray,
    brain: xr.DataArray | None = None,
    *,
    similarity: str = "pearson",
    label: str = "brain",
    ax: Axes | None = None,
) -> Axes:
    """Draw how the RDMs of sites move over timesteps, in a plane that keeps their distances as well as it can.

    Parameters
    ----------
    rdms : xarray.DataArray
        RDMs with area, stream and timestep.
    brain : xarray.DataArray, optional
        Neural RDMs to place among them, a star each, named by roi and time.
    similarity : str
        Distances are sqrt(2 - 2 s), the length between unit vectors at similarity s; classical scaling places the models.
        A neural RDM lies where its distances to the models put it in their plane: how far it is out of the plane, which is
        mostly noise, is not shown and does not crowd the models.
    label : str
        What the neural points are called in the legend.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The labels say which share of the squared distances between models they show.

    References
    ----------
    Gower (1968), doi:10.1093/biomet/55.3.582, on adding a point.
    """
    check_rdms(rdms)
    for name in ("area", "stream", "timestep"):
        if name not in rdms.coords:
            raise DataError(f"trajectories need RDMs with area, stream and timestep; {name} is missing")
    if len(rdms) < 3:
        raise SpecError(f"trajectories need at least 3 RDMs; got {len(rdms)}")
    vectors = rdms.values
    if brain is not None:
        rdms, brain = align_rdms(rdms, brain, names=("the models", "the neural data"))
        vectors = np.concatenate([rdms.values, brain.values])
    kind, n = similarity_name(similarity), len(rdms)
    s = compare_vectors(vectors, vectors, kind)
    if np.isnan(s).any():
        raise DataError("an RDM is constant: it has no place among the others")
    distances = np.sqrt(np.maximum(2 - 2 * s, 0))
    points, share = classical_scaling(distances[:n, :n])
    area, stream = rdms["area"].values.astype(str), rdms["stream"].values.astype(str)
    step = rdms["timestep"].values.astype(int)
    areas, streams = in_order(area), list(dict.fromkeys(stream))
    styles = area_styles(areas)
    sheet = Sheet(ax, size=(5.4, 3.2), room=(0, 0.5))
    axis: Axes = sheet.axes[0]
    for name in areas:
        for one in streams:
            rows = np.flatnonzero((area == name) & (stream == one))
            rows = rows[np.argsort(step[rows])]
            if len(rows):
                _path(axis, points[rows], step[rows], styles[name]["color"], stream_style(one))
    handles = [line_key(a, color=styles[a]["color"], marker="o", linestyle="") for a in areas]
    handles += [line_key(**stream_style(one) | {"color": ink(0.7)}) for one in streams]
    said = "From small to large: early to late timesteps, the first by its number"
    if brain is not None:
        placed = added_points(points, distances[:n, :n], distances[:n, n:])
        axis.scatter(
            placed[:, 0], placed[:, 1], s=42, color=ACCENT, marker="*", zorder=4, edgecolors=ink(), linewidths=0.3
        )
        for xy, title in zip(placed, _titles(brain), strict=True):
            if not title.startswith("RDM "):
                offset: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
                axis.annotate(title, xy, color=ink(), fontsize="small", **offset)
        handles.append(line_key(label, color=ACCENT, marker="*", markersize=7, linestyle=""))
        said += f". Star: the {label}, projected into the plane of the models"
    sheet.key(handles, at="right")
    axis.set_xlabel(f"dimension 1 ({100 * share[0]:.0f} % of squared distance)")
    axis.set_ylabel(f"dimension 2 ({100 * share[1]:.0f} %)")
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_title(f"RDMs placed by {SIMILARITIES[kind].label}")
    sheet.caption(said, f"{len(rdm_stimulus_ids(rdms))} stimuli", provenance=rdms.attrs)
    return axis


def _path(axis: Axes, xy: Array, steps: NDArray[Any], colour: str, style: Mapping[str, Any]) -> None:
    """The way of one site over its timesteps."""
    axis.plot(*xy.T, color=colour, linewidth=0.9, linestyle=style["linestyle"], zorder=2)
    size = 8 + 22 * np.arange(len(xy)) / max(len(xy) - 1, 1)
    edge: dict[str, Any] = {"edgecolors": ink(0), "linewidths": 0.3}
    axis.scatter(xy[:, 0], xy[:, 1], s=size, color=colour, marker=style["marker"], zorder=3, **edge)
    where: dict[str, Any] = {"xytext": (2.5, 2.5), "textcoords": "offset points", "color": colour}
    axis.annotate(str(steps[0]), xy[0], fontsize="x-small", **where)


def added_points(points: Array, distances: Array, new: Array) -> Array:
    """Where further points lie in the plane of those that :func:`classical_scaling` placed.

    Parameters
    ----------
    points : array (n, dims)
        As placed.
    distances : array (n, n)
        Among them.
    new : array (n, m)
        From them to the further points.

    Returns
    -------
    array (m, dims)
    """
    from_centre = (distances**2).mean(axis=1) - (distances**2).mean() / 2  # squared, of each point placed
    # of points that lie in the plane exactly: d² = |x|² + |y|² - 2 x·y, and the x sum to zero
    towards = points.T @ (from_centre[:, None] - new**2) / 2
    size = (points**2).sum(axis=0)
    return np.asarray((towards / np.where(size > 0, size, 1)[:, None]).T)


def classical_scaling(distances: Array, dims: int = 2) -> tuple[Array, Array]:
    """Place points so that their distances are kept as well as ``dims`` dimensions can (Torgerson).

    Returns
    -------
    points : array (n, dims)
        The sign of each dimension is chosen so that its largest coordinate is positive.
    share : array (dims,)
        Part of the positive eigenvalues' sum.
    """
    n = len(distances)
    center = np.eye(n) - 1.0 / n
    values, vectors = np.linalg.eigh(-0.5 * center @ distances**2 @ center)
    values, vectors = values[::-1][:dims], vectors[:, ::-1][:, :dims]
    total = np.maximum(np.linalg.eigvalsh(-0.5 * center @ distances**2 @ center), 0).sum()
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(dims)])
    return vectors * np.sqrt(np.maximum(values, 0)), np.maximum(values, 0) / max(total, np.finfo(np.float64).tiny)


def _titles(rdms: xr.DataArray) -> list[str]:
    if "name" in rdms.coords and rdms["name"].dims == (RDM,):
        return [str(n) for n in rdms["name"].values]
    found = []
    for i in range(len(rdms)):
        parts = [
            str(rdms[c].values[i]) for c in ("roi", "subject", "session") if c in rdms.coords and rdms[c].dims == (RDM,)
        ]
        if "time" in rdms.coords and rdms["time"].dims == (RDM,):
            parts.append(at_time(float(rdms["time"].values[i])))
        found.append(" ".join(parts) or f"RDM {i}")
    return found


def _category_colours(categories: Mapping[str, str] | None, ids: Sequence[str]) -> dict[str, str]:
    if categories is None:
        return {}
    names = list(dict.fromkeys(categories[i] for i in ids))
    if len(names) > MOST_CATEGORIES:
        raise SpecError(f"category bars can tell {MOST_CATEGORIES} categories apart; got {len(names)}")
    return dict(zip(names, tints(len(names)), strict=True))


def _category_bars(axis: Axes, names: list[str], colours: Mapping[str, str]) -> None:
    n, thick = len(names), 0.035
    starts = [i for i in range(n) if i == 0 or names[i] != names[i - 1]]
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        size, at = (end - start) / n, start / n
        options: dict[str, Any] = {
            "transform": axis.transAxes,
            "color": colours[names[start]],
            "clip_on": False,
            "linewidth": 0,
        }
        axis.add_patch(Rectangle((-0.015 - thick, 1 - at - size), thick, size, **options))
        axis.add_patch(Rectangle((at, -0.015 - thick), size, thick, **options))
        if start:
            axis.axhline(start - 0.5, color=ink(0), linewidth=0.4)
            axis.axvline(start - 0.5, color=ink(0), linewidth=0.4)
