"""The model of a run: from the table ``[model]`` and a seed, without the parameters that its schedule never uses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from ...errors import SpecError
from ...model import BLT_VS
from ...model.released.exported import ARCHITECTURES, read_checkpoint, read_exported_weights
from ...model.released.weights import fill, random_weights


def build_model(table: Mapping[str, Any], num_classes: int, seed: int) -> BLT_VS:
    """Make a model of a checked table with random weights; global random states are neither used nor changed."""
    keywords = {key: value for key, value in table.items() if key != "architecture"}
    with random_weights(seed):
        return ARCHITECTURES[table["architecture"]](num_classes=num_classes, **keywords)


def start_from(model: BLT_VS, folder: str) -> dict[str, Any]:
    """Fill a model with the weights of an exported one of the same shape, and say which they were."""
    checkpoint = read_checkpoint(folder)
    fill(model, read_exported_weights(checkpoint), f"the model in {folder}", "the table [model]")
    training = checkpoint.about["training"]
    return {"model": checkpoint.name, "file_sha256": checkpoint.file_sha256, "training": training}


def freeze_unused(model: BLT_VS) -> list[str]:
    """Switch off gradients that no logit gives: processes that average gradients would wait for them forever."""
    on_meta = copy.deepcopy(model).to("meta")
    outputs = on_meta(torch.empty(1, 3, model.image_size, model.image_size, device="meta"))
    if not outputs:
        raise SpecError(f"no activity reaches the readout within {model.timesteps} timesteps; use more")
    torch.stack(outputs).sum().backward()
    unused = [name for name, parameter in on_meta.named_parameters() if parameter.grad is None]
    for name in unused:
        model.get_parameter(name).requires_grad_(False)
    return unused
