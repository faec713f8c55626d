"""The released models: a table of checkpoints (weights, schedule, transform), and how one is loaded."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch

from .. import datasets
from ..errors import DataError, SpecError, WeightsError, unknown
from .blt_vs import BLT_VS
from .hub import Fetched, fetch_weights
from .transform import Transform
from .weights import SUFFIXES, fill, read_weights, weights_sha256

log = logging.getLogger(__name__)

Classes = Literal["imagenet", "ecoset"]


@dataclass(frozen=True)
class Checkpoint:
    """A released model.

    Attributes
    ----------
    name, description : str
    repo, filename, revision : str
        The weights on the Hugging Face hub.
    config : mapping
        Keywords of :class:`BLT_VS`; the schedule is part of them.
    classes : {"imagenet", "ecoset"} or tuple of str
        Whose class names the logits have, see :func:`class_names`; or the names themselves.
    accuracies : tuple of float
        Published top-1 accuracy in percent at the first, second, ... timestep that has logits; from the training logs.
    second_source : str or None
        An archive of :data:`bltvs_neuro.datasets.DATASETS` that also holds the weights.
    folder : Path or None
        Where an exported model's weights lie (:mod:`.exported`); it has no ``repo`` then.
    file_sha256 : str or None
        Of an exported model's weights.
    about : mapping
        What an exported model says of its training, JSON-safe; it goes into the provenance.
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
        return Transform(self.config["image_size"])


def _config(timesteps: int, num_classes: int, *, bio_unroll: bool) -> Mapping[str, Any]:
    return MappingProxyType(
        dict(
            timesteps=timesteps,
            num_classes=num_classes,
            add_feats=100,
            lateral_connections=True,
            topdown_connections=True,
            skip_connections=True,
            bio_unroll=bio_unroll,
            image_size=224,
            readout_type="multi",
        )
    )


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
)

CHECKPOINTS: dict[str, Checkpoint] = {checkpoint.name: checkpoint for checkpoint in _TABLE}
"""The released models by name."""


def find_checkpoint(name: str | Path) -> Checkpoint:
    """Return a checkpoint by its name, or that of a folder which :func:`.exported.export_model` wrote.

    Raises
    ------
    SpecError
        Neither a name of :data:`CHECKPOINTS` nor a folder.
    WeightsError
        A folder that does not hold an exported model.
    """
    if isinstance(name, str) and name in CHECKPOINTS:
        return CHECKPOINTS[name]
    if Path(name).is_dir():
        from .exported import read_checkpoint

        return read_checkpoint(name)
    raise unknown("model", str(name), [*CHECKPOINTS, "the folder of an exported model"])


def load_model(
    name: str | Path = "ecoset",
    weights: str | Path = "pretrained",
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    image_size: int | None = None,
    cache_dir: str | Path | None = None,
) -> BLT_VS:
    """Load a model, ready to be run: in eval mode, with its transform and the record of where its weights are from.

    Parameters
    ----------
    name : str or Path
        A name of :data:`CHECKPOINTS` (``"ecoset"``, ``"imagenet"``), or the folder of an exported model, which holds
        ``model.json`` and ``weights.safetensors``.
    weights : "pretrained", "untrained", str or Path
        The released weights, fetched at their first use; random ones; or a file (.pth, .pt, .safetensors) of your own
        for the same architecture. Nothing but ``"untrained"`` ever gives random weights.
    seed : int
        Of untrained weights. Global random states are neither used nor changed.
    device : str or torch.device
        Where the model goes.
    image_size : {224, 128}, optional
        Input height and width, pixels; the checkpoint's (224) unless given. The released weights exist for that only.
    cache_dir : str or Path, optional
        Hugging Face cache folder.

    Returns
    -------
    BLT_VS
        With the attributes ``checkpoint``, ``transform`` and ``provenance`` (a JSON-safe dict that holds, among others,
        ``weights``, ``weights_sha256`` of the values, and of a file ``file_sha256``).

    Raises
    ------
    SpecError
        An unknown name, or pretrained weights for another image size.
    WeightsError
        The weights cannot be found, fetched or verified, or belong to another architecture.

    Examples
    --------
    >>> model = load_model("imagenet", weights="untrained", seed=1)
    >>> model.provenance["weights"], model.provenance["seed"]
    ('untrained', 1)
    """
    checkpoint = find_checkpoint(name)
    name = checkpoint.name
    if weights == "pretrained" and image_size not in (None, checkpoint.config["image_size"]):
        raise SpecError(
            f"the released weights of {name!r} are for images of {checkpoint.config['image_size']} pixels; got "
            f"image_size={image_size}, which needs weights='untrained' or weights=PATH of your own"
        )
    config = {**checkpoint.config, **({} if image_size is None else {"image_size": image_size})}
    provenance: dict[str, Any] = {"model": name, "architecture": "BLT_VS", "config": dict(config)}

    state = None
    if weights != "untrained":
        state, origin = _state_of(checkpoint, weights, cache_dir)
        provenance |= origin
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed every GPU.
        torch.default_generator.manual_seed(seed)
        model = BLT_VS(**config)
    if state is None:
        log.warning("%s has untrained weights (seed %d): its activations are those of a random network", name, seed)
        provenance |= {"weights": "untrained", "seed": seed, "torch": str(torch.__version__)}
    else:
        fill(model, state, str(provenance["file"]), f"model {name!r} at {config['image_size']} pixels")
    transform = Transform(config["image_size"])
    provenance |= {"weights_sha256": weights_sha256(model), "transform": transform.describe()}
    model.checkpoint = checkpoint  # type: ignore[assignment]
    model.transform = transform
    model.provenance = provenance
    return model.to(device).eval()


def _state_of(
    checkpoint: Checkpoint, weights: str | Path, cache_dir: str | Path | None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The state dict and what the provenance says of it."""
    if weights == "pretrained" and checkpoint.folder is not None:
        from .exported import read_exported_weights

        origin = {
            "weights": "exported",
            "origin": str(checkpoint.folder),
            "file": checkpoint.filename,
            "file_sha256": checkpoint.file_sha256,
            "verified": "sha256 in model.json",
            "about": dict(checkpoint.about),
        }
        return read_exported_weights(checkpoint), origin
    if weights == "pretrained":
        fetched: Fetched = fetch_weights(
            checkpoint.repo,
            checkpoint.filename,
            checkpoint.revision,
            second_source=checkpoint.second_source,
            cache_dir=cache_dir,
        )
        origin = {
            "weights": "pretrained",
            "origin": fetched.origin,
            "revision": fetched.revision,
            "file": checkpoint.filename,
            "file_sha256": fetched.sha256,
            "verified": fetched.verified,
        }
        return read_weights(fetched.content, checkpoint.filename), origin
    path = Path(weights)
    if not path.is_file():
        raise WeightsError(
            f"weights={str(weights)!r}: there is no such file; weights are 'pretrained', 'untrained' or the path of a "
            f"file ({', '.join(SUFFIXES)})"
        )
    origin = {"weights": "file", "origin": str(path), "file": path.name, "file_sha256": datasets.sha256_file(path)}
    return read_weights(path, path.name), origin


def class_names(checkpoint: str | Path | Checkpoint) -> tuple[str, ...]:
    """Names of the classes, in the order of the logits.

    Parameters
    ----------
    checkpoint : str, Path or Checkpoint
        ``"imagenet"``: from torchvision's metadata. ``"ecoset"``: a file, fetched at its first use. An exported model
        holds the names itself.

    Returns
    -------
    tuple of str

    Raises
    ------
    SpecError
        An unknown name.
    DataError
        The file cannot be fetched or is not what it should be.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = find_checkpoint(checkpoint)
    names: Sequence[str]
    if isinstance(checkpoint.classes, tuple):
        names = checkpoint.classes
    elif checkpoint.classes == "imagenet":
        from torchvision.models import ResNet18_Weights  # takes seconds to import

        names = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    else:
        names = json.loads(datasets.fetch("classes/ecoset.json").read_text("utf-8"))
    if len(names) != checkpoint.config["num_classes"]:
        raise DataError(
            f"{len(names)} class names for {checkpoint.config['num_classes']} logits of {checkpoint.name!r}"
        )
    return tuple(str(class_name) for class_name in names)
