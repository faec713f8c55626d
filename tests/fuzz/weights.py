"""Weights, exported models, the state of a training run and its config."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

from .stimuli import written
from .target import Target

TINY = dict(timesteps=2, num_classes=3, add_feats=2, bio_unroll=False, image_size=128, width=0.0625)


@cache
def _model() -> Any:
    import torch

    from bltvs_neuro.model import BLT_VS

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BLT_VS(**TINY).eval()  # type: ignore[arg-type]


def export(root: Path) -> Path:
    """A small model as a folder."""
    from bltvs_neuro.model.released.exported import export_model

    classes = ("disc", "ring", "star")
    return export_model(
        _model(), root / "model", name="tiny", classes=classes, accuracies=(40, 50.5), training={"seed": 0}
    )


def _file(suffix: str, root: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    path = root / f"w{suffix}"
    state = _model().state_dict()
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    return path


def _read_file(path: Path) -> Any:
    from bltvs_neuro.model.released.weights import fill, read_weights, weights_sha256

    model = _model()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        fill(model, read_weights(path, path.name), path.name, "tiny")
        return {"ids": None, "sha256": weights_sha256(model)}
    finally:
        model.load_state_dict(before)


def _read_folder(path: Path) -> Any:
    from bltvs_neuro import load_model
    from bltvs_neuro.model.released.checkpoints import class_names

    model = load_model(path)
    return {
        "classes": class_names(path),
        "sha256": model.provenance["weights_sha256"],
        "about": model.provenance["about"],
    }


def _run(root: Path) -> Path:
    import torch

    from bltvs_neuro.training.running.checkpoint import save_checkpoint

    save_checkpoint(root, {"model": {"a": torch.arange(30.0)}, "epoch": 3, "config": {"name": "x"}})
    return root


def _read_run(path: Path) -> Any:
    from bltvs_neuro.training.running.checkpoint import read_checkpoint

    return str(read_checkpoint(path))


def _read_config(path: Path) -> Any:
    from bltvs_neuro.training.config import read_config

    return read_config(path).to_json()


CONFIG = """name = "small"
seed = 3

[model]
architecture = "BLT_VS"
timesteps = 2
image_size = 128

[data]
source = "shapes"
n_train = 100

[optimizer]
learning_rate = 1e-3
schedule = "cosine"
class_weights = false

[run]
epochs = 2
batch_size = 10
"""

TARGETS: dict[str, Target] = {
    **{
        f"weights-{suffix[1:]}": Target(partial(_file, suffix), _read_file, covers=f"weights:{suffix}")
        for suffix in (".pth", ".pt", ".bin", ".safetensors")
    },
    "model-folder": Target(export, _read_folder, ("*.safetensors",), ("*model.json",)),
    "training-run": Target(_run, _read_run, free=("*",)),
    "training-config": Target(written("config.toml", CONFIG), _read_config, free=("*",)),
}
