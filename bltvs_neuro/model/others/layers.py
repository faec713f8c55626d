"""Layers by their names: which module, which of the tensors that it gives, and what a tensor's dimensions are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import SpecError, listed, unknown

LOGITS = "logits"


class Layer(NamedTuple):
    """What an area is: a module, and the way from what it gives to one tensor.

    Examples
    --------
    >>> Layer.parse("encoder.cell#1.0")
    Layer(module='encoder.cell', part=('1', '0'))
    """

    module: str
    """Its dotted name; ``""`` is what the network returns."""
    part: tuple[str, ...] = ()
    """Keys, positions or attributes, one after another."""

    @classmethod
    def parse(cls, text: str) -> Layer:
        """Read ``"layer4"``, ``"cell#1"`` (the second of a tuple), ``"block#hidden"`` or ``"#V4"`` (of what is returned)."""
        module, _, part = text.partition("#")
        return cls(module, tuple(part.split(".")) if part else ())

    def __str__(self) -> str:
        return self.module + ("#" + ".".join(self.part) if self.part else "")


def read_layers(layers: Sequence[str] | Mapping[str, str], network: nn.Module) -> dict[str, Layer]:
    """Areas by name -> their layers; SpecError for a module that does not exist, or an area that is named twice.

    Without names of their own, areas are called as their layers, with a dot before the part.
    """
    if isinstance(layers, str):
        layers = [layer.strip() for layer in layers.split(",")]
    given = (
        layers.items()
        if isinstance(layers, Mapping)
        else [(name.lstrip("#").replace("#", "."), name) for name in layers]
    )
    pairs = [(area, Layer.parse(text)) for area, text in given]
    known = dict(network.named_modules())
    for _, layer in pairs:
        if layer.module not in known or not any(layer):
            raise unknown("layer", str(layer), [name for name in known if name])
    areas = dict(pairs)
    odd = [area for area in areas if not re.fullmatch(r"\w[\w.-]*", area, re.ASCII)]
    if odd:
        raise SpecError(f"an area's name is letters, digits, dots and hyphens; got {listed(odd)}")
    if len(areas) < len(pairs) or LOGITS in areas or not areas:
        names = listed([area for area, _ in pairs]) or "none"
        raise SpecError(f"layers are named once each, without {LOGITS!r}, which is always an area; got {names}")
    return areas


def part_of(value: Any, part: tuple[str, ...]) -> Any:
    """Follow ``part`` into a structure of tuples, dicts and objects; None where it does not lead on."""
    for key in part:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list | tuple) and key.lstrip("-").isdigit():
            value = value[int(key)] if -len(value) <= int(key) < len(value) else None
        else:
            value = getattr(value, key, None)
    return value


def only_part(value: Any) -> tuple[str, ...]:
    """The way to the one tensor of a tuple whose other members are None, as blocks of transformers give it; else none."""
    if not isinstance(value, list | tuple):
        return ()
    there = [at for at, member in enumerate(value) if member is not None]
    return (str(there[0]),) if len(there) == 1 and isinstance(value[there[0]], Tensor) else ()


def replaced(value: Any, part: tuple[str, ...], new: Any) -> Any:
    """The same structure with another tensor at ``part``; the given one stays as it was."""
    if not part:
        return new
    key, rest = part[0], part[1:]
    inner = replaced(part_of(value, (key,)), rest, new)
    if isinstance(value, Mapping):
        changed = type(value)(value)  # type: ignore[call-arg]
        changed[key] = inner  # type: ignore[index]
        return changed
    if isinstance(value, list | tuple) and key.lstrip("-").isdigit():
        items = list(value)
        items[int(key)] = inner
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, tuple):
        return value._replace(**{key: inner})  # type: ignore[attr-defined]
    return dataclasses.replace(value, **{key: inner})


def usual_layers(network: nn.Module) -> tuple[str, ...]:
    """The parts that a network is made of.

    Its children; in place of a sequence its members, and in place of a child that holds more than half of the weights
    (the encoder of a transformer) that child's parts.
    """
    total = sum(p.numel() for p in network.parameters())
    names: list[str] = []
    for name, child in network.named_children():
        parts = [part for part, _ in child.named_children()]
        if isinstance(child, nn.Sequential | nn.ModuleList) and parts:
            names += [f"{name}.{part}" for part in parts]
        elif parts and 2 * sum(p.numel() for p in child.parameters()) > total:
            names += [f"{name}.{part}" for part in usual_layers(child)]
        else:
            names.append(name)
    return tuple(names)


_FORTH = {"vector": (0, 1), "tokens": (0, 2, 1), "map": (0, 1, 2, 3), "map, channels last": (0, 3, 1, 2)}
"""Order of a layer's dimensions -> the permutation that puts channels after the batch."""
_BACK = {"vector": (0, 1), "tokens": (0, 2, 1), "map": (0, 1, 2, 3), "map, channels last": (0, 2, 3, 1)}


def _order(output: Tensor) -> str:
    """What a layer's dimensions are: (B, C), (B, tokens, C), (B, C, H, W) or (B, H, W, C)."""
    if output.ndim < 4:
        return "vector" if output.ndim == 2 else "tokens"
    _, first, second, third = output.shape
    return "map, channels last" if first == second != third else "map"


def channels_first(output: Tensor) -> Tensor:
    """Put channels after the batch."""
    return output.permute(_FORTH[_order(output)])


def as_it_was(value: Tensor, output: Tensor) -> Tensor:
    """Undo :func:`channels_first`, which was applied to ``output``."""
    return value.permute(_BACK[_order(output)])


def arranged(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one stimulus's activations, channels first."""
    return tuple(channels_first(torch.empty(1, *shape, device="meta")).shape[1:])
