"""BLT_VS: areas connected bottom-up, laterally and top-down, unrolled over timesteps."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor, nn

from ...errors import SpecError, unknown
from ...schema import STREAMS, Site
from ..lesions.actions import Draws
from ..lesions.lesion import Lesion, Target
from ..lesions.part import Partly
from ..network import MOST_CLASSES, MOST_TIMESTEPS, Grid, Network, State, as_site, check_count
from ..transform import symmetric
from .areas import AREA_NAMES, areas_for, receptive_fields
from .cell import CONNECTIONS, Cell, ReadoutCell
from .names import connection_names, connections
from .unroll import IMAGE, SCHEDULES, Change, Edge, Graph, Update

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ReadoutType = Literal["multi", "single"]


class BLT_VS(Network):
    """Recurrent two-stream model of the human ventral stream.

    Parameters
    ----------
    timesteps : int
        Steps in time, from 0.
    num_classes, add_feats : int
        Classes, and additional features of the readout that only feedback uses.
    lateral_connections, topdown_connections, skip_connections : bool
        Ablations: connections that are switched off do not exist.
    bio_unroll : bool
        True for the simultaneous schedule, False for sweeps (see :data:`bltvs_neuro.model.blt_vs.unroll.SCHEDULES`).
    image_size : {224, 128}
        Height and width of the images in pixels.
    readout_type : {"multi", "single"}
        Logits per timestep, or one sum over timesteps with learned weights.
    width : float
        Factor on the channels of every area but the Readout: 1.0 is the design, 0.25 a model that a CPU can train.

    Attributes
    ----------
    config : dict
        These parameters, JSON-safe: ``BLT_VS(**model.config)`` has the same architecture.
    graph : Graph
        The unrolled network under the present lesions: which states exist and what each is computed from.
    intact : Graph
        The unrolled network without lesions.
    taps : nn.ModuleDict
        ``taps[area][stream][str(timestep)]``, for forward hooks; what else a :class:`.Network` has is told there.

    Raises
    ------
    SpecError
        An image size, readout type or width that does not exist, or counts below 1.

    Notes
    -----
    The architecture and the names of the parameters are those of KietzmannLab's BLT_VS, so its released weights load.

    Examples
    --------
    >>> model = BLT_VS(timesteps=6, num_classes=10, bio_unroll=False, image_size=128).eval()
    >>> with torch.no_grad():
    ...     logits = model(torch.zeros(1, 3, 128, 128))
    >>> len(logits), tuple(logits[0].shape)
    (6, (1, 10))
    """

    overwrites = False

    def __init__(
        self, timesteps: int = 12, num_classes: int = 565, add_feats: int = 100, lateral_connections: bool = True,
        topdown_connections: bool = True, skip_connections: bool = True, bio_unroll: bool = True,
        image_size: int = 224, readout_type: ReadoutType = "multi", width: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if readout_type not in get_args(ReadoutType):
            raise unknown("readout_type", readout_type, get_args(ReadoutType))
        check_count("timesteps", timesteps, MOST_TIMESTEPS)
        check_count("num_classes", num_classes, MOST_CLASSES)
        check_count("add_feats", add_feats, MOST_CLASSES, least=0)
        areas = areas_for(image_size, width)
        self.config: dict[str, Any] = dict(
            timesteps=timesteps, num_classes=num_classes, add_feats=add_feats,
            lateral_connections=lateral_connections, topdown_connections=topdown_connections,
            skip_connections=skip_connections, bio_unroll=bio_unroll, image_size=image_size, readout_type=readout_type,
            width=float(width),
        )  # fmt: skip
        self.timesteps, self.num_classes, self.image_size = timesteps, num_classes, image_size
        self.areas, self.usual_areas, self.streams = AREA_NAMES, "V1:LOC", STREAMS
        self.readout_type = readout_type
        self.transform = symmetric(image_size)
        self.provenance: dict[str, Any] = {"model": "BLT_VS", "weights": "as constructed"}

        channels = {area.name: area.channels or num_classes + add_feats for area in areas}
        self.shapes = {
            field.area: (channels[field.area], field.units, field.units) for field in receptive_fields(image_size)
        }
        self.grids = {field.area: Grid(field.stride) for field in receptive_fields(image_size)}
        self.connections = nn.ModuleDict()
        for at, area in enumerate(areas):
            below = channels[areas[at - 1].name] if at else 3
            if area.channels is None:
                self.connections[area.name] = ReadoutCell(area, below, num_classes, channels[area.name])
            else:
                above = areas[at + 1]
                self.connections[area.name] = Cell(
                    area, below, channels[above.name], above, channels,
                    lateral_connections, topdown_connections, skip_connections,
                )  # fmt: skip

        self.schedule = SCHEDULES["simultaneous" if bio_unroll else "sweep"]
        self.schedule_name = self.schedule.name
        existing = {name: [c for c in CONNECTIONS if cell.has(c)] for name, cell in self.connections.items()}  # type: ignore[operator]
        self.graph = self.intact = Graph(areas, existing, self.schedule, timesteps)
        self.add_taps()
        if readout_type == "single":
            outputs = self.graph.timesteps_of("Readout", "bu")
            if not outputs:
                raise SpecError(
                    f"nothing reaches the readout within {timesteps} timesteps of the {self.schedule.name} schedule"
                )
            self.readout_weights = nn.Parameter(torch.ones(len(outputs)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the logits (B, num_classes), one per timestep at which activity has reached the readout.

        A single one for ``readout_type="single"``; SpecError under lesions that leave that without any activity.
        """
        outputs = [State("Readout", "bu", t) for t in self.graph.timesteps_of("Readout", "bu")]
        if self.readout_type == "single" and not outputs:
            raise SpecError("no activity reaches the readout under these lesions, so that there are no logits")
        values = self.run(images, outputs)
        logits = [values[state] for state in outputs]
        if self.readout_type == "single":
            weights = torch.softmax(self.readout_weights, dim=0)
            if self.lesions:  # a timestep without logits contributes nothing
                intact = self.intact.timesteps_of("Readout", "bu")
                weights = weights[[intact.index(state.timestep) for state in outputs]]
            stacked = torch.stack(logits, dim=1)  # T x (B, classes) -> (B, T, classes)
            return [(stacked * weights.view(1, -1, 1)).sum(dim=1)]
        return logits

    def run(self, images: Tensor, outputs: Collection[State] = ()) -> dict[State, Tensor]:
        """Compute the states that have a hook on their tap, and ``outputs``, and nothing else but what these need.

        Returned are ``outputs``; the others live only as long as the computation needs them.
        """
        self.check_images(images)
        wanted = self.wanted(outputs)
        kept: dict[State, Tensor] = {}
        values: dict[State | Edge, Tensor] = {IMAGE: images}
        draws = Draws(images)
        for step in self.graph.plan(frozenset(wanted)):
            value = self._updated(step.state, step.update, values, draws)
            for state in step.stands_for:
                tapped = self.tap(state)(value)
                if state in outputs:
                    kept[state] = tapped
                if state == step.state:
                    value = tapped  # what a hook returns is what the network goes on with
            values[step.state] = value
            for used in step.forget:
                del values[used]
        return kept

    def _updated(self, state: State, update: Update, values: dict[State | Edge, Tensor], draws: Draws) -> Tensor:
        """Compute one state, after the edges that it needs and nobody needed before."""
        cell, images = self.connections[state.area], draws.images
        if update.held is not None:
            return values[update.held]
        if update.imposed:
            value = images.new_zeros(len(images), *self.shape(Site(state.area, state.stream)))
        elif update.drive:
            for edge, _ in update.inputs:
                if edge not in values:
                    values[edge] = cell.connect(edge.connection, values[edge.source])  # type: ignore[operator]
            drive, gate = (
                [_changed(values[edge], changes, values, draws) for edge, changes in read]
                for read in (update.drive, update.gate)
            )
            value = cell(state.stream, drive, gate)
        else:
            value = cell(state.stream, (), (), images.new_zeros(len(images), *self.shapes[state.area]))
        return _changed(value, update.changes, values, draws)

    @property
    def lesions(self) -> tuple[Lesion, ...]:
        """The present lesions, in the order in which they act; see :meth:`lesion`."""
        return self.graph.lesions

    @lesions.setter
    def lesions(self, lesions: tuple[Lesion, ...]) -> None:
        self.graph = self.intact.lesioned(lesions) if lesions else self.intact
        Network.lesions.fset(self, lesions)  # type: ignore[attr-defined]

    def target_names(self) -> list[str]:
        """What can be lesioned: connections."""
        return [*connection_names(self), "or a site such as 'V4/td'"]

    def targets(self, text: str) -> dict[Target, str]:
        """What a lesion's target names: a site, or one or several connections."""
        return connections(self, text) if ":" in text else super().targets(text)

    def used_at(self, target: Target) -> tuple[int, ...]:
        """Timesteps at which a connection is read, or a site exists, without lesions."""
        return self.intact.used_at(*target)

    def check_lesion(self, one: Lesion) -> None:
        """Raise SpecError for a part of a site that is held before it exists; whole, it would be silent."""
        if isinstance(one.action, Partly):
            super().check_lesion(one)

    def states(self) -> Iterator[State]:
        """All states that exist, by area, stream and timestep."""
        return iter(self.graph)

    def is_constant(self, state: State) -> bool:
        """Whether a state is the same for every image (the normalisation of zeros, as no drive has arrived)."""
        return self.graph.is_constant(state)

    @property
    def logit_timesteps(self) -> tuple[int, ...]:
        """The timesteps of the logits that a forward pass returns; the last for ``readout_type="single"``."""
        reached = self.timesteps_of("Readout/bu")
        return reached if self.readout_type == "multi" else reached[-1:]

    def timesteps_of(self, site: Site | str) -> tuple[int, ...]:
        """Timesteps at which a site exists; the first is its onset."""
        return self.graph.timesteps_of(*as_site(site))

    def shape(self, site: Site | str) -> tuple[int, ...]:
        """Shape of one stimulus's activations at a site: (C, H, W), or (num_classes,) for ``Readout/bu``."""
        site = as_site(site)
        return (self.num_classes,) if site == ("Readout", "bu") else self.shapes[site.area]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw areas, both streams, connections, onsets and lesions; on ``ax``, or in a figure of its own.

        A box says at which timesteps a site exists, and until when it is the same for every image.
        """
        from .diagram import plot_diagram  # matplotlib takes a second to import

        return plot_diagram(self, ax)

    def compile_cells(self) -> None:
        """Let ``torch.compile`` fuse every area's rectification, gate and normalisation; the convolutions stay."""
        from torch._dynamo import config  # slow to import

        limit = "recompile_limit" if hasattr(config, "recompile_limit") else "cache_size_limit"
        # all areas share one code, which is compiled for the shapes of each: the usual limit would stop after eight
        setattr(config, limit, max(64, getattr(config, limit)))
        for cell in self.connections.values():
            cell.compile()


def _changed(
    value: Tensor, changes: tuple[Change, ...], values: dict[State | Edge, Tensor], draws: Draws
) -> Tensor:  # fmt: skip
    for action, key, held in changes:
        value = action.apply(value, key, draws, None if held is None else values[held])
    return value
