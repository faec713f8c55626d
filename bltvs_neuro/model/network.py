"""What every model is to the rest of the package: areas and streams in time, each state behind a tap that can be hooked.

A feed-forward network is one with a single timestep and the stream ``bu``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from ..errors import SpecError, listed, unknown
from ..notebook import card, line
from ..schema import Site, Stream
from .constant import constant_states
from .lesions.actions import Action
from .lesions.lesion import Lesion, Lesioned, Target, Timesteps, lesion
from .transform import Transform

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class State(NamedTuple):
    """Activity of one area and stream at one timestep."""

    area: str
    stream: Stream
    timestep: int


class Grid(NamedTuple):
    """Where the units of a map are, the same along both axes, in pixels of the transformed image.

    ``stride`` is the distance of neighbouring units, ``start`` the centre of the first one's receptive field.

    Examples
    --------
    >>> Grid(16, 7.5).centres(3).tolist()
    [7.5, 23.5, 39.5]
    """

    stride: float
    start: float = 0.0

    def centres(self, n: int) -> np.ndarray:
        """Centres of ``n`` units, pixels."""
        return self.start + self.stride * np.arange(n, dtype=np.float64)


class Network(nn.Module, ABC):
    """A model that can be recorded from; the base of all models.

    Attributes
    ----------
    areas : tuple of str
        From the image up; the last one is the readout.
    usual_areas : str
        What an extraction records unless told otherwise, in the selection grammar (``"V1:LOC"``).
    streams : tuple of str
        ``("bu",)``, or with ``"td"``.
    timesteps : int
    schedule_name : str
        How states follow each other in time.
    num_classes, image_size : int
        Logits; height and width of the input in pixels.
    config : dict
        What, with the weights, decides the numbers; JSON-safe.
    transform : Transform
        From decoded pictures to the model's input.
    provenance : dict
        Where the weights came from; :func:`bltvs_neuro.load_model` fills it in.
    taps : nn.ModuleDict
        One module per state that passes it on unchanged; forward hooks attach to them. A state is computed if it is
        hooked or something that is asked for needs it.
    shapes : dict of str to tuple of int
        Of one stimulus's activations, by area.
    grids : dict of str to Grid
        Of the maps, by area; an area that sees the whole image at once needs none.
    overwrites : bool
        Whether what passed a tap may be changed in place afterwards, so that who keeps it must copy it.
    must_look : bool
        Whether only trying shows which states are the same for every image.

    Examples
    --------
    >>> model = bn.load_model("imagenet", weights="untrained")
    >>> model.areas[-1], model.timesteps, model.onset("V4/td"), model.shape("V4/td")
    ('Readout', 6, 0, (256, 28, 28))
    """

    areas: tuple[str, ...]
    usual_areas: str
    streams: tuple[Stream, ...]
    timesteps: int
    schedule_name: str
    num_classes: int
    image_size: int
    config: dict[str, Any]
    transform: Transform
    provenance: dict[str, Any]
    taps: nn.ModuleDict
    shapes: dict[str, tuple[int, ...]]
    grids: dict[str, Grid]
    overwrites: bool = True
    must_look: bool = False
    _lesions: tuple[Lesion, ...] = ()
    _constant: frozenset[State] | None = None

    @abstractmethod
    def states(self) -> Iterator[State]:
        """All states that exist, by area, stream and timestep."""

    def shape(self, site: Site | str) -> tuple[int, ...]:
        """Shape of one stimulus's activations: (channel, y, x), (channel, token) or (channel,)."""
        return self.shapes[as_site(site).area]

    def grid(self, site: Site | str) -> Grid:
        """Where the units of a site's map are."""
        return self.grids.get(as_site(site).area, Grid(self.image_size))

    @abstractmethod
    def run(self, images: Tensor, outputs: Collection[State] = ()) -> dict[State, Tensor]:
        """Compute the states that have a hook on their tap, and ``outputs``, which are returned: (B, *shape) each.

        ``images`` are (B, 3, image_size, image_size), as the transform gives them.
        """

    @property
    @abstractmethod
    def logit_timesteps(self) -> tuple[int, ...]:
        """The timesteps of the logits that a forward pass returns."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the logits (B, num_classes), one per timestep of :attr:`logit_timesteps`."""
        outputs = [State(self.areas[-1], "bu", t) for t in self.logit_timesteps]
        values = self.run(images, outputs)
        return [values[state] for state in outputs]

    def is_constant(self, state: State) -> bool:
        """Whether a state is the same for every image, under lesions as found with three of them."""
        if self._constant is None:
            self._constant = constant_states(self) if self.lesions or self.must_look else frozenset()
        return state in self._constant

    def onset(self, site: Site | str) -> int | None:
        """First timestep at which a site is active, None if it never is."""
        return next(iter(self.timesteps_of(site)), None)

    def timesteps_of(self, site: Site | str) -> tuple[int, ...]:
        """Timesteps at which a site exists; the first is its onset."""
        site = as_site(site)
        return tuple(s.timestep for s in self.states() if (s.area, s.stream) == site)

    def tap(self, state: State) -> nn.Module:
        """Return the module that ``state`` passes through; SpecError where the state does not exist."""
        return self.get_submodule(self.tap_name(Site(state.area, state.stream), state.timestep))

    def tap_name(self, site: Site | str, timestep: int) -> str:
        """Return the dotted name of a tap, ``"taps.V4.td.3"``; SpecError for a site or timestep that does not exist."""
        site = as_site(site)
        if site.area not in self.areas:
            raise unknown("area", site.area, self.areas)
        exists = self.timesteps_of(site)
        if timestep not in exists:
            when = f"it exists at timesteps {exists[0]} to {exists[-1]}" if exists else "it never is in this model"
            raise SpecError(f"{site} is not active at timestep {timestep}: {when}")
        return f"taps.{_key(site.area)}.{site.stream}.{timestep}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the areas in the order in which they are computed, with shapes, timesteps and lesions; or on ``ax``."""
        from .drawing import plot_layers  # matplotlib takes a second to import

        return plot_layers(self, ax)

    def compile_cells(self) -> None:
        """Let ``torch.compile`` fuse element-wise work, where a model has it to fuse."""
        raise SpecError(f"{self.provenance.get('model', type(self).__name__)} has nothing that compiling would fuse")

    @property
    def lesions(self) -> tuple[Lesion, ...]:
        """The present lesions, in the order in which they act; see :meth:`lesion`."""
        return self._lesions

    @lesions.setter
    def lesions(self, lesions: tuple[Lesion, ...]) -> None:
        self._lesions, self._constant = lesions, None
        about = {key: value for key, value in self.provenance.items() if key != "lesions"}
        self.provenance = about | ({"lesions": [one.describe() for one in lesions]} if lesions else {})

    def lesion(
        self, *targets: str, timesteps: Timesteps = "all", strength: float = 0.0, action: Action | None = None,
        part: str | np.ndarray | None = None,
    ) -> Lesioned:  # fmt: skip
        """Lesion sites, or connections of BLT_VS, at run time, see :func:`bltvs_neuro.model.lesions.lesion.lesion`.

        Examples
        --------
        >>> model = bn.BLT_VS(timesteps=6, num_classes=10, image_size=128).eval()
        >>> with model.lesion("td:LOC->V4", "V4/td[0:8]=freeze", timesteps=slice(5, None)):
        ...     [str(one) for one in model.lesions]
        ['td:LOC->V4@5=0', 'V4/td[0:8]@5=freeze']
        >>> model.lesions
        ()
        """
        return lesion(self, *targets, timesteps=timesteps, strength=strength, action=action, part=part)

    def target_names(self) -> list[str]:
        """What can be lesioned."""
        return [
            f"{area}/{stream}"
            for area in self.areas
            for stream in self.streams
            if self.timesteps_of(Site(area, stream))
        ]

    def targets(self, text: str) -> dict[Target, str]:
        """What a lesion's target names: a site; SpecError for one that does not exist."""
        if ":" in text:
            name = self.provenance.get("model", type(self).__name__)
            raise SpecError(
                f"{name} has no connections that can be lesioned, as BLT_VS has; its sites: {listed(self.target_names())}"
            )
        site = Site.parse(text)
        if site.area not in self.areas:
            raise unknown("area", site.area, self.areas)
        return {tuple(site): text}  # type: ignore[dict-item]

    def used_at(self, target: Target) -> tuple[int, ...]:
        """Timesteps at which what a lesion touches is computed."""
        return self.timesteps_of(Site(*target))  # type: ignore[arg-type]

    def check_lesion(self, one: Lesion) -> None:
        """Raise SpecError for a lesion that cannot be done here: one that holds what did not exist before."""
        for target, name in one.targets.items():
            exists = self.used_at(target)
            early = [t for t in sorted(one.timesteps) if t in exists and one.before(t) not in exists]
            if one.action.holds and early:
                raise SpecError(f"{name} does not exist before timestep {early[0]}, so that nothing can be held then")

    def __repr__(self) -> str:
        return line(type(self).__name__, self._facts())

    def _repr_html_(self) -> str:
        """For notebooks: where its weights are from, and its areas."""
        import pandas as pd

        onsets = {stream: [self.onset(Site(area, stream)) for area in self.areas] for stream in self.streams}
        shapes = [" × ".join(map(str, self.shapes[area])) for area in self.areas]
        table = pd.DataFrame({"area": self.areas, "units": shapes})
        for stream, found in onsets.items():
            table[f"onset {stream}"] = ["-" if one is None else str(one) for one in found]
        provenance = json.dumps(getattr(self, "provenance", {}), indent=1, default=str)
        texts = {"provenance": provenance, "modules": nn.Module.__repr__(self)}
        return card(type(self).__name__, self._facts(), table, texts=texts)

    def _facts(self) -> dict[str, Any]:
        about = getattr(self, "provenance", {})
        name = about.get("model")
        return {
            "": None if name == type(self).__name__ else name, "weights": about.get("weights"),
            "areas": f"{self.areas[0]} to {self.areas[-1]}",
            "timesteps": self.timesteps, "schedule": self.schedule_name, "image size": self.image_size,
            "parameters": f"{sum(one.numel() for one in self.parameters()):,}", "lesions": len(self.lesions) or None,
        }  # fmt: skip

    def add_taps(self) -> None:
        """Register one tap per state; called at the end of a constructor."""
        self.taps = nn.ModuleDict()
        for state in self.states():
            at = self.taps
            for key in (_key(state.area), state.stream):
                if key not in at:
                    at[key] = nn.ModuleDict()
                at = at[key]  # type: ignore[assignment]
            at[str(state.timestep)] = nn.Identity()

    def wanted(self, outputs: Collection[State]) -> set[State]:
        """Return ``outputs`` and every state that has a hook on its tap."""
        return {state for state in self.states() if self._hooked(state)} | set(outputs)

    def check_images(self, images: Tensor) -> None:
        """Raise SpecError for images of another shape than the model's input."""
        size = self.image_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise SpecError(f"images must be (batch, 3, {size}, {size}); got {tuple(images.shape)}")

    def _hooked(self, state: State) -> bool:
        tap: nn.Module = self.taps[_key(state.area)][state.stream][str(state.timestep)]  # type: ignore[index, assignment]
        return bool(tap._forward_hooks or tap._forward_pre_hooks)


MOST_CLASSES, MOST_PIXELS, MOST_TIMESTEPS = 1_000_000, 8_192, 1_000
"""Of one model, of the side of its images, of its time: a larger number is a mistake, and would take all memory."""


def check_count(name: str, value: object, most: int, least: int = 1) -> None:
    """Raise SpecError for what is no whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise SpecError(f"{name} must be a whole number from {least} to {most:,}; got {value!r:.60}")


def as_site(site: Site | str) -> Site:
    """Read a site from its name, or pass it on."""
    return site if isinstance(site, Site) else Site.parse(site)


def _key(area: str) -> str:
    """A module's name may hold no dot, and a layer's no hyphen."""
    return area.replace(".", "-")
