"""Maps of the brain: a glass brain when nilearn is installed, otherwise slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import SpecError
from ...figures import make_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_volume(image: Any, label: str, *, title: str = "", names: Sequence[str] | None = None) -> Figure:
    """Draw one volume.

    Parameters
    ----------
    image : nibabel image (i, j, k)
        NaN outside of the voxels.
    label : str
        What the values are.
    title : str
    names : sequence of str, optional
        What whole numbers from 0 stand for, such as areas: always drawn in slices, where no value hides another.

    Returns
    -------
    matplotlib.figure.Figure
        A glass brain (the largest value along each line of sight; its outline is right for MNI space only), or slices.
    """
    values = np.asarray(image.dataobj, dtype=np.float64)
    if not np.isfinite(values).any():
        raise SpecError("there is no value to draw on the map")
    if names is not None:
        return _slices(values, label, title, names)
    try:
        from nilearn.plotting import plot_glass_brain
    except ImportError:
        return _slices(values, label, title)
    import nibabel

    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low == high:
        low, high = min(low, 0.0), max(high, low + 1e-6, 1e-6)
    # scores run from 0 up; colours of both signs only where a value is far below
    signed = low < -0.1 * max(high, 0.0)
    limit = max(abs(low), abs(high))
    figure, axes = make_panels(1, 1, width=9, height=3)
    axes[0].axis("off")
    display = plot_glass_brain(
        nibabel.Nifti1Image(np.nan_to_num(values).astype(np.float32), image.affine),
        figure=figure,
        axes=axes[0],
        colorbar=True,
        plot_abs=False,
        cmap="RdBu_r" if signed else "viridis",
        vmin=-limit if signed else 0.0,
        vmax=limit if signed else high,
        symmetric_cbar=signed,
        threshold=None,
    )
    if getattr(display, "_cbar", None) is not None:
        display._cbar.set_label(label)
    figure.suptitle(title or label, fontsize=9)
    return figure


def _slices(values: np.ndarray, label: str, title: str, names: Sequence[str] | None = None) -> Figure:
    filled = np.flatnonzero(np.isfinite(values).any(axis=(0, 1)))
    some = filled[np.unique(np.linspace(0, len(filled) - 1, 8).astype(int))]
    columns = min(4, len(some))
    figure, axes = make_panels(-(-len(some) // columns), columns, width=1.8, height=1.9)
    finite = values[np.isfinite(values)]
    low, high = min(0.0, float(finite.min())), float(finite.max())
    colours: Any = "viridis"
    if names is not None:
        from matplotlib import colormaps

        low, high, colours = -0.5, len(names) - 0.5, colormaps["viridis"].resampled(len(names))
    mesh = None
    for axis, k in zip(axes, some, strict=False):
        axis.set_facecolor("0.92")
        mesh = axis.imshow(
            values[:, :, k].T, origin="lower", vmin=low, vmax=high, cmap=colours, interpolation="nearest"
        )
        axis.set(title=f"slice {k}", xticks=[], yticks=[])
        axis.title.set_fontsize(8)
    for axis in axes[len(some) :]:
        axis.axis("off")
    if mesh is not None:
        bar = figure.colorbar(mesh, ax=list(axes), label=label, shrink=0.8)
        if names is not None:
            bar.set_ticks(range(len(names)), labels=list(names))
    if title:
        figure.suptitle(title, fontsize=9)
    return figure
