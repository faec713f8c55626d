"""Figures of RDMs themselves: heat maps with category bars, and trajectories of the recurrent dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats as sps

from ...errors import DataError, SpecError, difference
from ...figures import ACCENT, GREY, PALETTE, RC, RDM_MAP, STREAM_NAMES, area_styles, new_figure
from ...neural.align import align_rdms, rdm_stimulus_ids, select_stimuli
from ...neural.condensed import condensed_to_square
from ...neural.labelled import check_rdms
from ...schema import RDM
from ..comparing.similarity import SIMILARITIES, compare_vectors, similarity_name

Array = NDArray[np.float64]


def plot_rdms(
    rdms: xr.DataArray,
    *,
    categories: Mapping[str, str] | None = None,
    order: Sequence[str] | None = None,
    scale: Literal["rank", "value"] = "rank",
    columns: int = 4,
) -> Figure:
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

    Returns
    -------
    matplotlib.figure.Figure
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
    titles = _titles(rdms)
    columns = min(columns, len(rdms))
    rows = -(-len(rdms) // columns)
    with mpl.rc_context(RC):
        figure = new_figure(1.75 * columns + 0.8, 1.75 * rows + (0.55 if categories is not None else 0.25))
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.ravel()[len(rdms) :]:
            axis.set_visible(False)
        limits = (0, 100) if scale == "rank" else (float(np.nanmin(squares)), float(np.nanmax(squares)))
        colours = _category_colours(categories, ids)
        for axis, square, title in zip(axes.ravel(), squares, titles, strict=False):
            image = axis.imshow(square, cmap=RDM_MAP, vmin=limits[0], vmax=limits[1], interpolation="nearest")
            axis.set_title(title)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
            if categories is not None:
                _category_bars(axis, [categories[i] for i in ids], colours)
        bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 0.75), aspect=20 * rows)
        bar.set_label(
            "dissimilarity (percentile)" if scale == "rank" else f"dissimilarity ({rdms.attrs.get('metric', '')})"
        )
        bar.outline.set_linewidth(0.5)
        if colours:
            handles = [mpl.patches.Patch(color=c, label=name) for name, c in colours.items()]
            figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), max(2, columns)))
    return figure


def plot_trajectories(
    rdms: xr.DataArray, brain: xr.DataArray | None = None, *, similarity: str = "pearson", label: str = "brain"
) -> Figure:
    """Draw how the RDMs of sites move over timesteps, in a plane that keeps their distances as well as it can.

    Parameters
    ----------
    rdms : xarray.DataArray
        RDMs with area, stream and timestep.
    brain : xarray.DataArray, optional
        Neural RDMs to place beside them, one point each, named by roi and subject.
    similarity : str
        Distances are sqrt(2 - 2 s), the length between unit vectors at similarity s; classical scaling places them.
    label : str
        What the neural points are called in the legend.

    Returns
    -------
    matplotlib.figure.Figure
        The axes say which share of the squared distances they show.
    """
    check_rdms(rdms)
    for name in ("area", "stream", "timestep"):
        if name not in rdms.coords:
            raise DataError(f"trajectories need RDMs with area, stream and timestep; {name} is missing")
    if len(rdms) < 3:
        raise SpecError(f"trajectories need at least 3 RDMs; got {len(rdms)}")
    vectors, n_brain = rdms.values, 0
    if brain is not None:
        rdms, brain = align_rdms(rdms, brain, names=("the models", "the neural data"))
        vectors, n_brain = np.concatenate([rdms.values, brain.values]), len(brain)
    kind = similarity_name(similarity)
    s = compare_vectors(vectors, vectors, kind)
    if np.isnan(s).any():
        raise DataError("an RDM is constant: it has no place among the others")
    points, share = classical_scaling(np.sqrt(np.maximum(2 - 2 * s, 0)))
    area, stream = rdms["area"].values.astype(str), rdms["stream"].values.astype(str)
    step = rdms["timestep"].values.astype(int)
    areas = list(dict.fromkeys(area))
    colours = {area: style["color"] for area, style in area_styles(areas).items()}
    markers = dict(zip(dict.fromkeys(stream), ("o", "s", "^"), strict=False))
    with mpl.rc_context(RC):
        figure = new_figure(4.6, 3.5)
        axis = figure.subplots()
        for name in areas:
            for one, marker in markers.items():
                rows = np.flatnonzero((area == name) & (stream == one))
                rows = rows[np.argsort(step[rows])]
                if not len(rows):
                    continue
                xy = points[rows]
                axis.plot(*xy.T, color=colours[name], linewidth=0.9, linestyle="-" if one == "bu" else "--", zorder=2)
                size = 8 + 22 * np.arange(len(rows)) / max(len(rows) - 1, 1)
                shape: dict[str, Any] = {"marker": marker, "edgecolors": "white", "linewidths": 0.3}
                axis.scatter(xy[:, 0], xy[:, 1], s=size, color=colours[name], zorder=3, **shape)
                axis.annotate(
                    str(step[rows[0]]),
                    xy[0],
                    xytext=(2.5, 2.5),
                    textcoords="offset points",
                    fontsize=6,
                    color=colours[name],
                )
        handles = [mpl.lines.Line2D([], [], color=colours[a], marker="o", linestyle="", label=a) for a in areas]
        handles += [
            mpl.lines.Line2D(
                [], [], color=GREY, marker=m, linestyle="-" if k == "bu" else "--", label=STREAM_NAMES.get(k, k)
            )
            for k, m in markers.items()
        ]
        if n_brain:
            axis.scatter(
                points[len(rdms) :, 0],
                points[len(rdms) :, 1],
                s=42,
                color=ACCENT,
                marker="*",
                zorder=4,
                edgecolors="black",
                linewidths=0.3,
            )
            handles.append(mpl.lines.Line2D([], [], color=ACCENT, marker="*", markersize=7, linestyle="", label=label))
        figure.legend(handles=handles, loc="outside right center", title="area, stream\n(small → large:\nearly → late)")
        axis.set_xlabel(f"dimension 1 ({100 * share[0]:.0f} % of squared distance)")
        axis.set_ylabel(f"dimension 2 ({100 * share[1]:.0f} %)")
        axis.set_aspect("equal", adjustable="datalim")
        axis.set_title(f"RDMs placed by {SIMILARITIES[kind].label}")
    return figure


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
            parts.append(f"{1000 * float(rdms['time'].values[i]):.0f} ms")
        found.append(" ".join(parts) or f"RDM {i}")
    return found


def _category_colours(categories: Mapping[str, str] | None, ids: Sequence[str]) -> dict[str, str]:
    if categories is None:
        return {}
    names = list(dict.fromkeys(categories[i] for i in ids))
    if len(names) > len(PALETTE):
        raise SpecError(f"category bars can tell {len(PALETTE)} categories apart; got {len(names)}")
    return dict(zip(names, PALETTE, strict=False))


def _category_bars(axis: mpl.axes.Axes, names: list[str], colours: Mapping[str, str]) -> None:
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
        axis.add_patch(mpl.patches.Rectangle((-0.015 - thick, 1 - at - size), thick, size, **options))
        axis.add_patch(mpl.patches.Rectangle((at, -0.015 - thick), size, thick, **options))
        if start:
            axis.axhline(start - 0.5, color="white", linewidth=0.4)
            axis.axvline(start - 0.5, color="white", linewidth=0.4)
