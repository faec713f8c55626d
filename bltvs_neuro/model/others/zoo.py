"""The models beside BLT_VS: a table of those of the published comparison, and any of torchvision or timm by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import SpecError, WeightsError, unknown
from ..network import Network
from ..released.fetched import fetch_timm, fetch_torchvision, from_torchvision, known_to_timm, known_to_torchvision
from ..released.table import Classes
from ..released.weights import fill, own_weights, random_weights, weights_sha256
from ..transform import Transform
from .cornet import CORnet_R, CORnet_RT, CORnet_S, CORnet_Z
from .feedforward import B_VS, VNet
from .wrapped import Wrapped

log = logging.getLogger(__name__)

SOURCES = ("torchvision", "timm")
"""Packages whose models can be had as ``"torchvision:resnet18"``."""


@dataclass(frozen=True)
class Architecture:
    """A model of the zoo.

    ``build`` is a class with the keywords ``num_classes`` and ``image_size``, or the name of a model of torchvision or timm,
    whose usual layers ``layers`` replace. ``classes`` says which it knows by default, ``released`` where weights can be had
    that do not come by name.
    """

    name: str
    description: str
    build: type[Network] | str
    classes: Classes = "imagenet"
    layers: tuple[str, ...] | None = None
    released: str = "nobody has released weights of it: train it, or take untrained ones"


_RESNET_LAYERS = ("maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool")
_CORNET = "the released weights are {} of github.com/dicarlolab/CORnet: fetch the file, and give its path as weights"
_TABLE = (
    Architecture("resnet50", "torchvision's ResNet-50", "torchvision:resnet50", layers=_RESNET_LAYERS),
    Architecture(
        "cornet_s",
        "CORnet-S: four areas, V2, V4 and IT recurrent in themselves",
        CORnet_S,
        released=_CORNET.format("cornet_s-1d3f7974.pth"),
    ),
    Architecture(
        "cornet_rt",
        "CORnet-RT: four recurrent areas, each reads the one below a timestep before",
        CORnet_RT,
        released=_CORNET.format("cornet_rt-933c001c.pth"),
    ),
    Architecture("cornet_r", "CORnet-R: four recurrent areas, each timestep goes up through all", CORnet_R),
    Architecture(
        "cornet_z",
        "CORnet-Z: four areas of one convolution",
        CORnet_Z,
        released=_CORNET.format("cornet_z-5c427c9c.pth"),
    ),
    Architecture("b_vs", "the feed-forward twin of BLT_VS: its bottom-up convolutions alone", B_VS, "ecoset"),
    Architecture("vnet", "vNet: ten convolutions with the receptive fields of the ventral stream", VNet, "ecoset"),
)

ZOO: dict[str, Architecture] = {architecture.name: architecture for architecture in _TABLE}
"""The comparison models by name."""


def in_zoo(name: str) -> bool:
    """Whether :func:`load_from_zoo` knows what ``name`` means."""
    return name in ZOO or name.partition(":")[0] in SOURCES


def build(
    name: str, *, num_classes: int | None = None, image_size: int | None = None, layers: Sequence[str] | None = None,
    transform: Transform | None = None,
) -> Network:  # fmt: skip
    """Construct a model of the zoo, or ``"torchvision:NAME"`` or ``"timm:NAME"``, with weights as its package draws them.

    What is not given is the model's usual; ``layers`` are for torchvision and timm only.
    """
    architecture = ZOO.get(name)
    known = name if architecture is None else architecture.build
    if not isinstance(known, str):
        if layers is not None:
            raise SpecError(f"layers are chosen of torchvision's and timm's models; {name} has areas")
        given = {"num_classes": num_classes, "image_size": image_size or (transform and transform.size)}
        own: Network = known(**{key: value for key, value in given.items() if value is not None})
        own.transform = fitting(transform or own.transform, own.image_size)
        own.provenance |= {"model": name}
        return own
    source, _, model_name = known.partition(":")
    if source not in SOURCES:
        raise unknown("model", name, [*ZOO, *(f"{source}:NAME" for source in SOURCES)])
    module, usual = (_torchvision if source == "torchvision" else _timm)(model_name, num_classes, transform)
    size = image_size or usual.size
    usual_layers = None if architecture is None else architecture.layers
    network = Wrapped(module, usual_layers if layers is None else layers, fitting(transform or usual.at(size), size))
    if layers is None:
        network.leave_out_vectors()
    network.config = {"architecture": f"{source}:{model_name}", **network.config}
    network.provenance |= {"model": name, source: version(source)}
    return network


def fitting(transform: Transform, image_size: int) -> Transform:
    """Return ``transform``; SpecError if its pictures are not of the size that a network takes."""
    if transform.size != image_size:
        raise SpecError(f"the transform gives {transform.size} px, and the model takes {image_size} px")
    return transform


def load_from_zoo(
    name: str, weights: str | Path, *, seed: int = 0, num_classes: int | None = None, image_size: int | None = None,
    layers: Sequence[str] | None = None, transform: Transform | None = None,
) -> Network:  # fmt: skip
    """Load a model of the zoo; the parameters are those of :func:`bltvs_neuro.load_model`."""
    state: dict[str, Tensor] | None = None
    origin: dict[str, Any] = {"weights": "untrained", "seed": seed, "torch": str(torch.__version__)}
    if layers is not None and weights != "untrained":
        with torch.device("meta"):  # what is wrong with the layers is said before weights are fetched
            build(name, num_classes=num_classes, image_size=image_size, layers=layers)
    known = ZOO[name].build if name in ZOO else name
    source, _, model_name = known.partition(":") if isinstance(known, str) else ("", "", "")
    if source == "torchvision" and _is_a_name(weights):
        if num_classes not in (None, 1000):
            raise SpecError(f"the released weights of {name} have 1000 classes, not {num_classes}")
        state, origin, usual = fetch_torchvision(model_name, str(weights))
        transform = transform or (usual if image_size is None else usual.at(image_size))
    elif weights == "pretrained" and source == "timm":
        state, origin = fetch_timm(model_name, num_classes)
    elif weights == "pretrained":
        raise WeightsError(f"weights of {name} do not come by name; {ZOO[name].released}")
    elif weights != "untrained":
        state, origin = own_weights(weights)
    with random_weights(seed):
        network = build(name, num_classes=num_classes, image_size=image_size, layers=layers, transform=transform)
    if state is None:
        log.warning("%s has untrained weights (seed %d): its activations are those of a random network", name, seed)
    else:
        target = network.network if isinstance(network, Wrapped) else network
        for key, value in target.state_dict().items():
            if key.endswith("num_batches_tracked"):  # a counter of training that old files lack
                state.setdefault(key, torch.zeros_like(value))
        fill(target, state, str(origin["file"]), f"model {name!r} with {network.num_classes} classes")
    network.provenance = {
        **network.provenance, "architecture": type(network).__name__, "config": dict(network.config), **origin,
        "weights_sha256": weights_sha256(network), "transform": network.transform.describe(),
    }  # fmt: skip
    return network


def _torchvision(name: str, num_classes: int | None, transform: Transform | None) -> tuple[nn.Module, Transform]:
    models = known_to_torchvision(name)
    options: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    options |= TORCHVISION_OPTIONS.get(name, {})
    module = models.get_model(name, weights=None, **options)
    return module, transform or from_torchvision(models.get_model_weights(name).DEFAULT.transforms())


TORCHVISION_OPTIONS: dict[str, dict[str, bool]] = {
    name: {"transform_input": True, "init_weights": True} for name in ("googlenet", "inception_v3")
}
"""What torchvision sets only when it loads weights itself, and without which these models compute something else."""


def _timm(name: str, num_classes: int | None, transform: Transform | None) -> tuple[nn.Module, Transform]:
    timm = known_to_timm(name)
    options: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    module = timm.create_model(name, pretrained=False, **options)
    if transform is not None:
        return module, transform
    config = timm.data.resolve_model_data_config(module)
    channels, size, width = config["input_size"]
    if (channels, width) != (3, size):
        raise SpecError(f"timm:{name} takes {channels} channels of {size} x {width} px; square colour pictures exist")
    interpolation, mode = config["interpolation"], config.get("crop_mode") or "center"
    if mode != "center":
        raise SpecError(f"timm:{name} wants pictures cropped as {mode!r}; 'center' exists: give a transform")
    if interpolation not in ("bilinear", "bicubic"):
        raise SpecError(
            f"timm:{name} wants {interpolation!r} interpolation; bilinear and bicubic exist: give a transform"
        )
    resize = int(size / config["crop_pct"])  # truncated, as timm does
    return module, Transform(size, resize, mean=config["mean"], std=config["std"], interpolation=interpolation)


def _is_a_name(weights: str | Path) -> bool:
    """Whether ``weights`` can only be the name of released weights (``"IMAGENET1K_V1"``), and no file."""
    return weights != "untrained" and isinstance(weights, str) and bool(re.fullmatch(r"[A-Za-z0-9_]+", weights))
