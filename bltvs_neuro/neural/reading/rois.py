"""Names of regions of interest: how they match, and the label tables of the atlases of NSD and Algonauts 2023."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, listed, unknown
from ...tables import read_cells
from .options import Kind, Misfit, as_path, fit

ATLASES: dict[str, dict[int, str]] = {
    "prf-visualrois": dict(enumerate(("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"), start=1)),
    "floc-bodies": dict(enumerate(("EBA", "FBA-1", "FBA-2", "mTL-bodies"), start=1)),
    "floc-faces": dict(enumerate(("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"), start=1)),
    "floc-places": dict(enumerate(("OPA", "PPA", "RSC"), start=1)),
    "floc-words": dict(enumerate(("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"), start=1)),
    "streams": dict(
        enumerate(("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"), start=1)
    ),
    "nsdgeneral": {1: "nsdgeneral"},
}
"""Region of each label, per mask file of NSD; 0 and negative labels are outside of all regions."""


def _names(value: Any) -> dict[int, str]:
    if isinstance(value, str | os.PathLike) and str(value).lower().endswith((".tsv", ".csv")):
        return _look_up(as_path(value))
    if isinstance(value, str | os.PathLike) and str(value).lower().endswith((".nii", ".nii.gz")):
        raise Misfit(f"{str(value)!r} is a volume of regions, which is given as the mask")
    names = fit(Mapping[int, str], value)
    if not names:
        raise Misfit("")
    return names  # type: ignore[no-any-return]


def _look_up(path: Path) -> dict[int, str]:
    """BIDS's table beside a segmentation (``_dseg.tsv``)."""
    table = read_cells(path).frame()
    if not {"index", "name"} <= set(table.columns):
        raise DataError(f"{path} should have the columns index and name; it has {listed(table.columns)}")
    try:
        return fit(Mapping[int, str], list(zip(table["index"], table["name"], strict=True)))  # type: ignore[no-any-return]
    except Misfit as error:
        why = error.args[0] or "the column index should hold whole numbers"
        raise DataError(f"{path}: {why}") from None


Labels = Annotated[
    Mapping[int, str],
    Kind("the names of regions by number (a dict, '1:V1,2:V2', or a .json or .tsv with index and name)", _names),
]


def whole_roi(name: str) -> str:
    """The region without its ventral or dorsal half: V1 of V1v and V1d."""
    return name[:-1] if name[:-1] in ("V1", "V2", "V3") and name[-1] in "vd" else name


def match_roi(name: str, wanted: str) -> bool:
    """Whether the region ``name`` is ``wanted`` or a half of it."""
    return bool(name) and (name == wanted or whole_roi(name) == wanted)


def choose_rois(families: dict[str, NDArray[np.object_]], roi: str | Sequence[str] | None) -> NDArray[np.bool_]:
    """Which neuroids are in any of the wanted regions, or atlases; all where ``roi`` is None.

    ``families`` holds, per atlas, the region of each neuroid ("" for none).
    """
    length = len(next(iter(families.values()))) if families else 0
    keep = np.zeros(length, dtype=bool)
    if roi is None:
        return ~keep
    names = sorted({name for labels in families.values() for name in set(labels) if name})
    for wanted in [roi] if isinstance(roi, str) else roi:
        if wanted in families:
            keep |= families[wanted] != ""
            continue
        hits = {name for name in names if match_roi(name, wanted)}
        if not hits:
            raise unknown("roi", wanted, [*dict.fromkeys(map(whole_roi, names)), *families])
        for labels in families.values():
            keep |= np.isin(labels.astype(str), list(hits))
    return keep


def first_roi(families: dict[str, NDArray[np.object_]], length: int) -> NDArray[np.object_]:
    """One region per neuroid: that of the first atlas which has one, halves joined, the coarse ones last."""
    out = np.full(length, "", dtype=object)
    for family in sorted(families, key=lambda name: name in ("streams", "nsdgeneral")):
        empty = out == ""
        out[empty] = [whole_roi(name) for name in families[family][empty]]
    return out


def coordinate_name(family: str) -> str:
    """Name of the coordinate that keeps an atlas's regions: ``roi_prf_visualrois``."""
    return "roi_" + family.replace("-", "_")
