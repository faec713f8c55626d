"""Betas in NIfTI images with BIDS-style names: one volume per trial, a mask, and the stimuli in events or a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import DataError, argument, listed
from ...leftovers import data_files
from ..labelled import make_responses
from ..reader import Match, Reader, choose_label
from ..reading import nifti
from ..reading.bids_events import events_of, presentation_coords, read_events
from ..reading.bids_names import VOLUMES, Named, betas_of, named, one_file_a_run, same
from ..reading.files import kind, provenance
from ..reading.ids import Stimuli, given_ids
from ..reading.rois import Labels


def sniff(path: Path) -> Match:
    """A NIfTI image, or a folder with images whose names say betas."""
    if path.is_dir():
        return 1 if any(betas_of(path)) else 0
    return 1 if kind(path) == "nifti" else 0


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    mask: nifti.Mask | None = None,
    labels: Labels | None = None,
    subject: str | None = None,
    column: str | None = None,
    entities: Mapping[str, str | None] | None = None,
) -> xr.DataArray:
    """Read one 4-D image (i, j, k, trial), or all images of betas of a folder and its subfolders.

    An image of betas says so in its suffix, ``desc`` or ``stat``: ``sub-01_ses-02_task-x_run-3_betas.nii.gz``.

    Parameters
    ----------
    stimuli : sequence of str or path, optional
        The stimulus of each volume, over all files in the order of session, task and run. Default: the rows of the
        ``_events.tsv`` with the same entities, without those whose stimulus is ``n/a``.
    mask : path or array
        Volume (i, j, k); whole numbers above 0 are inside. Default: the only ``_mask.nii[.gz]`` beside the images whose
        entities agree with theirs.
    labels : dict, optional
        Region of each number of ``mask``; also the path of a table with the columns index and name.
    column : str, optional
        Column of the events with the stimulus ids. Default: stimulus_id, stimulus, ..., trial_type.
    entities : dict, optional
        Where several files hold a run, what the name of the right one says: ``{"space": "T1w", "desc": None}``, or as text
        ``"space:T1w,desc:none"``. Also suffix, extension and folder (below ``path``).

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid), float32. On presentation stimulus_id, repetition, session, run, task where there are several,
        and the columns of the events; on neuroid subject, roi (with ``labels``), i, j, k (0-based).
    """
    files, who = _images(path, subject, entities or {})
    images = [nifti.open_nifti(file.path) for file in files]
    grids = [nifti.Grid.of(image, file.path) for image, file in zip(images, files, strict=True)]
    for grid in grids[1:]:
        grids[0].check(grid)
    numbers, voxels = nifti.read_inside(_mask(files) if mask is None else mask, grids[0])
    counts = [nifti.volumes(image) for image in images]
    coords: dict[str, Any] = {}
    ids = given_ids(stimuli, sum(counts), f"the images have {sum(counts)} volumes")
    if ids is None:
        root = path if path.is_dir() else path.parent
        tables = [read_events(events_of(f, root), f, n, column) for f, n in zip(files, counts, strict=True)]
        ids = [stimulus for table in tables for stimulus in table["stimulus_id"]]
        coords = presentation_coords(tables)
    values = np.concatenate([nifti.read_voxels(i, voxels, str(f.path)) for f, i in zip(files, images, strict=True)])
    neuroid: dict[str, Any] = {"subject": who, **nifti.voxel_coords(voxels)}
    if labels is not None or numbers.max() > 1:
        neuroid["roi"] = nifti.label_names("mask", numbers[tuple(voxels.T)], labels)
    coords |= _names_of_runs(files, counts)
    attrs = nifti.grid_attrs(grids[0]) | provenance(
        *(file.path for file in files), root=path if path.is_dir() else None
    )
    return make_responses(values, ids, neuroid_coords=neuroid, attrs=attrs, **coords)


def _images(path: Path, subject: str | None, picks: Mapping[str, str | None]) -> tuple[list[Named], str | None]:
    """The files to read, and whose they are."""
    if not path.is_dir():
        file = named(path) or Named(path, {}, "", "")
        own = file.entities.get("sub")
        return [file], subject if own is None else choose_label("subject", [f"sub-{own}"], subject, path)
    files, lost = betas_of(path)
    if not files and not lost:
        raise DataError(f"{path} has no images of betas (sub-01_..._betas.nii.gz)")
    subjects = sorted({f"sub-{file.entities['sub']}" for file in (*files, *lost)})
    who = choose_label("subject", subjects, subject, path)
    files, lost = ([file for file in some if f"sub-{file.entities['sub']}" == who] for some in (files, lost))
    return one_file_a_run(files, lost, picks, path), who


def _names_of_runs(files: Sequence[Named], counts: Sequence[int]) -> dict[str, np.ndarray]:
    """Session, run and task of each presentation, where all names say it."""
    coords = {}
    for word, key in (("session", "ses"), ("run", "run"), ("task", "task")):
        said = [file.entities.get(key) for file in files]
        if None not in said and (word != "task" or len(set(said)) > 1):
            coords[word] = np.repeat(np.array(said, dtype=object), counts)
    return coords


def _mask(files: Sequence[Named]) -> Path:
    """The only mask beside the images that is none of another subject, session, run or space."""
    beside = sorted({mask for folder in {file.path.parent for file in files} for mask in data_files(folder)})
    masks = [mask for mask in map(named, beside) if mask and mask.suffix == "mask" and mask.extension in VOLUMES]
    fitting = [mask.path for mask in masks if all(_shared(key, value, files) for key, value in mask.entities.items())]
    if len(fitting) != 1:
        raise DataError(
            f"{len(fitting)} masks lie beside {files[0].path} ({listed(mask.name for mask in fitting) or 'none'}): pass "
            f"{argument('mask')}, a volume whose values above 0 are the voxels to read"
        )
    return fitting[0]


def _shared(key: str, value: str, files: Sequence[Named]) -> bool:
    """Whether an entity of a mask is also one of the images; desc names what each is."""
    told = [file.entities[key] for file in files if key in file.entities]
    return key == "desc" or not told or any(same(value, other) for other in told)


READERS = (Reader("bids", "responses", "NIfTI betas with a mask, and events or a list of stimuli", sniff, read),)
