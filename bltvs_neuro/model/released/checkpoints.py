"""Load a model by its name: a released checkpoint, an exported folder, or a comparison model."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ... import datasets
from ...devices import pick_device
from ...errors import DataError, SpecError, argument, unknown
from ...options import check_seed
from ..blt_vs.module import BLT_VS
from ..network import MOST_CLASSES, MOST_PIXELS, Network, check_count
from ..others.own import is_own, load_own
from ..others.zoo import ZOO, fitting, in_zoo, load_from_zoo
from ..transform import Transform, symmetric
from .exported import read_checkpoint, read_exported_weights
from .hub import fetch_weights
from .table import CHECKPOINTS, SHAPES, Checkpoint, Classes
from .weights import fill, own_weights, random_weights, read_weights, weights_sha256

log = logging.getLogger(__name__)


def find_checkpoint(name: str | Path) -> Checkpoint:
    """Return a checkpoint of :data:`CHECKPOINTS` by its name, or that of an exported folder; SpecError for neither."""
    known = CHECKPOINTS.get(name) if isinstance(name, str) else None
    folder = Path(name) if known is None else known.folder
    if folder is not None and folder.is_dir():
        return read_checkpoint(folder)
    if known is not None:
        return known  # also of one whose folder a plugin of Brain-Score leaves out
    raise unknown(
        "model",
        str(name),
        [*CHECKPOINTS, *ZOO, "torchvision:NAME", "timm:NAME", "the folder of an exported model", "FILE.py:FUNCTION"],
    )


def load_model(
    name: str | Path = "ecoset", weights: str | Path = "pretrained", *, seed: int = 0,
    device: str | torch.device = "cpu", image_size: int | None = None, num_classes: int | None = None,
    layers: Sequence[str] | None = None, transform: Transform | None = None, cache_dir: str | Path | None = None,
) -> Network:  # fmt: skip
    """Load a model, ready to be run: in eval mode, with its transform and the record of where its weights are from.

    Parameters
    ----------
    name : str or Path
        A name of :data:`CHECKPOINTS` (``"ecoset"``, ``"imagenet"``, ``"shapes"``), or the folder of an exported model, which
        holds ``model.json`` and ``weights.safetensors``; a comparison model (``"resnet50"``, ``"cornet_s"``, ``"b_vs"``,
        ``"vnet"``); any classifier of torchvision or timm (``"torchvision:resnet18"``, ``"timm:convnext_tiny"``); or a
        function of a Python file of your own, which is run (``"mine.py:make"``) and returns a :class:`Network`.
    weights : "pretrained", "untrained", str or Path
        The released weights, fetched at their first use; random ones; or a file (.pth, .pt, .safetensors) of your own
        for the same architecture. Nothing but ``"untrained"`` ever gives random weights. Of torchvision's models also
        the name of one of several released weights (``"IMAGENET1K_V1"``).
    seed : int
        Of untrained weights. Global random states are neither used nor changed.
    device : str or torch.device
        Where the model goes.
    image_size : int, optional
        Input height and width, pixels; the model's own unless given. BLT_VS knows 224, for which its released weights
        are, and 128.
    num_classes : int, optional
        Logits of untrained or own weights; the model's own unless given.
    layers : sequence of str, optional
        The areas of a model of torchvision or timm: names of its layers, each called once per forward pass.
    transform : Transform, optional
        In place of the model's own, where own weights were trained with another.
    cache_dir : str or Path, optional
        Hugging Face cache folder.

    Returns
    -------
    Network
        A :class:`BLT_VS` for the first three kinds. With the attributes ``transform`` and ``provenance`` (a JSON-safe
        dict that holds, among others, ``weights``, ``weights_sha256`` of the values, and of a file ``file_sha256``).

    Raises
    ------
    SpecError
        An unknown name, or pretrained weights for another image size or number of classes.
    WeightsError
        The weights cannot be found, fetched or verified, or belong to another architecture.

    Examples
    --------
    >>> model = load_model("imagenet", weights="untrained", seed=1)
    >>> model.provenance["weights"], model.provenance["seed"]
    ('untrained', 1)
    """
    check_seed(seed)
    for what, value, most in (("num_classes", num_classes, MOST_CLASSES), ("image_size", image_size, MOST_PIXELS)):
        if value is not None:
            check_count(argument(what).rstrip("="), value, most)
    device = pick_device(device)
    if isinstance(name, str) and is_own(name):
        given = {"image_size": image_size, "num_classes": num_classes, "layers": layers, "transform": transform}
        return load_own(name, seed, weights=None if weights == "pretrained" else weights, **given).to(device).eval()
    if isinstance(name, str) and in_zoo(name) and not Path(name).is_dir():
        network = load_from_zoo(
            name, weights, seed=seed, num_classes=num_classes, image_size=image_size, layers=layers, transform=transform
        )
        return network.to(device).eval()
    checkpoint = find_checkpoint(name)
    name = checkpoint.name
    if layers is not None:
        raise SpecError(f"layers are chosen of torchvision's and timm's models; {name} has areas")
    own_classes, own_size = checkpoint.config["num_classes"], checkpoint.config["image_size"]
    if weights == "pretrained" and num_classes not in (None, own_classes):
        raise SpecError(f"the released weights of {name!r} have {own_classes} classes, not {num_classes}")
    if weights == "pretrained" and image_size not in (None, own_size):
        raise SpecError(
            f"the released weights of {name!r} are for images of {own_size} pixels; an image_size of {image_size} needs "
            f"{argument('weights', 'untrained')} or {argument('weights', 'PATH')} of your own"
        )
    given = {"image_size": image_size or (transform and transform.size), "num_classes": num_classes}
    config = {**checkpoint.config, **{key: value for key, value in given.items() if value is not None}}
    provenance: dict[str, Any] = {"model": name, "architecture": "BLT_VS", "config": dict(config)}

    state = None
    if weights != "untrained":
        state, origin = _state_of(checkpoint, weights, cache_dir)
        provenance |= origin
    with random_weights(seed):
        model = BLT_VS(**config)
    if state is None:
        log.warning("%s has untrained weights (seed %d): its activations are those of a random network", name, seed)
        provenance |= {"weights": "untrained", "seed": seed, "torch": str(torch.__version__)}
    else:
        fill(model, state, str(provenance["file"]), f"model {name!r} at {config['image_size']} pixels")
    transform = fitting(transform or symmetric(config["image_size"]), model.image_size)
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
        folder = str(checkpoint.folder)
        if checkpoint.folder == SHAPES:
            folder = f"bltvs_neuro/model/{SHAPES.name}, in the package"
        # the log of its epochs stays in model.json
        training = {key: value for key, value in checkpoint.about["training"].items() if key not in ("log", "history")}
        return read_exported_weights(checkpoint), {
            "weights": "exported", "origin": folder, "file": checkpoint.filename, "file_sha256": checkpoint.file_sha256,
            "verified": "sha256 in model.json", "about": {**checkpoint.about, "training": training},
        }  # fmt: skip
    if weights == "pretrained":
        source = checkpoint.repo, checkpoint.filename, checkpoint.revision
        fetched = fetch_weights(*source, second_source=checkpoint.second_source, cache_dir=cache_dir)
        return read_weights(fetched.content, checkpoint.filename), fetched.describe(checkpoint.filename)
    return own_weights(weights)


def class_names(checkpoint: str | Path | Checkpoint) -> tuple[str, ...]:
    """Names of the classes of a model, in the order of the logits.

    ImageNet's are in torchvision's metadata; Ecoset's are a file, fetched at its first use (DataError if it cannot be). An
    exported model holds its own. A comparison model is taken to know ImageNet's classes, or Ecoset's where it has 565.
    """
    if isinstance(checkpoint, str) and in_zoo(checkpoint) and not Path(checkpoint).is_dir():
        return _names_of(ZOO[checkpoint].classes if checkpoint in ZOO else "imagenet")
    if not isinstance(checkpoint, Checkpoint) and is_own(checkpoint):
        raise DataError(f"{checkpoint} says no names of classes")
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = find_checkpoint(checkpoint)
    names = checkpoint.classes if isinstance(checkpoint.classes, tuple) else _names_of(checkpoint.classes)
    logits = checkpoint.config["num_classes"]
    if len(names) != logits:
        raise DataError(f"{len(names)} class names for {logits} logits of {checkpoint.name!r}")
    return names


def _names_of(classes: Classes) -> tuple[str, ...]:
    if classes == "imagenet":
        from torchvision.models import ResNet18_Weights  # takes seconds to import

        return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    return tuple(str(name) for name in json.loads(datasets.fetch("classes/ecoset.json").read_text("utf-8")))
