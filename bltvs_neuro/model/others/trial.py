"""Following a network's layers through a pass, and a trial pass that shows what they give, and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import GeneratorType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...errors import SpecError, argument
from ..measure.grids import GRID, follow_grids
from ..network import Grid
from .layers import LOGITS, Layer, only_part, part_of, replaced
from .sequences import passed, steps_of

Timesteps = Literal["calls", "forward"]
Call = Callable[[nn.Module, Tensor], Any]
Receive = Callable[[str, int, Any], Any]
"""Area, timestep and what the layer gave -> what the network goes on with."""


def followed(
    network: nn.Module, images: Tensor, layers: Mapping[str, Layer], timesteps: Timesteps | None, call: Call | None,
    receive: Receive,
) -> None:  # fmt: skip
    """Run a network once, and send what its layers give through ``receive``; logits, which nothing follows, come last."""
    calls: Counter[str] = Counter()
    step, handles = 0, []

    def attach(name: str, areas: dict[str, Layer]) -> None:
        at_step = -1

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            nonlocal at_step
            at = step if timesteps == "forward" else calls[name]
            if timesteps == "forward" and at_step == step:
                raise SpecError(
                    f"layer {name!r} is called more than once in a step: use {argument('timesteps', 'calls')}, or name a part of "
                    "what is returned"
                )
            at_step, given, count = step, output, 1
            for area, layer in areas.items():
                if (
                    timesteps == "calls"
                    and isinstance(module, nn.RNNBase)
                    and not layer.part
                    and steps_of(module, output)
                ):
                    count = len(steps_of(module, output))
                    inputs = args or (kwargs["input"], kwargs.get("hx"))
                    output = passed(module, inputs, output, partial(_at, receive, area, at))
                    continue
                part = layer.part or only_part(output)
                value = part_of(output, part)
                if (result := receive(area, at, value)) is not value:
                    output = replaced(output, part, result)
            calls[name] += count
            return None if output is given else output

        handles.append(network.get_submodule(name).register_forward_hook(hook, with_kwargs=True))

    by_module: dict[str, dict[str, Layer]] = {}
    for area, layer in layers.items():
        by_module.setdefault(layer.module, {})[area] = layer
    of_returned = by_module.pop("", {})
    try:
        for name, areas in by_module.items():
            attach(name, areas)
        returned = network(images) if call is None else call(network, images)
        for state in _steps(returned, timesteps):
            for area, layer in of_returned.items():
                if (value := part_of(state, layer.part)) is not None:
                    receive(area, step, value)
            logits = state if isinstance(state, Tensor) else part_of(state, (LOGITS,))
            if logits is not None or timesteps is None:
                receive(LOGITS, step, state if logits is None else logits)
            step += 1
    finally:
        for handle in handles:
            handle.remove()


def _at(receive: Receive, area: str, start: int, step: int, value: Any) -> Any:
    return receive(area, start + step, value)


def _steps(returned: Any, timesteps: Timesteps | None) -> Iterable[Any]:
    """What is returned, step by step."""
    several = isinstance(returned, list | tuple | GeneratorType) and not hasattr(returned, "_fields")
    if timesteps == "forward" and not several:
        raise SpecError(
            f"with {argument('timesteps', 'forward')} a network returns a list of states or yields them, one for each step; this "
            f"one returns {_named(returned)}: give a call that does"
        )
    return returned if several and timesteps is not None else (returned,)


def _named(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


@dataclass
class Seen:
    """What a trial shows: by area its timesteps, shape and grid, or what is wrong with it."""

    moments: dict[str, list[int]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    logits: list[Tensor] = field(default_factory=list)

    def note(self, batch: int, area: str, timestep: int, value: Any) -> Any:
        """Take down what an area gave."""
        self.moments.setdefault(area, []).append(timestep)
        if area == LOGITS:
            self.logits.append(value)
        if not isinstance(value, Tensor) or not 2 <= value.ndim <= 4:
            self.wrong[area] = f"gives no single tensor of 2 to 4 dimensions, but {_named(value)}"
            return value
        if len(value) != batch:
            self.wrong[area] = f"gives {tuple(value.shape)}, whose first dimension is not the batch of {batch}"
        elif (before := self.shapes.setdefault(area, tuple(value.shape[1:]))) != tuple(value.shape[1:]):
            self.wrong[area] = f"gives {before} at one call and {tuple(value.shape[1:])} at another"
        if (grid := getattr(value, GRID, None)) is not None:
            self.grids.setdefault(area, grid)
        return value

    def check_logits(self) -> None:
        """Raise SpecError unless there are logits, and they are (B, classes)."""
        if LOGITS not in self.shapes or LOGITS in self.wrong or len(self.shapes[LOGITS]) != 1:
            got = _named(self.logits[0]) if self.logits else "none"
            raise SpecError(
                f"a network must return logits (batch, classes); this one returns {got}: a call can take them from what it "
                "returns"
            )


def tried(
    network: nn.Module, layers: Mapping[str, Layer], image_size: int, timesteps: Timesteps | None, call: Call | None
) -> Seen:
    """Try a network on an empty image; a recurrent one on others too, for which its layers must be called as often."""
    parameter = next(network.parameters(), torch.empty(0))
    shape = 2, 3, image_size, image_size
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(parameter)
    empty = torch.zeros_like(noise[:1])
    seen = _try(network, layers, torch.cat([empty, noise[:1]]) if timesteps else empty, timesteps, call)
    if timesteps:
        alone = _try(network, layers, noise[1:], timesteps, call)
        for area, moments in seen.moments.items():
            if (others := alone.moments.get(area, [])) != moments:
                raise SpecError(varying(area, len(others), len(moments)))
        again = _try(network, layers, noise[1:], timesteps, call)
        if not all(torch.allclose(a, b, 1e-3, 1e-4) for a, b in zip(alone.logits, again.logits, strict=True)):
            raise SpecError(
                "the network gives something else for the same image a second time: it keeps a state from one forward pass to "
                "the next, and would depend on the images before; let its forward pass, or a call, begin anew"
            )
    return seen


def varying(area: str, calls: int, expected: int) -> str:
    """What is wrong with a layer that is not called as often for every image."""
    return (
        f"{area!r} is called {calls} times for some images and {expected} times for others; a timestep is a call that every "
        "image has: let the network always take as many steps"
    )


def _try(
    network: nn.Module, layers: Mapping[str, Layer], images: Tensor, timesteps: Timesteps | None, call: Call | None
) -> Seen:
    seen = Seen()
    try:
        with torch.no_grad(), torch.random.fork_rng(), follow_grids(images):
            torch.manual_seed(0)  # noise of its own is no state
            followed(
                network, images, layers, timesteps, call, lambda area, t, value: seen.note(len(images), area, t, value)
            )
    except SpecError:
        raise
    except (RuntimeError, ValueError, AssertionError, LookupError, TypeError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        size = images.shape[-1]
        raise SpecError(
            f"the network does not take images of {size} x {size} px: {first}; what takes them otherwise needs a call"
        ) from None
    seen.check_logits()
    return seen
