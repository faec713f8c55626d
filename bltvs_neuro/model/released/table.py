"""The table of released models: weights, schedule, transform and class names of each.

Examples
--------
>>> [(name, one.accuracies[-1]) for name, one in CHECKPOINTS.items()]
[('ecoset', 69.83), ('imagenet', 70.08), ('shapes', 95.2)]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ..transform import Transform, symmetric

Classes = Literal["imagenet", "ecoset"]


@dataclass(frozen=True)
class Checkpoint:
    """A released model.

    Attributes
    ----------
    repo, filename, revision : str
        The weights on the Hugging Face hub; an exported model has no ``repo``.
    config : mapping
        Keywords of :class:`BLT_VS`; the schedule is part of them.
    classes : {"imagenet", "ecoset"} or tuple of str
        Whose class names the logits have, see :func:`class_names`; or the names themselves.
    accuracies : tuple of float
        Published top-1 accuracy in percent at the timesteps that have logits.
    second_source : str or None
        An archive of :data:`bltvs_neuro.datasets.DATASETS` that also holds the weights.
    folder, file_sha256, about
        Of an exported model (:mod:`.exported`): where its weights lie, their hash, and what it says of its training.
    """

    name: str
    description: str
    repo: str
    filename: str
    revision: str
    config: Mapping[str, Any]
    classes: Classes | tuple[str, ...]
    accuracies: tuple[float, ...]
    second_source: str | None = None
    folder: Path | None = None
    file_sha256: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "config": dict(self.config)}  # read-only mappings cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, config=MappingProxyType(state["config"]))

    @property
    def transform(self) -> Transform:
        """From decoded pictures to the input of the released weights."""
        return symmetric(self.config["image_size"])


def _config(timesteps: int, num_classes: int, *, bio_unroll: bool) -> Mapping[str, Any]:
    ablations = dict.fromkeys(("lateral_connections", "topdown_connections", "skip_connections"), True)
    own = {"bio_unroll": bio_unroll, "image_size": 224, "readout_type": "multi"}
    return MappingProxyType({"timesteps": timesteps, "num_classes": num_classes, "add_feats": 100} | ablations | own)


SHAPES = Path(__file__).parent / "shapes"
"""The folder of the checkpoint that comes with the package: model, training log and evaluation."""

_TABLE = (
    Checkpoint(
        name="ecoset",
        description="trained on Ecoset (565 categories), simultaneous schedule, 12 timesteps",
        repo="novelmartis/blt_vs_model",
        filename="blt_vs_slt_111_biounroll_1_t_12_readout_multi_dataset_ecoset_num_1.pth",
        revision="main",
        config=_config(12, 565, bio_unroll=True),
        classes="ecoset",
        accuracies=(50.00, 62.10, 66.39, 68.38, 69.51, 69.83),
    ),
    Checkpoint(
        name="imagenet",
        description="trained on ImageNet (1000 categories), sweep schedule, 6 timesteps",
        repo="novelmartis/blt_vs_model",
        filename="blt_vs_slt_111_biounroll_0_t_6_readout_multi_dataset_imagenet_num_1.pth",
        revision="main",
        config=_config(6, 1000, bio_unroll=False),
        classes="imagenet",
        accuracies=(52.77, 65.45, 69.05, 70.10, 70.29, 70.08),
        second_source="weights/blt_vs.zip",
    ),
    # comes with the package; its model.json says more, and a test holds that it says the same
    Checkpoint(
        name="shapes",
        description="small, trained on drawn objects (10 categories, 128 px), sweep schedule, 4 timesteps; no network needed",
        repo="",
        filename="weights.safetensors",
        revision="",
        config=MappingProxyType(
            {**_config(4, 10, bio_unroll=False), "add_feats": 22, "image_size": 128, "width": 0.125}
        ),
        classes=("disc", "ring", "crescent", "triangle", "square", "star", "cross", "arrow", "heart", "gear"),
        accuracies=(87.90, 93.80, 94.90, 95.20),
        folder=SHAPES,
        file_sha256="a95732c557a70669fd4d839f8dfb7f101fd7d6cd7aba9948e8bb2325db156a0e",
    ),
)

CHECKPOINTS: dict[str, Checkpoint] = {checkpoint.name: checkpoint for checkpoint in _TABLE}
"""The released models by name, and the one that comes with the package."""
