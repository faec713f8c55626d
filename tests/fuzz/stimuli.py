"""Stimuli and labelled pictures: every format of pictures, tables, bricks, folders of classes, lists of names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from bltvs_neuro.stimuli import StimulusSet
from bltvs_neuro.stimuli.decode import IMAGE_FORMATS

from .target import Target

BRICKS = (".h5", ".hdf5", ".hdf", ".he5")
TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


def _picture(seed: int) -> np.ndarray:
    grid = np.indices((20, 24)).sum(axis=0) * (seed + 3)
    return np.stack([grid % 256, (2 * grid) % 256, (grid + 50 * seed) % 256], axis=-1).astype(np.uint8)


def _folder(suffix: str, root: Path) -> Path:
    for name, seed in ((f"a.1{suffix}", 0), (f"faces/b{suffix}", 1)):
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(_picture(seed)).save(root / name, format=IMAGE_FORMATS[suffix])
    return root


def _table(suffix: str, root: Path) -> Path:
    _folder(".png", root)
    rows = [["stimulus_id", "path", "size"], ["007", "a.1.png", "1.5"], ["é", "faces/b.png", "2"]]
    path = root / f"stimuli{suffix}"
    path.write_text("".join(TABLES[suffix].join(row) + "\n" for row in rows), "utf-8")
    return path


def _brick(suffix: str, root: Path) -> Path:
    path = root / f"nsd{suffix}"
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", data=np.stack([_picture(seed) for seed in range(4)]), chunks=(1, 20, 24, 3))
    return path


def _ecoset(root: Path) -> Path:
    path = root / "ecoset.h5"
    with h5py.File(path, "w") as file:
        file["train/data"] = np.stack([_picture(seed) for seed in range(4)])
        file["train/labels"] = np.array([0, 1, 1, 0])
        file["categories"] = ["man", "insect"]
    return path


def _classes(root: Path) -> Path:
    for name, seed in (("dog/a.png", 0), ("cat/b.png", 1)):
        (root / name).parent.mkdir()
        Image.fromarray(_picture(seed)).save(root / name)
    return root


def pixels(stimuli: StimulusSet) -> dict[str, Any]:
    """Ids, metadata and all pixels."""
    return {
        "ids": list(stimuli.ids), "metadata": stimuli.metadata.to_csv(),
        "rows": [[name, stimuli.digest(name)] for name in stimuli.ids],
    }  # fmt: skip


def _labelled(data: Any) -> dict[str, Any]:
    held = pixels(data.stimuli)
    names = [data.classes[label] for label in data.labels]
    return {
        **held,
        "classes": data.classes,
        "rows": [[*row, name] for row, name in zip(held["rows"], names, strict=True)],
    }


def _read_classes(path: Path) -> Any:
    from bltvs_neuro.training.pictures.data import image_folder

    return _labelled(image_folder(path))


def _read_ecoset(path: Path) -> Any:
    from bltvs_neuro.training.pictures.data import ecoset

    return _labelled(ecoset(path, "train"))


def _read_class_file(path: Path) -> Any:
    from bltvs_neuro.training.pictures.classes import read_class_file

    return list(read_class_file(path))


def _read_ids(path: Path) -> Any:
    from bltvs_neuro.neural.reading.ids import read_list

    return read_list(path)


def _read_regions(path: Path) -> Any:
    from bltvs_neuro.brainscore.subject.regions import read_map

    return read_map(path)


def written(name: str, text: str) -> Callable[[Path], Path]:
    """A sample that is one text."""

    def make(root: Path) -> Path:
        (root / name).write_text(text, "utf-8")
        return root / name

    return make


def _opened(path: Path) -> Any:
    return pixels(StimulusSet.open(path))


LISTS = {".txt": "a.png\nb.png\n", ".json": '["a.png", "b.png"]', ".csv": "n,stimulus_id\n1,a\n2,b\n"}
LISTS[".tsv"] = LISTS[".csv"].replace(",", "\t")

TARGETS: dict[str, Target] = {
    **{
        f"pictures-{suffix[1:]}": Target(
            partial(_folder, suffix), _opened, ("*.png",), named=True, covers=f"stimuli:{suffix}"
        )
        for suffix in IMAGE_FORMATS
    },
    **{
        f"stimuli-table-{suffix[1:]}": Target(
            partial(_table, suffix), _opened, ("*.png",), (f"*{suffix}",), covers=f"stimuli:{suffix}"
        )
        for suffix in TABLES
    },
    **{
        f"stimuli-brick-{suffix[1:]}": Target(
            partial(_brick, suffix), _opened, free=("*",), covers=f"stimuli:{suffix}"
        )  # the name of the dataset says what the ids are
        for suffix in BRICKS
    },
    "training-folder": Target(_classes, _read_classes, ("*.png",), named=True, covers="data:imagefolder"),
    "training-ecoset": Target(_ecoset, _read_ecoset, free=("*",), covers="data:ecoset"),
    "classes-txt": Target(
        written("classes.txt", "n01440764 tench\nn01443537 goldfish\n"), _read_class_file, free=("*",)
    ),
    "classes-json": Target(written("classes.json", '["man", "insect"]'), _read_class_file, free=("*",)),
    "regions-json": Target(written("regions.json", '{"V1": "V1", "IT": "LOC"}'), _read_regions, free=("*",)),
    **{
        f"ids-{suffix[1:]}": Target(written(f"ids{suffix}", text), _read_ids, free=("*",))
        for suffix, text in LISTS.items()
    },
}
