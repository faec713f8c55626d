"""The Natural Scenes Dataset in its own folder layout: single-trial betas in volume space.

Stimulus ids are ``nsd-00013``: the 0-based nsdId of nsd_stim_info_merged.csv, as in the file names of Algonauts 2023.

References
----------
Allen et al. 2022, Nature Neuroscience 25:116-126, doi:10.1038/s41593-021-00962-x
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import DataError, argument, listed, unknown
from ...foreign.hdf5 import check_dataset, open_hdf5
from ...leftovers import data_files, data_folders
from ...schema import NSD_PREFIX
from ..labelled import make_responses
from ..reader import Match, Reader, choose_label
from ..reading import nifti
from ..reading.files import load_arrays, provenance
from ..reading.rois import choose_rois, coordinate_name, first_roi

TRIALS = 750
PERCENT = 300.0
"""Betas stored as whole numbers are percent signal change times this, unless the file scales them itself."""


def sniff(path: Path) -> Match:
    """A folder with nsddata_betas."""
    return 2 if (path / "nsddata_betas").is_dir() else 0


def read(
    path: Path,
    *,
    subject: str | None = None,
    session: int | Sequence[int] | None = None,
    roi: str | Sequence[str] = "nsdgeneral",
    space: str = "func1pt8mm",
    preparation: str = "betas_fithrf_GLMdenoise_RR",
    normalise: Literal["none", "session"] = "none",
) -> xr.DataArray:
    """Read the betas of one subject from the folder that holds ``nsddata`` and ``nsddata_betas``.

    Parameters
    ----------
    session : int or sequence of int, optional
        1-based; default: all that are there. NSD keeps back no trials of the sessions it publishes.
    roi : str or sequence of str
        Regions (``"V1"``, ``"EBA"``) or mask files (``"nsdgeneral"``, the default, ``"streams"``). ``"all"`` is the whole
        volume: 700,000 voxels.
    space, preparation : str
        Folders of the betas.
    normalise : "none" or "session"
        Percent signal change, or each voxel z-scored within each session.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid), float32. On presentation stimulus_id, repetition, session (1-based) and trial (0-based within
        the subject); on neuroid subject, roi, i, j, k (0-based), ncsnr where it is there, and each atlas.
    """
    subjects = [folder.name for folder in data_folders(path / "nsddata_betas" / "ppdata", "subj[0-9]*")]
    subject = choose_label("subject", subjects, subject, path)
    folder = path / "nsddata_betas" / "ppdata" / subject / space / preparation
    files = _sessions(folder, session)
    grid = _grid(path, folder, files, subject, space)
    families, masks = _atlases(path / "nsddata" / "ppdata" / subject / space / "roi", grid, roi)
    used = [*files.values(), *masks]
    shape = grid.shape
    if roi == "all":
        voxels = np.indices(shape).reshape(3, -1).T  # (3, i, j, k) -> (voxel, 3), k fastest
        inside = np.ones(len(voxels), dtype=bool)
    else:
        voxels = np.argwhere(np.any([labels > 0 for labels in families.values()], axis=0))
        names = {name: nifti.label_names(name, labels[tuple(voxels.T)]) for name, labels in families.items()}
        inside = choose_rois(names, roi)
    voxels = voxels[inside]
    regions = {name: nifti.label_names(name, labels[tuple(voxels.T)]) for name, labels in families.items()}
    neuroid: dict[str, Any] = {"subject": subject, "roi": first_roi(regions, len(voxels)), **nifti.voxel_coords(voxels)}
    neuroid |= {coordinate_name(name): labels for name, labels in regions.items()}
    ncsnr = folder / "ncsnr.nii.gz"
    if ncsnr.is_file():
        volume, own = nifti.read_volume(ncsnr)
        grid.check(own)
        neuroid["ncsnr"] = volume[tuple(voxels.T)].astype(np.float32)
        used.append(ncsnr)
    ids, design = _design(path, subject)
    trials = np.concatenate([np.arange(TRIALS) + (number - 1) * TRIALS for number in files])
    if trials.min() < 0 or trials.max() >= len(ids):
        raise DataError(f"{design} has {len(ids)} trials, fewer than sessions {listed(files)} of {TRIALS} have")
    values = np.empty((len(trials), len(voxels)), dtype=np.float32)
    for row, file in enumerate(files.values()):
        values[row * TRIALS : (row + 1) * TRIALS] = read_session(file, voxels, shape)
    sessions = np.repeat(list(files), TRIALS)
    if normalise == "session":
        values = nifti.zscore_sessions(values, sessions)
    attrs: dict[str, Any] = {"units": "z within session" if normalise == "session" else "percent signal change"}
    attrs |= {**nifti.grid_attrs(grid), **provenance(*used, design, root=path)}
    return make_responses(
        values, [ids[trial] for trial in trials], neuroid_coords=neuroid, attrs=attrs, session=sessions, trial=trials
    )


def read_session(file: Path, voxels: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Betas of one session, (trial, voxel), in percent signal change.

    The .hdf5 files keep MATLAB's array with its axes reversed, (trial, k, j, i); the NIfTI files are (i, j, k, trial).
    """
    if file.suffix != ".hdf5":
        image = nifti.open_nifti(file)
        if image.shape != (*shape, TRIALS):
            raise DataError(f"{file} has shape {image.shape}; expected {(*shape, TRIALS)}")
        values = nifti.read_voxels(image, voxels, str(file))
        raw = image.get_data_dtype().kind in "iu" and (image.dataobj.slope, image.dataobj.inter) == (1, 0)
        return values / np.float32(PERCENT) if raw else values
    values = np.empty((TRIALS, len(voxels)), dtype=np.float32)
    with open_hdf5(file) as opened:
        if "betas" not in opened:
            raise DataError(f"{file} has {listed(opened)}, no betas")
        betas = opened["betas"]
        if betas.shape != (TRIALS, *shape[::-1]):
            raise DataError(
                f"{file} has betas of shape {betas.shape}; expected {(TRIALS, *shape[::-1])} (trial, k, j, i)"
            )
        check_dataset(betas)
        for k in np.unique(voxels[:, 2]):
            here = np.flatnonzero(voxels[:, 2] == k)
            i, j = voxels[here, 0], voxels[here, 1]
            slab = betas[:, k, j.min() : j.max() + 1, i.min() : i.max() + 1]  # (trial, j, i) of the box around the roi
            values[:, here] = slab[:, j - j.min(), i - i.min()]
        return values / np.float32(PERCENT) if betas.dtype.kind in "iu" else values


def _sessions(folder: Path, session: int | Sequence[int] | None) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for file in data_files(folder, "betas_session*"):
        match = re.fullmatch(r"betas_session(\d\d)\.(hdf5|nii\.gz|nii)", file.name)
        if match:
            found.setdefault(int(match[1]), file)  # .hdf5 sorts first, and reads faster
    if not found:
        raise DataError(f"{folder} has no betas_sessionSS.hdf5 or .nii.gz")
    wanted = list(found) if session is None else [session] if isinstance(session, int) else list(session)
    for number in wanted:
        if number not in found:
            raise unknown("session", number, list(found))
    return {number: found[number] for number in wanted}


def _grid(path: Path, folder: Path, files: dict[int, Path], subject: str, space: str) -> nifti.Grid:
    """The grid of the betas; the .hdf5 files have no affine, so a volume of the same space gives it, a mask at last."""
    betas = [file for file in files.values() if file.suffix != ".hdf5"]
    others = data_files(path / "nsddata" / "ppdata" / subject / space, "*.nii.gz", recursive=True)
    others.sort(key=lambda file: file.parent.name == "roi")
    for file in (*betas, folder / "ncsnr.nii.gz", *others):
        if file.is_file():
            grid = nifti.Grid.of(nifti.open_nifti(file), file)
            for session in betas:
                grid.check(nifti.Grid.of(nifti.open_nifti(session), session))
            return grid
    raise DataError(f"no volume of {subject} in {space} was found that gives the affine (ncsnr.nii.gz, roi/*.nii.gz)")


def _atlases(
    folder: Path, grid: nifti.Grid, roi: str | Sequence[str]
) -> tuple[dict[str, NDArray[np.int64]], list[Path]]:
    files = {file.name.removesuffix(".nii.gz"): file for file in data_files(folder, "*.nii.gz")}
    # lh.X and rh.X repeat X
    files = {name: file for name, file in files.items() if not name.startswith(("lh.", "rh."))}
    if not files and roi != "all":
        raise DataError(f"{folder} has no mask files; {argument('roi', 'all')} reads whole volumes")
    return {name: nifti.read_labels(file, grid) for name, file in files.items()}, list(files.values())


def _design(path: Path, subject: str) -> tuple[list[str], Path]:
    """Stimulus of every trial of a subject."""
    file = path / "nsddata" / "experiments" / "nsd" / "nsd_expdesign.mat"
    if not file.is_file():
        raise DataError(f"{file} is missing: without it the stimuli of the trials are not known")
    arrays = load_arrays(file, ["masterordering", "subjectim"])
    if len(arrays) != 2:
        raise DataError(f"{file} has {listed(arrays)}; expected masterordering and subjectim")
    try:
        order = np.asarray(arrays["masterordering"]).ravel().astype(np.int64)  # 1-based into the subject's 10000 images
        images = np.asarray(arrays["subjectim"]).astype(np.int64)[int(subject.removeprefix("subj")) - 1]  # 1-based ids
    except (ValueError, TypeError, IndexError) as error:
        raise DataError(f"{file} does not fit {subject}: {error}") from error
    if images.ndim != 1 or not len(order) or order.min() < 1 or order.max() > len(images):
        raise DataError(f"{file}: masterordering should count the {images.shape} images of subjectim from 1")
    return [f"{NSD_PREFIX}{number:05d}" for number in images[order - 1] - 1], file


READERS = (Reader("nsd", "responses", "Natural Scenes Dataset folder (nsddata, nsddata_betas)", sniff, read),)
