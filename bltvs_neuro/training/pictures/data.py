"""Labelled pictures of one split: drawn by the package, in folders by class, or in an Ecoset HDF5 file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import DataError, counted, listed, unknown
from ...foreign.hdf5 import datasets, open_hdf5, read_dataset
from ...model.transform import Transform
from ...stimuli import StimulusSet
from ...stimuli.shapes import CATEGORIES
from ..config import DataConfig
from .augment import Augment
from .order import Key


@dataclass(frozen=True)
class Labelled:
    """Pictures and their classes: ``labels``, int64 (n,), are positions in ``classes``, the order of the logits."""

    stimuli: StimulusSet
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.stimuli):
            raise DataError(f"{counted(len(self.labels), 'labels')} for {counted(len(self.stimuli), 'pictures')}")
        if not len(self.labels):
            raise DataError("there are no pictures")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.classes):
            raise DataError(f"labels run from {low} to {high}, but there are {counted(len(self.classes), 'classes')}")
        object.__setattr__(self, "labels", self.labels.astype(np.int64))

    def __len__(self) -> int:
        return len(self.labels)


def drawn(config: DataConfig, split: str, size: int) -> Labelled:
    """The data set ``shapes``; ``split`` is train, val or test."""
    numbers = {config.train: config.n_train, config.val: config.n_val, config.test: config.n_test}
    if split not in numbers:
        raise unknown("split", split, list(numbers))
    stimuli = StimulusSet.shapes(numbers[split], split=split, seed=config.seed, size=size)  # type: ignore[arg-type]
    return Labelled(stimuli, np.arange(len(stimuli)) % len(CATEGORIES), CATEGORIES)


def image_folder(folder: str | Path, classes: Sequence[str] | None = None) -> Labelled:
    """Pictures in one folder per class, ``folder/CLASS/*.jpg`` or deeper; ``classes`` are the folders, sorted, unless given."""
    stimuli = StimulusSet.from_folder(folder)
    if loose := [stimulus_id for stimulus_id in stimuli.ids if "/" not in stimulus_id]:
        raise DataError(f"{folder}: {counted(len(loose), 'pictures', 'lie')} in no class's folder: {listed(loose, 4)}")
    folders = [stimulus_id.partition("/")[0] for stimulus_id in stimuli.ids]
    names = tuple(sorted(set(folders))) if classes is None else tuple(classes)
    position = {name: at for at, name in enumerate(names)}
    if strange := sorted(set(folders) - set(names)):
        raise DataError(f"{folder}: {counted(len(strange), 'folders', 'are')} no class of the model: {listed(strange)}")
    return Labelled(stimuli, np.array([position[name] for name in folders], np.int64), names)


def ecoset(path: str | Path, split: str, classes: Sequence[str] | None = None) -> Labelled:
    """One split of an HDF5 file with ``split/data`` (n, 256, 256, 3) uint8 and ``split/labels`` (n,).

    ``classes`` are those of the labels; unless given, the file's ``categories``, or else ``class 0``, ``class 1``, ...
    """
    path = Path(path)
    held = datasets(path)
    splits = [name.removesuffix("/labels") for name in held if name.endswith("/labels") and name.count("/") == 1]
    if split not in splits:
        raise DataError(f"{path} has no split {split!r} with data and labels; it has: {listed(splits) or 'none'}")
    with open_hdf5(path) as file:
        labels = read_dataset(file[f"{split}/labels"])
        named = [str(name) for name in read_dataset(file["categories"])] if "categories" in held else None
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{path}:{split}/labels must be integers (n,); got {labels.dtype} {labels.shape}")
    if named is not None and classes is not None and list(classes) != named:
        first = next((at for at, (a, b) in enumerate(zip(named, classes, strict=False)) if a != b), len(named))
        raise DataError(
            f"{path}: its categories are not the model's classes in the same order; they differ first at label {first} "
            f"({len(named)} against {len(classes)} names)"
        )
    names = classes or named or [f"class {number}" for number in range(int(labels.max(initial=-1)) + 1)]
    return Labelled(StimulusSet.from_hdf5(path, f"{split}/data"), labels, tuple(names))


SOURCES: dict[str, Callable[[DataConfig, str, int, Sequence[str] | None], Labelled]] = {
    "shapes": lambda config, split, size, classes: drawn(config, split, size),
    "imagefolder": lambda config, split, size, classes: image_folder(Path(config.path) / split, classes),
    "ecoset": lambda config, split, size, classes: ecoset(config.path, split, classes),
}
"""``data.source`` -> how one split of it is opened."""


def open_split(config: DataConfig, split: str, size: int, classes: Sequence[str] | None = None) -> Labelled:
    """Open one split of the data that a config names; pictures that are drawn have ``size`` pixels.

    ``classes`` are those of the training split, so that all splits count alike.
    """
    return SOURCES[config.source](config, split, size, classes)


class TrainingPictures(Dataset):
    """Augmented pictures with labels, by pass and row."""

    def __init__(self, data: Labelled, augment: Augment, seed: int) -> None:
        self.data, self.augment, self.seed = data, augment, seed

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        number, row = key
        pixels = self.augment(self.data.stimuli.load(row), (self.seed, number, row))
        return pixels, int(self.data.labels[row])


class PlainPictures(Dataset):
    """Pictures as the model's own transform gives them, with labels."""

    def __init__(self, data: Labelled, transform: Transform) -> None:
        self.data, self.transform = data, transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return torch.from_numpy(self.transform.crop(self.data.stimuli.load(row))), int(self.data.labels[row])
