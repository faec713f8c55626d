"""Labelled pictures for a trained model: opened by what a path is, in the order of the model's logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError, StimulusError
from ...leftovers import data_folders
from ...stimuli.shapes import CATEGORIES
from ..config import DataConfig
from .classes import folder_names
from .data import Labelled, drawn, ecoset, image_folder

HDF5 = (".h5", ".hdf5", ".hdf", ".he5")


def check_source(what: str) -> None:
    """Raise DataError for what cannot be labelled pictures, before anything is opened."""
    path = Path(what)
    if what == "shapes" or (what and path.is_dir()) or (path.is_file() and path.suffix.lower() in HDF5):
        return
    raise DataError(
        f"{what or repr(what)} {'is of an unknown kind' if what and path.exists() else 'does not exist'}; labelled pictures are "
        f"'shapes', a folder with one folder per class, or an HDF5 file ({', '.join(HDF5)})"
    )


def open_for(
    what: str, classes: Sequence[str], size: int, *, split: str = "test", given: Sequence[str] | None = None,
    n: int = 2000, seed: int = 0,
) -> Labelled:  # fmt: skip
    """Open labelled pictures so that label ``i`` is a model's logit ``i``; DataError where the classes are not the model's.

    ``what`` is ``"shapes"``, ``n`` drawn pictures of ``size`` pixels; a folder with one folder per class (``given`` for
    every logit where their names are not the classes); or an HDF5 file with ``split/data`` and ``split/labels``.
    """
    check_source(what)
    if what == "shapes":
        if tuple(classes) != CATEGORIES:
            raise DataError(f"the pictures of shapes are of {', '.join(CATEGORIES)}; the model knows other classes")
        return drawn(DataConfig(n_train=n, n_val=n, n_test=n, seed=seed), split, size)
    path = Path(what)
    if path.is_dir():
        inside = [folder.name for folder in data_folders(path)]
        if not inside:
            raise DataError(f"{path} has no folders: pictures lie in one folder per class")
        data = image_folder(path, folder_names(inside, classes, given))
        return Labelled(data.stimuli, data.labels, tuple(classes))
    try:
        data = ecoset(path, split, given or classes)
    except StimulusError as error:
        raise DataError(str(error)) from None
    return Labelled(data.stimuli, data.labels, tuple(classes))
