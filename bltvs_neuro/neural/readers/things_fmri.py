"""THINGS-fMRI single-trial betas as tables: ResponseData.h5, StimulusMetadata.csv, VoxelMetadata.csv.

ResponseData is a pandas table in HDF5's "fixed" layout, of which only the voxels asked for are read, without PyTables,
which would run whatever the pickles in a file say.

References
----------
Hebart et al. 2023, eLife 12:e82580, doi:10.7554/eLife.82580
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ...errors import DataError, argument, listed
from ...foreign.hdf5 import check_dataset, open_hdf5, read_dataset
from ...foreign.pickles import loads_pickle
from ...foreign.text import whole_numbers
from ...leftovers import data_files
from ...tables import numbers, read_cells, typed
from ..labelled import make_responses
from ..reader import Match, Reader, choose_label
from ..reading.bids_names import named
from ..reading.files import provenance
from ..reading.ids import as_text
from ..reading.pickles import refuse_pickle
from ..reading.rois import choose_rois, first_roi

BLOCK_BYTES = 128 * 2**20
NO_ROI = ("voxel_id", "subject_id", "voxel_x", "voxel_y", "voxel_z")


def sniff(path: Path) -> Match:
    """A folder (or the folder above betas_csv) with sub-XX_ResponseData.h5."""
    return 2 if _tables(path) else 0


def read(
    path: Path,
    *,
    subject: str | None = None,
    roi: str | Sequence[str] | None = None,
    split: Literal["all", "train", "test"] = "all",
    allow_pickle: bool = False,
) -> xr.DataArray:
    """Read one subject's betas from ``betas_csv`` or the folder that holds it.

    Parameters
    ----------
    roi : str or sequence of str, optional
        Names of the dummy-coded columns of VoxelMetadata (``"V1"``, ``"lFFA"``).
    split : "all", "train" or "test"
        Trials by their trial_type.
    allow_pickle : bool
        Read names of columns that pandas pickled, because they are text and numbers mixed.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid), float32. On presentation stimulus_id (the image's file name), repetition, session, run,
        trial_type, trial_id; on neuroid subject, voxel (voxel_id), roi (the first that applies), i, j, k and nc_testset
        (percent).
    """
    tables = _tables(path)
    name = choose_label("subject", list(tables), subject, path)
    response = tables[name]
    stem = response.name.removesuffix("_ResponseData.h5")
    trials = _csv(response.with_name(f"{stem}_StimulusMetadata.csv"), text=("stimulus",), whole=("trial_id",))
    voxels = _csv(
        response.with_name(f"{stem}_VoxelMetadata.csv"), whole=("voxel_id",), optional=("voxel_x", "voxel_y", "voxel_z")
    )
    if split != "all":
        if "trial_type" not in trials:
            raise DataError(f"{stem}_StimulusMetadata.csv has no trial_type to choose {argument('split', split)} by")
        trials = trials[trials["trial_type"] == split]
    dummies = {column: numbers(voxels[column].tolist()) for column in voxels.columns if column not in NO_ROI}
    families = {
        column: np.where(coded == 1, column, "").astype(object)
        for column, coded in dummies.items()
        if coded is not None and np.isin(coded, [0, 1]).all()
    }
    keep = choose_rois(families, roi) if roi is not None else np.ones(len(voxels), dtype=bool)
    rois = first_roi(families, len(voxels))
    if roi is not None:
        wanted = {column: families[column] for column in families if column in ([roi] if isinstance(roi, str) else roi)}
        rois = first_roi(wanted, len(voxels))
    voxels, rois = voxels[keep], rois[keep]
    voxel_ids, trial_ids = voxels["voxel_id"].to_numpy(np.int64), trials["trial_id"].to_numpy(np.int64)
    values = read_frame(response, voxel_ids, trial_ids, allow_pickle=allow_pickle)
    neuroid: dict[str, Any] = {"subject": name, "voxel": voxel_ids, "roi": rois}
    for axis, column in zip("ijk", ("voxel_x", "voxel_y", "voxel_z"), strict=True):
        if column in voxels:
            neuroid[axis] = voxels[column].to_numpy(np.int64)
    if "nc_testset" in voxels:
        if (percent := numbers(voxels["nc_testset"].tolist())) is None:
            raise DataError(f"{stem}_VoxelMetadata.csv: nc_testset holds text, not percent")
        neuroid["nc_testset"] = percent
    shown = [column for column in ("session", "run", "trial_type", "trial_id", "concept") if column in trials]
    extra: dict[str, Any] = {column: typed(trials[column].astype(str).tolist()) for column in shown}
    attrs = provenance(*(response.with_name(f"{stem}_{part}") for part in FILES), root=response.parent)
    ids = trials["stimulus"].tolist()
    return make_responses(values, ids, neuroid_coords=neuroid, attrs=attrs, **extra)


FILES = ("ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv")


def read_frame(
    file: Path, voxel_ids: NDArray[np.int64], trial_ids: NDArray[np.int64], *, allow_pickle: bool = False
) -> NDArray[np.float32]:
    """Rows ``voxel_ids`` and columns ``trial_ids`` of ResponseData, as (trial, voxel)."""
    with open_hdf5(file) as opened:
        groups = [name for name in opened if "axis0" in getattr(opened[name], "keys", tuple)()]
        if len(groups) != 1:
            raise DataError(
                f"{file} holds {listed(opened) or 'nothing'}, not one table of pandas' layout 'fixed'; "
                "DataFrame.to_hdf writes one unless told otherwise"
            )
        return _read_fixed(opened[groups[0]], voxel_ids, trial_ids, file, allow_pickle=allow_pickle)


def _read_fixed(
    group: Any, voxel_ids: NDArray[np.int64], trial_ids: NDArray[np.int64], file: Path, *, allow_pickle: bool
) -> NDArray[np.float32]:
    blocks = [name.removesuffix("_items") for name in group if name.endswith("_items")]
    place: dict[str, tuple[str, int]] = {}
    for block in blocks:
        labels = _labels(group[f"{block}_items"], file, allow_pickle=allow_pickle)
        place |= {label: (block, column) for column, label in enumerate(labels)}
        table = group[f"{block}_values"]
        if table.dtype.kind not in "biuf" or table.ndim != 2 or table.shape[1] != len(labels):
            raise DataError(
                f"{file}: {table.name} should be numbers (voxel, {len(labels)}); got {table.dtype} {table.shape}"
            )
        check_dataset(table)
    if "voxel_id" not in place:
        raise DataError(f"{file} has no column voxel_id; its first columns: {listed(place)}")
    lacking = [trial for trial in trial_ids if str(trial) not in place]
    if lacking:
        raise DataError(f"{file} lacks the columns of {len(lacking)} trials of StimulusMetadata: {listed(lacking)}")
    block, column = place["voxel_id"]
    rows = _rows(group[f"{block}_values"][:, column], voxel_ids, file)
    out = np.empty((len(trial_ids), len(rows)), dtype=np.float32)
    for block in blocks:
        mine = np.array([i for i, trial in enumerate(trial_ids) if place[str(trial)][0] == block], dtype=np.intp)
        if not mine.size:
            continue
        table = group[f"{block}_values"]  # (voxel, item)
        columns = [place[str(trial_ids[i])][1] for i in mine]
        step = max(1, BLOCK_BYTES // (table.shape[1] * table.dtype.itemsize))
        for start in range(int(rows.min()), int(rows.max()) + 1, step):
            here = np.flatnonzero((rows >= start) & (rows < start + step))
            if here.size:
                part = table[start : start + step][rows[here] - start]
                out[np.ix_(mine, here)] = part[:, columns].T  # (voxel, trial) -> (trial, voxel)
    return out


def _labels(items: Any, file: Path, *, allow_pickle: bool) -> list[str]:
    """Names of columns: text, numbers, or the pickle that pandas makes of a mixture."""
    if items.dtype.kind != "O" or h5py.check_string_dtype(items.dtype) is not None:
        return as_text(read_dataset(items))
    if h5py.check_vlen_dtype(items.dtype) != np.uint8 or items.shape != (1,):
        raise DataError(f"{file}: {items.name} holds no names of columns")
    if not allow_pickle:
        raise refuse_pickle(file, "things_fmri")
    check_dataset(items)
    return as_text(loads_pickle(items[0].tobytes(), f"{file}: {items.name}"))


def _rows(have: NDArray[Any], wanted: NDArray[np.int64], file: Path) -> NDArray[np.int64]:
    position = {int(voxel): row for row, voxel in enumerate(have)}
    lacking = [voxel for voxel in wanted if int(voxel) not in position]
    if lacking:
        raise DataError(f"{file} lacks {len(lacking)} voxels of VoxelMetadata: {listed(lacking)}")
    if len(wanted) == 0:
        raise DataError(f"{file}: the selection holds no voxels")
    return np.array([position[int(voxel)] for voxel in wanted])


def _tables(path: Path) -> dict[str, Path]:
    for folder in (path, path / "betas_csv"):
        files = [named(file) for file in data_files(folder, "sub-*_ResponseData.h5")]
        found = {f"sub-{file.entities['sub']}": file.path for file in files if file and set(file.entities) == {"sub"}}
        if found:
            return found
    return {}


def _csv(file: Path, *, text: Sequence[str] = (), whole: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """A table of text, its columns ``text`` without gaps, ``whole`` and ``optional`` as whole numbers."""
    if not file.is_file():
        raise DataError(f"{file} is missing beside ResponseData.h5")
    table = read_cells(file).frame(row_names=True)
    lacking = [column for column in (*text, *whole) if column not in table]
    if lacking:
        raise DataError(f"{file} has no column {listed(lacking)}; its columns: {listed(table.columns)}")
    for column in (*whole, *(name for name in optional if name in table)):
        table[column] = whole_numbers(table[column], column, file)
    for column in text:
        empty = [line for line, cell in enumerate(table[column], 2) if not cell]
        if empty:
            raise DataError(f"{file}: {column} is empty in line {listed(empty)}")
    return table


READERS = (
    Reader("things_fmri", "responses", "THINGS-fMRI betas_csv folder (ResponseData.h5 and two .csv)", sniff, read),
)
