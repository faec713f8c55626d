"""Any image network as a :class:`.Network`: named layers are its areas, and their calls its timesteps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from ...errors import SpecError, argument, unknown
from ...schema import Site
from ..forward import Pass
from ..lesions.lesion import Lesion
from ..network import MOST_CLASSES, MOST_PIXELS, Grid, Network, State, as_site, check_count
from ..released.weights import weights_sha256
from ..transform import Transform
from .layers import LOGITS, arranged, as_it_was, channels_first, read_layers, usual_layers
from .trial import Call, Timesteps, followed, tried, varying

Layers = Sequence[str] | Mapping[str, str]
SCHEDULE_NAMES = {None: "feedforward", "calls": "each layer its own clock", "forward": "steps of the network"}


class Wrapped(Network):
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

    def __init__(
        self, network: nn.Module, layers: Layers | None, transform: Transform, timesteps: Timesteps | None = None,
        call: Call | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if timesteps not in (None, *get_args(Timesteps)):
            raise unknown("timesteps", timesteps, get_args(Timesteps))
        self.network, self.transform, self.image_size = network.eval(), transform, transform.size
        check_count("image_size", self.image_size, MOST_PIXELS)
        chosen = read_layers(usual_layers(network) if layers is None else layers, network)
        seen = tried(network, chosen, self.image_size, timesteps, call)
        self.num_classes = seen.shapes[LOGITS][0]
        check_count("num_classes", self.num_classes, MOST_CLASSES)
        wrong = {area: f"gives nothing at {layer}" for area, layer in chosen.items() if area not in seen.moments}
        if timesteps is None:
            many = {area: len(moments) for area, moments in seen.moments.items() if len(moments) > 1}
            hint = f"{argument('timesteps', 'calls')} makes them timesteps"
            wrong |= {area: f"is called {n} times ({hint})" for area, n in many.items()}
        wrong |= seen.wrong
        if layers is None:
            chosen = {area: layer for area, layer in chosen.items() if area not in wrong}
            if len(chosen) > 1 and seen.shapes[[*chosen][-1]] == (self.num_classes,):
                chosen.popitem()  # the logits have an area of their own
        elif wrong:
            raise SpecError(
                "an area is a layer that is called once in a forward pass, or as often for every image, and gives one tensor; "
                f"{'; '.join(f'{area!r} {why}' for area, why in wrong.items())}: name the block that contains it, another "
                "layer, or one of several tensors as 'layer#1' or 'layer#name'"
            )
        order = [area for area in seen.moments if area in chosen]
        self.areas, self.usual_areas, self.streams = (*order, LOGITS), f"{order[0]}:{order[-1]}", ("bu",)
        self.schedule_name = SCHEDULE_NAMES[timesteps]
        self.must_look = timesteps is not None
        self.layers, self.clock, self.call = {area: chosen[area] for area in order}, timesteps, call
        self.moments = {area: tuple(seen.moments[area]) for area in self.areas}
        self.timesteps = 1 + max(max(moments) for moments in self.moments.values())
        self.shapes = {**{area: arranged(seen.shapes[area]) for area in order}, LOGITS: (self.num_classes,)}
        self.grids = {area: self._grid(area, seen.grids.get(area)) for area in order}
        self.config: dict[str, Any] = {"num_classes": self.num_classes, "image_size": self.image_size}
        if timesteps is not None:
            self.config["timesteps"] = {area: list(moments) for area, moments in self.moments.items()}
        if renamed := {area: str(layer) for area, layer in self.layers.items() if area != str(layer)}:
            self.config["layers"] = renamed
        self.provenance = {"model": type(self).__name__, "weights": "as constructed"}
        if layers is None:
            self.leave_out_vectors()
        self.add_taps()

    def leave_out_vectors(self) -> None:
        """Let the usual areas end with the last one that is spread over space."""
        order = self.areas[:-1]
        spread = [name for name in order if self.shapes[name][1:] not in ((), (1, 1))] or order
        self.usual_areas = f"{spread[0]}:{spread[-1]}"

    def states(self) -> Iterator[State]:
        """Every area at each of its timesteps."""
        return (State(area, "bu", t) for area in self.areas for t in self.moments[area])

    def timesteps_of(self, site: Site | str) -> tuple[int, ...]:
        """Timesteps at which a site exists; the first is its onset."""
        site = as_site(site)
        return self.moments.get(site.area, ()) if site.stream == "bu" else ()

    @property
    def logit_timesteps(self) -> tuple[int, ...]:
        """One, or as many as logits are returned."""
        return self.moments[LOGITS]

    def check_lesion(self, one: Lesion) -> None:
        """Raise SpecError for what the network returns: it is changed too late for the network to notice."""
        for area, _ in one.targets:
            if area in self.layers and not self.layers[area].module:
                raise SpecError(
                    f"{area} is taken from what the network returns, when it has been used: lesion a layer instead"
                )
        super().check_lesion(one)

    def run(self, images: Tensor, outputs: Collection[State] = ()) -> dict[State, Tensor]:
        """Compute up to the last call that is hooked or among ``outputs``; see :meth:`Network.run`."""
        run = Pass(self, images, outputs)
        needed = {state.area for state in run.left} | {area for one in self.lesions for area, _ in one.targets}

        def receive(area: str, timestep: int, value: Tensor) -> Tensor:
            if area not in needed:
                return value
            state = State(area, "bu", timestep)
            if timestep not in self.moments[area]:
                raise SpecError(varying(area, timestep + 1, len(self.moments[area])))
            if not run.concerns(state):
                return value
            # what follows may change its input in place, so what is recorded is a copy
            seen = channels_first(value).clone(memory_format=torch.contiguous_format)
            result = run.through(state, seen)
            if not run.left:
                raise _Enough
            if result is seen:
                return value
            return torch.empty_like(value).copy_(as_it_was(result, value))  # laid out as it was, so that no bit changes

        layers = {area: layer for area, layer in self.layers.items() if area in needed}
        try:
            if run.left:
                followed(self.network, images, layers, self.clock, self.call, receive)
        except _Enough:
            pass
        if run.left:
            area, _, timestep = min(run.left)
            raise SpecError(varying(area, timestep, len(self.moments[area])))
        return run.kept

    def _grid(self, name: str, found: Grid | None) -> Grid:
        shape = self.shapes[name]
        if found is not None or len(shape) < 3:
            return found or Grid(self.image_size)
        cell = self.image_size / shape[1]
        return Grid(cell, (cell - 1) / 2)


def wrap(
    network: nn.Module, layers: Layers, transform: Transform, name: str, *, timesteps: Timesteps | None = None,
    call: Call | None = None,
) -> Wrapped:  # fmt: skip
    """Make a network of your own one that can be recorded from.

    Parameters
    ----------
    network : nn.Module
        Maps images (B, 3, size, size) to logits (B, classes), or to an object with ``logits``; put into eval mode.
    layers : sequence of str, or mapping of str to str
        Names of the submodules that are its areas; a mapping gives the areas names of their own. ``"cell#1"`` is the second of
        several tensors of a layer, ``"block#hidden"`` one of a dict or object, ``"#V4"`` one of what the network returns.
    transform : Transform
        From decoded pictures to what the network was trained on; its ``size`` is the images'.
    name : str
        What stores call it.
    timesteps : {"calls", "forward"}, optional
        Of a recurrent network. ``"calls"``: the k-th call of a layer is its timestep k, so that every layer has a clock of its
        own; a call of an nn.RNN, nn.GRU or nn.LSTM has all its steps. ``"forward"``: the network yields a state for each step,
        or returns a list of them, and a layer's timestep is the step in which it is called. None: one call, one timestep.
    call : callable, optional
        ``call(network, images)``, for a network that takes or returns something else:
        ``lambda network, images: network(pixel_values=images).logits``.

    Raises
    ------
    SpecError
        A layer that does not exist, is never called, more than once without ``timesteps`` or not as often for every image, or
        gives anything but one tensor; a network that does not take such images or does not return logits.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 32 * 32, 10))
    >>> transform = Transform(32, mean=(0, 0, 0), std=(1, 1, 1))
    >>> wrap(network, ["1"], transform, "small").areas
    ('1', 'logits')
    """
    wrapped = Wrapped(network, layers, transform, timesteps, call)
    wrapped.provenance = {
        "model": name, "weights": "as given", "weights_sha256": weights_sha256(wrapped), "config": dict(wrapped.config),
        "transform": transform.describe(),
    }  # fmt: skip
    return wrapped


class _Enough(BaseException):
    """Not an error, which a network could catch: everything that was asked for has been computed."""
