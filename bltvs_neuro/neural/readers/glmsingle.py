"""GLMsingle's output: single-trial betas of one session, from Python (.npy, .hdf5) or MATLAB (.mat).

References
----------
Prince et al. 2022, eLife 11:e77599, doi:10.7554/eLife.77599
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import DataError, argument, counted, listed
from ...foreign.hdf5 import check_dataset, open_hdf5
from ...foreign.npy import npy_header
from ..labelled import make_responses
from ..reader import Match, Reader
from ..reading import nifti
from ..reading.files import kind, load_arrays, provenance, variables
from ..reading.ids import Stimuli, given_ids
from ..reading.pickles import load_pickled_npy
from ..reading.rois import Labels

log = logging.getLogger(__name__)
KEYS = ("betasmd", "modelmd")


def sniff(path: Path) -> Match:
    """A file called TYPE?_*.npy that holds an object, or an HDF5 or .mat file with betasmd or modelmd."""
    what = kind(path)
    if what == "npy":
        with path.open("rb") as stream:
            _, _, dtype = npy_header(stream, path)
        return 2 if dtype.hasobject and path.name.startswith(("TYPE", "typ")) else 0
    return 2 if what in ("hdf5", "matlab73", "matlab5") and set(KEYS) & set(variables(path)) else 0


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    mask: nifti.Mask | None = None,
    labels: Labels | None = None,
    subject: str | None = None,
    allow_pickle: bool = False,
) -> xr.DataArray:
    """Read the betas of a session: ``TYPED_FITHRF_GLMDENOISE_RR.npy``, ``.mat`` or ``.hdf5``.

    Parameters
    ----------
    stimuli : sequence of str or path
        The stimulus of each trial, in their order.
    mask : path or array, optional
        Volume (i, j, k) of the voxels to read; whole numbers above 0 are inside. Its affine is kept. Default: every voxel with
        finite betas in all trials; a warning says how many have them in some.
    labels : dict, optional
        Region of each number of ``mask``.
    subject : str, optional
        Which subject this is; the file does not say.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid), float32, percent signal change (whole numbers as they are stored, see ``units``); i, j, k on
        neuroid for volumes, voxel otherwise.
    """
    betas, grid, dtype = _betas(path, allow_pickle=allow_pickle)
    # GLMsingle writes floats; whole numbers were scaled by somebody, who knows the factor
    units = "percent signal change" if dtype.kind == "f" else f"as stored ({dtype})"
    attrs: dict[str, Any] = {"units": units, **provenance(path)}
    numbers = None
    if mask is not None:
        numbers, voxels = nifti.read_inside(
            mask, nifti.Grid(grid, None, str(path))
        )  # the betas have no affine to compare
        attrs |= nifti.grid_attrs(nifti.Grid(grid, nifti.read_volume(mask)[1].affine, str(mask)))
    else:
        voxels = np.indices(grid).reshape(len(grid), -1).T  # (axes, ...) -> (voxel, axes)
    values = betas(voxels)
    if mask is None:
        known = np.isfinite(values)
        finite = known.all(axis=0)
        if broken := int((known.any(axis=0) & ~finite).sum()):  # not outside of the brain, where no trial has a beta
            log.warning(
                "%s: left out %s without a finite beta in some trials; %s keeps what lies in a mask",
                path, counted(broken, "voxel"), argument("mask"),
            )  # fmt: skip
        values, voxels = values[:, finite], voxels[finite]
    ids = given_ids(stimuli, len(values), f"{path} has {len(values)} trials")
    if ids is None:
        raise DataError(f"{path} does not name its {len(values)} trials: pass {argument('stimuli')}, one id per trial")
    neuroid: dict[str, Any] = nifti.voxel_coords(voxels) if len(grid) == 3 else {"voxel": voxels[:, 0]}
    if numbers is not None:
        neuroid["roi"] = nifti.label_names("mask", numbers[tuple(voxels.T)], labels)
    return make_responses(values, ids, neuroid_coords={"subject": subject, **neuroid}, attrs=attrs)


def _betas(path: Path, *, allow_pickle: bool) -> tuple[Any, tuple[int, ...], np.dtype[Any]]:
    """A function from voxels (n, axes) to betas (trial, voxel), the shape of the grid, and the type that is stored."""
    what = kind(path)
    if what in ("hdf5", "matlab73"):
        held = variables(path)
        key = _key(held, path)
        full = held[key].shape

        def from_hdf5(voxels: NDArray[np.integer]) -> NDArray[np.float32]:
            with open_hdf5(path) as file:
                check_dataset(file[key])
                return _pick(file[key], _expand(voxels, full), trials_first=what == "matlab73")

        return from_hdf5, _squeeze(full, path), np.dtype(held[key].dtype)
    if what == "npy":
        data = load_pickled_npy(path, allow_pickle=allow_pickle, reader="glmsingle")
        if not isinstance(data, dict):
            raise DataError(f"{path} holds a {type(data).__name__}; expected a dict with betasmd")
    else:
        data = load_arrays(path, KEYS)
    array = np.asarray(data[_key(data, path)])
    grid = _squeeze(array.shape, path)
    return lambda voxels: array[(*_expand(voxels, array.shape).T,)].T.astype(np.float32), grid, array.dtype


def _key(data: Any, path: Path) -> str:
    for key in KEYS:
        if key in data:
            return key
    raise DataError(f"{path} has {listed(data)}; expected {' or '.join(KEYS)}")


def _squeeze(shape: tuple[int, ...], path: Path) -> tuple[int, ...]:
    """The grid of (x, y, z, trial), or (voxel,) of (voxel, trial) and (voxel, 1, 1, trial)."""
    if len(shape) == 4:
        return shape[:1] if shape[1:3] == (1, 1) else shape[:3]
    if len(shape) == 2:
        return shape[:1]
    raise DataError(f"{path} has betas of shape {shape}; expected (x, y, z, trial) or (voxel, trial)")


def _expand(voxels: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.integer]:
    lacking = len(shape) - 1 - voxels.shape[1]
    return np.pad(voxels, ((0, 0), (0, lacking)))


def _pick(dataset: Any, voxels: NDArray[np.integer], *, trials_first: bool) -> NDArray[np.float32]:
    """Read block by block along the first axis of the file: the whole array may not fit in memory."""
    n_trials = dataset.shape[0 if trials_first else -1]
    out = np.empty((n_trials, len(voxels)), dtype=np.float32)
    step = max(1, 128 * 2**20 * dataset.shape[0] // max(1, dataset.nbytes))
    for start in range(0, dataset.shape[0], step):
        block = dataset[start : start + step]
        if trials_first:  # MATLAB: (trial, z, y, x)
            out[start : start + step] = block[(slice(None), *voxels.T[::-1])]
        else:  # (x, y, z, trial)
            here = np.flatnonzero((voxels[:, 0] >= start) & (voxels[:, 0] < start + step))
            out[:, here] = block[(voxels[here, 0] - start, *voxels[here, 1:].T)].T
    return out


READERS = (
    Reader("glmsingle", "responses", "GLMsingle betas (TYPED_*.npy, .mat, .hdf5) with a list of stimuli", sniff, read),
)
