"""Betas in NIfTI images with BIDS-style names: one volume per trial, a mask, and the stimuli in events or a list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import DataError, listed
from .files import kind, provenance
from .ids import Stimuli, given_ids, read_list
from .labelled import make_responses
from .nifti import Mask, grid_attrs, label_names, open_nifti, read_labels, read_voxels, voxel_coords
from .reader import Match, Reader

SUFFIX = re.compile(r"(_(desc|stat|space|res)-[A-Za-z0-9]+)*_[A-Za-z0-9]+\.nii(\.gz)?$")
"""The part of a name that events files do not share."""


def sniff(path: Path) -> Match:
    """A NIfTI image, or a folder with images whose names contain betas."""
    if path.is_dir():
        # other data sets keep NIfTI betas too, under names of their own
        return 1 if any(file.name.startswith("sub-") for file in _files(path)) else 0
    return 1 if kind(path) == "nifti" else 0


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    mask: Mask | None = None,
    labels: Mapping[int, str] | None = None,
    subject: str | None = None,
    column: str | None = None,
) -> xr.DataArray:
    """Read one image, or all ``*betas*.nii[.gz]`` of a folder and its subfolders.

    Parameters
    ----------
    path : Path
        A 4-D image (i, j, k, trial) or a folder. Session and run are read from names such as
        ``sub-01_ses-02_task-x_run-3_betas.nii.gz``.
    stimuli : sequence of str or path, optional
        The stimulus of each volume, over all files in the order of session and run. Default: the rows of the
        ``_events.tsv`` with the same entities.
    mask : path or array
        Volume (i, j, k); whole numbers above 0 are inside. Default: the only ``*_mask.nii[.gz]`` beside the images.
    labels : dict, optional
        Region of each number of ``mask``.
    subject : str, optional
        For folders with several subjects: ``"sub-01"`` or ``"01"``.
    column : str, optional
        Column of the events with the stimulus ids. Default: stimulus_id, stimulus, ..., trial_type.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid), float32. On presentation stimulus_id, repetition, session, run; on neuroid subject,
        roi (with ``labels``), i, j, k (0-based).
    """
    files = _files(path) if path.is_dir() else [path]
    name = None if subject is None else subject if subject.startswith("sub-") else f"sub-{subject}"
    if name is not None and path.is_dir():
        files = [file for file in files if f"sub-{_entity(file, 'sub')}" == name]
    subjects = sorted({_entity(file, "sub") or "" for file in files})
    if not files or len(subjects) > 1:
        have = f"images of subjects {listed(subjects)}: choose one with subject=" if files else "no *betas*.nii images"
        raise DataError(f"{path} has {have}")
    images = [open_nifti(file) for file in files]
    shape, affine = images[0].shape[:3], images[0].affine
    for file, image in zip(files, images, strict=True):
        if image.shape[:3] != shape or not np.allclose(image.affine, affine, atol=1e-3):
            raise DataError(f"{file} lies on another grid than {files[0]}: {image.shape[:3]}, {shape}, or the affine")
    if mask is None:
        mask = _mask(files)
    numbers = read_labels(mask, shape, affine)
    voxels = np.argwhere(numbers > 0)
    if not len(voxels):
        raise DataError("the mask is empty")
    counts = [image.shape[3] if len(image.shape) == 4 else 1 for image in images]
    ids = given_ids(stimuli)
    if ids is None:
        ids = [stimulus for file, count in zip(files, counts, strict=True) for stimulus in _events(file, count, column)]
    if len(ids) != sum(counts):
        raise DataError(f"{len(ids)} stimulus ids were given, but the images have {sum(counts)} volumes")
    values = np.empty((sum(counts), len(voxels)), dtype=np.float32)
    start = 0
    for file, image, count in zip(files, images, counts, strict=True):
        values[start : start + count] = read_voxels(image, voxels, str(file))
        start += count
    neuroid: dict[str, Any] = {"subject": f"sub-{subjects[0]}" if subjects[0] else name, **voxel_coords(voxels)}
    if labels is not None or numbers.max() > 1:
        neuroid["roi"] = label_names("mask", numbers[tuple(voxels.T)], labels)
    extra = {}
    for word, entity in (("session", "ses"), ("run", "run")):
        found = [_entity(file, entity) for file in files]
        if None not in found:
            extra[word] = np.repeat(np.array(found, dtype=object), counts)
    attrs = {**grid_attrs(shape, affine), **provenance(*files, root=path if path.is_dir() else None)}
    return make_responses(values, ids, neuroid_coords=neuroid, attrs=attrs, **extra)


def _files(path: Path) -> list[Path]:
    found = [file for file in path.rglob("*.nii*") if "betas" in file.name.lower() and "mask" not in file.name]
    return sorted(found, key=lambda file: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", file.name)])


def _entity(file: Path, key: str) -> str | None:
    match = re.search(rf"(?:^|_){key}-([A-Za-z0-9]+)(?=_|\.)", file.name)
    return match[1] if match else None


def _mask(files: list[Path]) -> Path:
    found = sorted({mask for file in files for mask in file.parent.glob("*_mask.nii*")})
    if len(found) != 1:
        raise DataError(
            f"{len(found)} masks lie beside {files[0]} ({listed(mask.name for mask in found) or 'none'}): pass mask=, "
            f"a volume whose values above 0 are the voxels to read"
        )
    return found[0]


def _events(file: Path, count: int, column: str | None) -> list[str]:
    events = file.with_name(SUFFIX.sub("", file.name) + "_events.tsv")
    if not events.is_file():
        raise DataError(f"{file} does not name its {count} trials: there is no {events.name}; pass stimuli=")
    ids = read_list(events, column)
    if len(ids) != count:
        raise DataError(f"{events} has {len(ids)} rows, but {file.name} has {count} volumes")
    return ids


READERS = (Reader("bids", "responses", "NIfTI betas with a mask, and events or stimuli=", sniff, read),)
