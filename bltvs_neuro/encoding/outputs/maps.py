"""Maps of the brain: a glass brain when nilearn is installed, otherwise slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from ...errors import SpecError
from ...figures import AREAS, Sheet, area_styles, drawn, ink, on_dark, score_scale, stream_style
from .said import how_fitted

MOST_SLICES = 8
ENDS = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}


@drawn
def draw_volume(
    image: Any,
    label: str,
    *,
    title: str = "",
    names: Sequence[str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    ax: Axes | None = None,
) -> np.ndarray:
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
    provenance : mapping, optional
        What the caption says of the model.
    ax : Axes, optional
        Where to draw; its place is divided among slices.

    Returns
    -------
    array of matplotlib.axes.Axes
        A glass brain (the largest value along each line of sight; its outline is right for MNI space only), or slices.
        Both say which side is which.
    """
    values = np.asarray(image.dataobj, dtype=np.float64)
    if not np.isfinite(values).any():
        raise SpecError("there is no value to draw on the map")
    try:
        from nilearn.plotting import plot_glass_brain
    except ImportError:
        plot_glass_brain = None
    if names is not None or plot_glass_brain is None:
        return _slices(image, values, label, title, names, provenance, ax)
    import nibabel

    sheet = Sheet(ax, size=(8.4, 2.8), room=(0, 0.5))
    axis = sheet.axes[0]
    axis.axis("off")
    axis.set_title(title)
    scale = score_scale(values)
    display = plot_glass_brain(
        nibabel.Nifti1Image(np.nan_to_num(values).astype(np.float32), image.affine),
        figure=axis.figure,
        axes=axis,
        colorbar=True,
        plot_abs=False,
        symmetric_cbar=scale["vmin"] < 0,
        threshold=None,
        black_bg=on_dark(),
        **scale,
    )
    if getattr(display, "_cbar", None) is not None:
        display._cbar.set_label(label)
    fitted = f"{int(np.isfinite(values).sum())} voxels"
    sheet.caption(f"The largest value along each line of sight, {fitted}; the outline is that of MNI space",
                  how_fitted(provenance or {}), provenance=provenance)  # fmt: skip
    return sheet.axes


def _slices(
    image: Any, values: np.ndarray, label: str, title: str, names: Sequence[str] | None,
    provenance: Mapping[str, Any] | None, ax: Axes | None,
) -> np.ndarray:  # fmt: skip
    """Planes of the third dimension, with the letters of their sides."""
    import nibabel

    filled = np.flatnonzero(np.isfinite(values).any(axis=(0, 1)))
    some = filled[np.unique(np.linspace(0, len(filled) - 1, MOST_SLICES).astype(int))]
    colours: list[Any] = [] if names is None else _colours(names)
    scale = (
        score_scale(values) if names is None
        else {"cmap": ListedColormap(colours), "vmin": -0.5, "vmax": len(names) - 0.5}
    )  # fmt: skip
    right, up, out = (str(code) for code in nibabel.aff2axcodes(image.affine))
    sheet = Sheet(ax, len(some), size=(1.6, 1.8), room=(1.0, 0.6))
    for axis, k in zip(sheet.axes, some, strict=True):
        axis.set_facecolor(ink(0.08))
        mesh = axis.imshow(values[:, :, k].T, origin="lower", interpolation="nearest", **scale)
        axis.set_title(f"slice {k}")
        axis.set_xticks([0, values.shape[0] - 1], [ENDS[right], right])
        axis.set_yticks([0, values.shape[1] - 1], [ENDS[up], up])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    bar = sheet.bar(mesh, label)
    if names is not None:
        bar.set_ticks(range(len(names)), labels=list(names))
    sheet.key([], title=title)
    told = {"L": "left", "R": "right", "A": "front", "P": "back", "S": "top", "I": "bottom"}
    sides = ", ".join(f"{letter} {told[letter]}" for letter in (ENDS[right], right, ENDS[up], up))
    sheet.caption(f"{sides}; slices go to the {told[out]}", f"{int(np.isfinite(values).sum())} voxels",
                  how_fitted(provenance or {}), provenance=provenance)  # fmt: skip
    return sheet.axes


def _colours(names: Sequence[str]) -> list[Any]:
    """Areas and streams have their colours of every figure; timesteps go from dark to light."""
    if set(names) <= set(AREAS):
        return [style["color"] for style in area_styles(names).values()]
    if set(names) <= {"bu", "td"}:
        return [stream_style(name)["color"] for name in names]
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 1, len(names))))
