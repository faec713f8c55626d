"""BOLD5000 release 2: GLMsingle betas in NIfTI, one file per subject and session, and one list of images.

References
----------
Chang et al. 2019, Scientific Data 6:49, doi:10.1038/s41597-019-0052-3
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from ...errors import DataError, listed, unknown
from ...leftovers import data_files
from ..labelled import make_responses
from ..reader import Match, Reader, choose_label
from ..reading import nifti
from ..reading.files import provenance
from ..reading.ids import read_list

BETAS = re.compile(r"(CSI\d)_GLMbetas-(.+)_ses-(\d+)\.nii(\.gz)?")


def sniff(path: Path) -> Match:
    """A folder with ``CSIx_GLMbetas-*_ses-SS.nii.gz``."""
    return 2 if any(BETAS.fullmatch(file.name) for file in data_files(path)) else 0


def read(
    path: Path,
    *,
    subject: str | None = None,
    session: int | Sequence[int] | None = None,
    mask: nifti.Mask | None = None,
    normalise: Literal["none", "session"] = "session",
) -> xr.DataArray:
    """Read one subject's betas from a folder with ``CSIx_imgnames.txt`` and ``CSIx_brainmask.nii.gz`` beside them.

    Parameters
    ----------
    session : int or sequence of int, optional
        1-based. The list of images runs over all sessions, so all earlier ones must be there too.
    mask : path or array, optional
        Voxels to read. Default: the brain mask.
    normalise : "session" or "none"
        Each voxel z-scored within each session (default: sessions differ in scale), or the betas as they are.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid), float32; on presentation stimulus_id (the image's file name), repetition, session; on neuroid
        subject, i, j, k (0-based).
    """
    found: dict[str, dict[int, Path]] = {}
    for file in data_files(path):
        match = BETAS.fullmatch(file.name)
        if match:
            sessions = found.setdefault(match[1], {})
            if int(match[3]) in sessions:
                raise DataError(
                    f"{path} has session {match[3]} of {match[1]} in several files, "
                    f"{sessions[int(match[3])].name} and {file.name}: keep one in the folder"
                )
            sessions[int(match[3])] = file
    subject = choose_label("subject", list(found), subject, path)
    files = found[subject]
    # a session that is named twice is read once
    wanted = list(dict.fromkeys(files if session is None else [session] if isinstance(session, int) else session))
    for number in wanted:
        if number not in files:
            raise unknown("session", number, list(files))
    names = read_list(path / f"{subject}_imgnames.txt")
    images = {number: nifti.open_nifti(file) for number, file in files.items()}
    counts = {number: nifti.volumes(images[number]) for number in files}
    absent = sorted(set(range(1, max(wanted) + 1)) - set(files))
    if absent:
        raise DataError(
            f"{path} lacks sessions {listed(absent)} of {subject}; {subject}_imgnames.txt counts through all of them"
        )
    if sum(counts.values()) > len(names):
        raise DataError(f"{subject}_imgnames.txt has {len(names)} names, the images {sum(counts.values())} volumes")
    grid = nifti.Grid.of(images[wanted[0]], files[wanted[0]])
    for number in wanted:
        grid.check(nifti.Grid.of(images[number], files[number]))
    mask = mask if mask is not None else path / f"{subject}_brainmask.nii.gz"
    voxels = nifti.read_inside(mask, grid)[1]
    parts, ids, labels = [], [], []
    for number in wanted:
        start = sum(counts[earlier] for earlier in range(1, number))
        parts.append(nifti.read_voxels(images[number], voxels, str(files[number])))
        ids += names[start : start + counts[number]]
        labels += [number] * counts[number]
    values = np.concatenate(parts)
    if normalise == "session":
        values = nifti.zscore_sessions(values, labels)
    attrs: dict[str, Any] = {"units": "z within session" if normalise == "session" else "beta"}
    used = [*(files[number] for number in wanted), path / f"{subject}_imgnames.txt"]
    attrs |= {**nifti.grid_attrs(grid), **provenance(*used, root=path)}
    neuroid = {"subject": subject, **nifti.voxel_coords(voxels)}
    return make_responses(values, ids, neuroid_coords=neuroid, attrs=attrs, session=labels)


READERS = (Reader("bold5000", "responses", "BOLD5000 release 2 folder (CSIx_GLMbetas-*.nii.gz)", sniff, read),)
