"""The Algonauts 2023 challenge: NSD responses on the cortical surface, one mean response per image.

References
----------
Gifford et al. 2023, arXiv:2301.03198, doi:10.48550/arXiv.2301.03198
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import DataError, argument, listed
from ...foreign.npy import open_npy
from ...leftovers import data_files
from ..labelled import make_responses
from ..reader import Match, Reader
from ..reading.files import provenance
from ..reading.ids import Stimuli, given_ids
from ..reading.nifti import label_names
from ..reading.pickles import load_pickled_npy
from ..reading.rois import choose_rois, coordinate_name, first_roi


def sniff(path: Path) -> Match:
    """A subject's folder with training_split/training_fmri."""
    return 2 if (path / "training_split" / "training_fmri").is_dir() else 0


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    roi: str | Sequence[str] | None = None,
    hemisphere: Literal["both", "lh", "rh"] = "both",
    ids: Literal["nsd", "file"] = "nsd",
    allow_pickle: bool = False,
) -> xr.DataArray:
    """Read the training responses of one subject from the folder ``subjXX``.

    Parameters
    ----------
    stimuli : sequence of str or path, optional
        Ids of the rows; needed only without the image files, which name them.
    roi : str or sequence of str, optional
        Regions, or mask families such as ``"streams"``.
    hemisphere : "both", "lh" or "rh"
        Which vertices.
    ids : "nsd" or "file"
        ``nsd-00013`` (the 0-based nsdId, the ids of the NSD reader and of stores made from NSD's file of stimuli) or the name
        of the image's file (the ids of a store made from ``training_images``).
    allow_pickle : bool
        Read label names from mapping_*.npy, which are pickles, instead of the known tables.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid), float32. On neuroid subject, hemisphere, vertex (0-based in the challenge space), roi, one
        coordinate per mask family and, where the mask is there, vertex_fsaverage.
    """
    folder = path / "training_split"
    values, used, neuroid = [], [], []
    for side in ("lh", "rh") if hemisphere == "both" else (hemisphere,):
        file = folder / "training_fmri" / f"{side}_training_fmri.npy"
        if not file.is_file():
            raise DataError(f"{file} is missing; {file.parent} has {listed(p.name for p in data_files(file.parent))}")
        table = open_npy(file)
        families, masks = _families(path / "roi_masks", side, table.shape[1], allow_pickle=allow_pickle)
        coords: dict[str, Any] = {coordinate_name(name): labels for name, labels in families.items()}
        coords |= {"roi": first_roi(families, table.shape[1]), "vertex": np.arange(table.shape[1])}
        coords["hemisphere"] = np.full(table.shape[1], side, dtype=object)
        every = path / "roi_masks" / f"{side}.all-vertices_fsaverage_space.npy"
        if every.is_file():
            vertices = np.flatnonzero(open_npy(every))
            if len(vertices) != table.shape[1]:
                raise DataError(f"{every} marks {len(vertices)} vertices, {file} has {table.shape[1]}")
            coords["vertex_fsaverage"] = vertices
        values.append((table, families))
        neuroid.append(coords)
        used += [file, *masks]
    if len({len(table) for table, _ in values}) != 1:
        raise DataError(f"the hemispheres of {path} have different numbers of images: {[len(t) for t, _ in values]}")
    shared = [name for name in values[0][1] if all(name in families for _, families in values)]
    one_sided = sorted({name for _, families in values for name in families} - set(shared))
    if one_sided:
        raise DataError(
            f"{path / 'roi_masks'} has masks of one hemisphere only: {listed(one_sided)}; fetch the others, too"
        )
    joined = {name: np.concatenate([families[name] for _, families in values]) for name in shared}
    if roi is not None and not joined:
        raise DataError(f"{path / 'roi_masks'} has no masks in challenge space to choose {argument('roi')} by")
    keep = choose_rois(joined, roi) if joined else np.ones(sum(table.shape[1] for table, _ in values), dtype=bool)
    bounds = np.cumsum([0, *(table.shape[1] for table, _ in values)])
    picked = [table[:, keep[a:b]] for (table, _), a, b in zip(values, bounds, bounds[1:], strict=False)]
    common = set.intersection(*(set(coords) for coords in neuroid))
    coords = {name: np.concatenate([side[name] for side in neuroid])[keep] for name in sorted(common)}
    names = _images(folder / "training_images", stimuli, len(picked[0]), ids)
    array = np.concatenate(picked, axis=1, dtype=np.float32)
    return make_responses(
        array, names, neuroid_coords={"subject": path.name, **coords}, attrs=provenance(*used, root=path)
    )


def _families(
    folder: Path, side: str, length: int, *, allow_pickle: bool
) -> tuple[dict[str, NDArray[np.object_]], list[Path]]:
    found, used = {}, []
    for file in data_files(folder, f"{side}.*_challenge_space.npy"):
        family = file.name.removeprefix(f"{side}.").removesuffix("_challenge_space.npy")
        labels = np.asarray(open_npy(file)).astype(int)
        if labels.shape != (length,):
            raise DataError(f"{file} has shape {labels.shape}; the responses have {length} vertices")
        mapping = folder / f"mapping_{family}.npy"
        names: dict[int, str] | None = None
        if allow_pickle and mapping.is_file():
            named = load_pickled_npy(mapping, allow_pickle=True, reader="algonauts2023")
            names = {int(label): str(name) for label, name in named.items() if int(label) > 0}
        found[family] = label_names(family, labels, names)
        used.append(file)
    return found, used


def _images(folder: Path, stimuli: Stimuli, rows: int, ids: str) -> list[str]:
    if (given := given_ids(stimuli, rows, f"there are {rows} rows")) is not None:
        return given
    names: dict[int, str] = {}
    for file in data_files(folder, "train-*_nsd-*.png"):
        match = re.fullmatch(r"train-(\d+)_(nsd-\d+)\.png", file.name)
        if match:
            if int(match[1]) in names:
                raise DataError(f"{folder} has two images train-{match[1]}_nsd-*.png for one row: keep one of them")
            names[int(match[1])] = match[2] if ids == "nsd" else file.name  # rows are numbered from 1
    if set(names) != set(range(1, rows + 1)):
        raise DataError(
            f"{folder} should hold train-0001_nsd-*.png to train-{rows:04d}_nsd-*.png, one a row; it has "
            f"{len(names)} such files; pass {argument('stimuli')} otherwise"
        )
    return [names[row] for row in range(1, rows + 1)]


READERS = (Reader("algonauts2023", "responses", "Algonauts 2023 subject folder (training_split)", sniff, read),)
