"""Stimuli that lie in one file: HDF5 bricks such as NSD's, and the 92 objects' .mat file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..datasets import KRIEGESKORTE92_IDS, fetch
from ..errors import DataError, StimulusError, argument, listed
from ..foreign.hdf5 import datasets
from ..foreign.matlab5 import load_matlab5
from .sources import check_pictures

NSD_DATASET = "imgBrick"
MAT92 = "kriegeskorte92/Kriegeskorte_Neuron2008_supplementalData.mat"


def find_dataset(path: Path, dataset: str | None) -> str:
    """Name the dataset of pictures: the given one, NSD's ``imgBrick``, or the only uint8 one of a fitting shape."""
    try:
        held = datasets(path)
    except DataError as error:
        raise StimulusError(str(error)) from None
    shown = listed(f"{name} {one.dtype} {one.shape}" for name, one in held.items()) or "no datasets"
    if dataset is not None:
        if dataset.strip("/") not in held:
            raise StimulusError(f"{path} has no dataset {dataset!r}; it holds {shown}")
        return dataset.strip("/")
    fitting = [name for name, one in held.items() if _fits(one.shape, one.dtype)]
    if NSD_DATASET in fitting:
        return NSD_DATASET
    if len(fitting) != 1:
        number = f"{len(fitting)} datasets" if fitting else "no dataset"
        raise StimulusError(
            f"{path}: {number} could be the pictures (uint8, (n, height, width, 3) or (n, height, width)); "
            f"say {argument('dataset', 'NAME', otherwise='which by a file that holds it alone')}; it holds {shown}"
        )
    return fitting[0]


def _fits(shape: tuple[int, ...], dtype: str) -> bool:
    try:
        check_pictures(shape, np.dtype(dtype), "")
    except (StimulusError, TypeError, ValueError):  # compounds and unknown types have no such name
        return False
    return True


def brick_ids(rows: np.ndarray, length: int, prefix: str) -> list[str]:
    """``prefix`` and the row number from 0 (NSD's ``nsdId``), padded to the width of the whole dataset, 5 at least."""
    width = max(5, len(str(length - 1)))
    return [f"{prefix}{row:0{width}d}" for row in rows]


def read_mat92(path: Path | None) -> tuple[np.ndarray, pd.DataFrame, Path]:
    """Pictures (92, 175, 175, 3) uint8 and metadata of Kriegeskorte et al. 2008; fetched when no path is given."""
    path = fetch(MAT92) if path is None else path
    if not path.is_file():
        raise StimulusError(f"there is no file {path}")
    try:
        content = load_matlab5(path, ["stimuli_92objs"])
    except DataError as error:
        raise StimulusError(f"cannot read {path} as a .mat file: {error}") from None
    if "stimuli_92objs" not in content:
        raise StimulusError(f"{path} has no variable stimuli_92objs; the 92 objects are in {MAT92}")
    table = content["stimuli_92objs"]
    wanted = ("category", "human", "face", "animal", "natural", "image")
    if table.dtype.names is None or not set(wanted) <= set(table.dtype.names) or table.size != len(KRIEGESKORTE92_IDS):
        raise StimulusError(f"{path}: stimuli_92objs is not a struct array of 92 with the fields {', '.join(wanted)}")
    objects = table.ravel()
    shapes = {np.shape(entry["image"]) for entry in objects}
    if len(shapes) != 1:
        raise StimulusError(f"{path}: the pictures differ in shape: {listed(sorted(shapes))}")
    images = np.stack([entry["image"] for entry in objects])  # (92, H, W, 3)
    metadata = pd.DataFrame({"category": [str(np.squeeze(entry["category"])) for entry in objects]})
    for column in wanted[1:-1]:
        metadata[column] = [bool(np.squeeze(entry[column])) for entry in objects]
    return images, metadata, path
