"""THINGS-EEG2, preprocessed: pickled dicts in .npy files, one per subject and split, and one list of images.

References
----------
Gifford et al. 2022, NeuroImage 264:119754, doi:10.1016/j.neuroimage.2022.119754
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from ...errors import DataError, argument, counted
from ..labelled import make_responses
from ..reader import Match, Reader
from ..reading.files import provenance
from ..reading.ids import Stimuli, given_ids
from ..reading.pickles import check_keys, load_pickled_npy

NAME = "things_eeg2"
SPLITS = {"training": "train", "test": "test"}


def sniff(path: Path) -> Match:
    """A subject's folder, or one of its files."""
    names = [f"preprocessed_eeg_{split}.npy" for split in SPLITS]
    return 2 if path.name in names or any((path / name).is_file() for name in names) else 0


def read(
    path: Path,
    *,
    split: Literal["training", "test"] = "test",
    stimuli: Stimuli = None,
    metadata: Path | None = None,
    allow_pickle: bool = False,
) -> xr.DataArray:
    """Read one split of one subject; needs ``allow_pickle=True``.

    Parameters
    ----------
    path : Path
        ``sub-XX``, or one of its ``preprocessed_eeg_*.npy``, which then decides ``split``.
    split : "training" or "test"
        16540 images four times, or 200 images eighty times.
    stimuli : sequence of str or path, optional
        The image of each row. Default: train_img_files or test_img_files of ``image_metadata.npy``.
    metadata : path, optional
        Path of ``image_metadata.npy``. Default: looked for in the folder of the file and the two above, and in their
        ``image_set`` folders.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid, time), float32; image slow, repetition fast; neuroid with subject and electrode.
    """
    file = path / f"preprocessed_eeg_{split}.npy" if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"{file} does not exist")
    split = "training" if file.stem.endswith("training") else "test"
    data = load_pickled_npy(file, allow_pickle=allow_pickle, reader=NAME)
    check_keys(data, ("preprocessed_eeg_data", "ch_names", "times"), file)
    values = np.asarray(data["preprocessed_eeg_data"])
    channels, times = [str(name) for name in data["ch_names"]], np.asarray(data["times"], dtype=float)
    if values.ndim != 4 or values.shape[2:] != (len(channels), len(times)):
        raise DataError(
            f"{file}: data of shape {values.shape} do not fit {len(channels)} channels and {len(times)} times; "
            f"expected (image, repetition, channel, time)"
        )
    used = [file]
    ids = given_ids(stimuli)
    if ids is None:
        found = metadata if metadata is not None else _metadata(file)
        lists, key = load_pickled_npy(found, allow_pickle=allow_pickle, reader=NAME), f"{SPLITS[split]}_img_files"
        check_keys(lists, [key], found)
        ids = [str(name) for name in lists[key]]
        used.append(found)
    if len(ids) != len(values):
        raise DataError(f"{counted(len(ids), 'images', 'are')} named, but {file} has {len(values)}")
    n_images, n_repetitions = values.shape[:2]
    flat = values.reshape(n_images * n_repetitions, *values.shape[2:]).astype(np.float32)
    neuroid: dict[str, Any] = {"subject": file.parent.name, "electrode": channels}
    return make_responses(
        flat,
        np.repeat(np.array(ids, dtype=object), n_repetitions).tolist(),
        neuroid_coords=neuroid,
        repetition=np.tile(np.arange(n_repetitions), n_images),
        time=times,
        attrs=provenance(*used, root=file.parent if len(used) == 1 else None),
    )


def _metadata(file: Path) -> Path:
    for folder in list(file.parents)[:3]:
        for place in (folder / "image_metadata.npy", folder / "image_set" / "image_metadata.npy"):
            if place.is_file():
                return place
    raise DataError(
        f"image_metadata.npy, which names the images, was not found near {file}: pass {argument('metadata')} or "
        f"{argument('stimuli')}"
    )


READERS = (Reader(NAME, "responses", "THINGS-EEG2 preprocessed subject folder (pickles)", sniff, read),)
