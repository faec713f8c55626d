"""Any image classifier as a network with one timestep: named layers are its areas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import SpecError, listed, unknown
from ..measure.grids import GRID, follow_grids
from ..network import Grid, State
from ..released.weights import weights_sha256
from ..transform import Transform
from .feedforward import FeedForward

LOGITS = "logits"


class Wrapped(FeedForward):
    """A module that maps images to logits, with some of its layers as areas; see :func:`wrap`.

    ``layers`` None takes :func:`usual_layers`. The area ``logits``, what the network returns, is added at the end. An
    extraction's usual areas are those that were named, or else of the default ones those up to the last that is spread over
    space.

    Notes
    -----
    A layer's activations are (channel, y, x), (channel, token) for a transformer's (B, tokens, channels), or
    (channel,); maps with the channels last (Swin transformers) are recognised by their two equal sizes. What is
    recorded is a copy, as networks change their activations in place. Positions of a map follow from the kernels,
    strides and paddings on the way to it (:mod:`.grids`); where they do not, units are taken to be the centres of
    equal cells.
    """

    overwrites = False  # what passes a tap is a copy

    def __init__(self, network: nn.Module, layers: Sequence[str] | None, transform: Transform) -> None:
        image_size = transform.size
        network = network.eval()
        if isinstance(layers, str):
            layers = [layer.strip() for layer in layers.split(",")]
        chosen = usual_layers(network) if layers is None else tuple(layers)
        known = dict(network.named_modules())
        for name in chosen:
            if name not in known or not name:
                raise unknown("layer", name, [name for name in known if name])
        if len(set(chosen)) != len(chosen) or LOGITS in chosen or not chosen:
            raise SpecError(
                f"layers are named once each, without {LOGITS!r}, which is always an area; got {listed(chosen) or 'none'}"
            )
        seen = _try(network, chosen, image_size)
        if layers is None:
            chosen = tuple(name for name in chosen if seen.calls[name] == 1 and name in seen.shapes)
            if len(chosen) > 1 and seen.shapes[chosen[-1]] == (seen.classes,):
                chosen = chosen[:-1]  # the logits have an area of their own
        bad = [f"{name!r} is called {seen.calls[name]} times" for name in chosen if seen.calls[name] != 1]
        bad += [f"{name!r} gives no single tensor" for name in chosen if seen.calls[name] and name not in seen.shapes]
        if bad:
            raise SpecError(
                f"an area is a layer that is called once in a forward pass and gives one tensor; {'; '.join(bad)}: "
                "name the block that contains it, or another layer"
            )
        order = [name for name in seen.shapes if name in chosen]
        shapes = {name: _arranged(seen.shapes[name]) for name in order}
        super().__init__((*order, LOGITS), f"{order[0]}:{order[-1]}", seen.classes, image_size)
        self.network, self.transform = network, transform
        self.config: dict[str, Any] = {"num_classes": seen.classes, "image_size": image_size}
        self.shapes = {**shapes, LOGITS: (seen.classes,)}
        self.grids = {name: self._grid(name, seen.grids.get(name)) for name in order}
        if layers is None:
            self.leave_out_vectors()
        self.add_taps()

    def leave_out_vectors(self) -> None:
        """Let the usual areas end with the last one that is spread over space."""
        order = self.areas[:-1]
        spread = [name for name in order if self.shapes[name][1:] not in ((), (1, 1))] or order
        self.usual_areas = f"{spread[0]}:{spread[-1]}"

    def run(self, images: Tensor, outputs: Collection[State] = ()) -> dict[State, Tensor]:
        """Compute up to the last layer that is hooked or among ``outputs``; see :meth:`Network.run`."""
        self.check_images(images)
        wanted = self.wanted(outputs)
        left = {state.area for state in wanted}
        kept: dict[State, Tensor] = {}
        handles = []

        def attach(name: str) -> None:
            def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
                # what follows may change its input in place, so what is recorded is a copy
                seen = output.permute(_FORTH[_order(output)]).clone(memory_format=torch.contiguous_format)
                result = self._passed(State(name, "bu", 0), seen, outputs, kept)
                left.discard(name)
                if not left:
                    raise _Enough
                return None if result is seen else result.permute(_BACK[_order(output)])

            handles.append(self.network.get_submodule(name).register_forward_hook(hook))

        try:
            for name in left - {LOGITS}:
                attach(name)
            if left:
                logits = self.network(images)
                if LOGITS in left:
                    self._passed(State(LOGITS, "bu", 0), logits, outputs, kept)
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return kept

    def _passed(self, state: State, value: Tensor, outputs: Collection[State], kept: dict[State, Tensor]) -> Tensor:
        result = self.tap(state)(value)
        if state in outputs:
            kept[state] = result
        return result

    def _grid(self, name: str, found: Grid | None) -> Grid:
        shape = self.shapes[name]
        if found is not None or len(shape) < 3:
            return found or Grid(self.image_size)
        cell = self.image_size / shape[1]
        return Grid(cell, (cell - 1) / 2)


def wrap(network: nn.Module, layers: Sequence[str], transform: Transform, name: str) -> Wrapped:
    """Make a network of your own one that can be recorded from.

    Parameters
    ----------
    network : nn.Module
        Maps images (B, 3, size, size) to logits (B, classes); put into eval mode.
    layers : sequence of str
        Names of the submodules that are its areas.
    transform : Transform
        From decoded pictures to what the network was trained on; its ``size`` is the images'.
    name : str
        What stores call it.

    Raises
    ------
    SpecError
        A layer that does not exist, is never called or more than once, or gives anything but one tensor; a network
        that does not take such images or does not return logits.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 32 * 32, 10))
    >>> transform = Transform(32, mean=(0, 0, 0), std=(1, 1, 1))
    >>> wrap(network, ["1"], transform, "small").areas
    ('1', 'logits')
    """
    wrapped = Wrapped(network, layers, transform)
    wrapped.provenance = {
        "model": name, "weights": "as given", "weights_sha256": weights_sha256(wrapped), "config": dict(wrapped.config),
        "transform": transform.describe(),
    }  # fmt: skip
    return wrapped


class _Enough(Exception):
    """Not an error: everything that was asked for has been computed."""


@dataclass
class _Seen:
    """What a trial pass shows of a network's layers."""

    calls: Counter[str] = field(default_factory=Counter)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    classes: int = 0


def _try(network: nn.Module, layers: Sequence[str], image_size: int) -> _Seen:
    """Run one empty image and note each layer's calls, shape and grid."""
    seen, handles = _Seen(), []

    def attach(name: str) -> None:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            seen.calls[name] += 1
            if isinstance(output, Tensor) and 2 <= output.ndim <= 4:
                seen.shapes.setdefault(name, tuple(output.shape[1:]))
                if (grid := getattr(output, GRID, None)) is not None:
                    seen.grids[name] = grid

        handles.append(network.get_submodule(name).register_forward_hook(hook))

    parameter = next(network.parameters(), torch.empty(0))
    images = torch.zeros(1, 3, image_size, image_size, device=parameter.device, dtype=parameter.dtype)
    try:
        for name in layers:
            attach(name)
        with torch.no_grad(), follow_grids(images):
            logits = network(images)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SpecError(f"the network does not take images of {image_size} x {image_size} px: {first}") from None
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SpecError(f"a network must return logits (batch, classes); this one returns {got}")
    seen.classes = int(logits.shape[1])
    return seen


def usual_layers(network: nn.Module) -> tuple[str, ...]:
    """The parts of a network: its children, or the parts of a child that is a sequence or holds most of the weights."""
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


def _arranged(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one stimulus's activations, channels first."""
    output = torch.empty(1, *shape, device="meta")
    return tuple(output.permute(_FORTH[_order(output)]).shape[1:])
