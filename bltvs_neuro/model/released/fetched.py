"""Weights that other packages release: their files, checked against the hash that their name or the hub announces."""

from __future__ import annotations

import difflib
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from torch import Tensor

from ... import datasets
from ...durable import make_folder
from ...errors import OutputError, SpecError, WeightsError, argument, unknown
from ..transform import Transform
from .hub import fetch_weights
from .weights import read_weights

_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


def fetch_torchvision(name: str, weights: str) -> tuple[dict[str, Tensor], dict[str, Any], Transform]:
    """Fetch released weights of a torchvision model into torch's hub cache, or find them there.

    ``weights`` is ``"pretrained"`` for those that torchvision recommends, or a name such as ``"IMAGENET1K_V1"``. Returns the
    state dict, what the provenance says of it, and the transform that it was evaluated with.
    """
    released = known_to_torchvision(name).get_model_weights(name)
    if weights != "pretrained" and weights not in released.__members__:
        raise unknown("weights", weights, ["pretrained", "untrained", *released.__members__, "the path of a file"])
    chosen = released.DEFAULT if weights == "pretrained" else released[weights]
    path, sha256 = fetch_url(chosen.url, Path(torch.hub.get_dir()) / "checkpoints")
    # torchvision's first DenseNets were saved with other names
    state = {_DENSENET.sub(r"\1\2.", key): value for key, value in read_weights(path, path.name).items()}
    origin = {
        "weights": "pretrained", "origin": f"torchvision {type(chosen).__name__}.{chosen.name}", "url": chosen.url,
        "file": path.name, "file_sha256": sha256, "verified": "the hash in the file's name",
    }  # fmt: skip
    return state, origin, from_torchvision(chosen.transforms())


def fetch_url(url: str, folder: Path) -> tuple[Path, str]:
    """Fetch a file whose name holds the beginning of its sha256 (``resnet50-11ad3fa6.pth``), unless it is there.

    Returns its path and whole sha256; WeightsError if it cannot be had, or is not what its name says.
    """
    path = folder / Path(urlparse(url).path).name
    announced = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if announced is None:
        raise WeightsError(f"{url} has no hash in its name, so that nothing could be checked")
    if not path.exists():
        try:
            # not load_state_dict_from_url: it takes a cached file unchecked, unpickles by default, and prints
            torch.hub.download_url_to_file(url, str(make_folder(folder) / path.name), announced[1], progress=False)
        except (URLError, OSError, OutputError, RuntimeError) as error:  # RuntimeError: the hash is another
            raise WeightsError(
                f"{path.name} cannot be fetched from {url} ({error}) and is not in {folder}; put it there, or use "
                f"{argument('weights', 'PATH')} or {argument('weights', 'untrained')}"
            ) from None
    sha256 = datasets.sha256_file(path)
    if not sha256.startswith(announced[1]):
        raise WeightsError(f"{path} is damaged: its sha256 begins with {sha256[:8]}, not {announced[1]}; remove it")
    return path, sha256


def fetch_timm(name: str, num_classes: int | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Fetch timm's released weights of a model from the Hugging Face hub.

    Not by timm's own loader, which compares no hash and takes a pickle where there is no safetensors file.
    """
    timm = known_to_timm(name)
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        raise SpecError(
            f"timm has no released weights of {name}; use {argument('weights', 'untrained')} or {argument('weights', 'PATH')}"
        )
    if num_classes not in (None, config.num_classes):
        raise SpecError(f"timm's weights of {name} have {config.num_classes} classes, not {num_classes}")
    fetched = fetch_weights(config.hf_hub_id, "model.safetensors")
    origin = fetched.describe(f"{config.hf_hub_id}/model.safetensors")
    return read_weights(fetched.content, "model.safetensors"), {**origin, "timm": version("timm")}


def known_to_torchvision(name: str) -> Any:
    """Return torchvision's models; SpecError if there is no such classifier among them."""
    from torchvision import models

    if name not in (known := models.list_models(module=models)):
        raise unknown("torchvision model", name, known)
    return models


def known_to_timm(name: str) -> Any:
    """Return the package timm; SpecError if it is not there or has no such model."""
    try:
        import timm
    except ImportError:
        raise SpecError(f"timm:{name} needs the package timm: pip install 'bltvs_neuro[models]'") from None
    model, _, tag = name.partition(".")
    known = timm.list_models(f"{model}.*", pretrained=True) if tag else timm.list_models()
    if name not in known:
        near = difflib.get_close_matches(name, known or timm.list_models(), n=3)
        raise SpecError(f"timm has no model {name!r}" + (f" (did you mean {', '.join(near)}?)" if near else ""))
    return timm


def from_torchvision(preset: Any) -> Transform:
    """Turn torchvision's ``ImageClassification`` preset into a :class:`Transform`."""
    sizes, interpolation = (preset.crop_size[0], preset.resize_size[0]), preset.interpolation.value
    return Transform(*sizes, mean=preset.mean, std=preset.std, interpolation=interpolation)
