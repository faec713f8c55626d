"""Unrolling in time: a schedule is a table of delays, and the unrolled network a graph computed on demand.

A state is an area's stream at a timestep; an edge is a connection applied to one state. Two states that read the
same connection of the same source share the edge, so that nothing is computed twice, and a plan contains only what
the wanted states need, each value freed after its last use. A lesion changes what one state reads from an edge, never
the edge itself, which other states may read too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from ...schema import STREAMS, Stream
from ..lesions.actions import Action, Freeze
from ..lesions.lesion import Lesion
from ..network import State
from .areas import Area

IMAGE = State("image", "bu", 0)


class Edge(NamedTuple):
    """A connection into ``area`` applied to one source state."""

    area: str
    connection: str
    source: State


class Change(NamedTuple):
    """What a lesion does to one value; ``key`` names target and timestep, ``held`` the state whose part is kept."""

    action: Action
    key: str
    held: State | None = None


class Input(NamedTuple):
    """An edge as one state reads it."""

    edge: Edge
    changes: tuple[Change, ...] = ()


class Update(NamedTuple):
    """What a state is computed from: inputs, or a state that is held; and what is done to the result."""

    drive: tuple[Input, ...] = ()
    gate: tuple[Input, ...] = ()
    held: State | None = None
    changes: tuple[Change, ...] = ()

    @property
    def imposed(self) -> bool:
        """Whether the state is zeros with changes, whatever its inputs are."""
        return bool(self.changes) and self.changes[0].action.replaces

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What computing the state reads: without a drive it is zeros, and its gate is not needed."""
        return (*self.drive, *self.gate) if self.drive else ()

    @property
    def holds(self) -> tuple[State, ...]:
        """The states that are kept, as a whole or in part."""
        return tuple(s for s in (self.held, *(change.held for change in self.changes)) if s is not None)


class Step(NamedTuple):
    """One state of a plan, the timesteps it stands for, and what may be forgotten after it."""

    state: State
    update: Update
    stands_for: tuple[State, ...]
    forget: tuple[State | Edge, ...]


DRIVE: dict[Stream, tuple[str, ...]] = {
    "bu": ("bu_conv", "bu_lateral", "skip_bu"),
    "td": ("td_conv", "td_lateral", "skip_td"),
}
GATE: dict[Stream, tuple[str, ...]] = {"bu": ("td_conv", "skip_td"), "td": ("bu_conv", "skip_bu")}


@dataclass(frozen=True)
class Schedule:
    """Which timestep of its source every connection reads.

    ``delays`` are the timesteps that a stream's update looks back along a connection; one that is not listed is not used.
    ``retina_td``: whether the retina has a top-down state (a constant one: no feedback reaches it).
    """

    name: str
    delays: Mapping[Stream, Mapping[str, int]]
    retina_td: bool
    description: str


_ALL = ("bu_conv", "bu_lateral", "skip_bu", "td_conv", "td_lateral", "skip_td")

SCHEDULES: dict[str, Schedule] = {
    "sweep": Schedule(
        "sweep",
        {
            "bu": {"bu_conv": 0, "bu_lateral": 1, "skip_bu": 0, "td_conv": 1, "readout_conv": 0},
            # the released weights were trained without the V4 to V1 top-down skip and without the skip in the gate
            "td": {"td_conv": 0, "td_lateral": 1, "bu_conv": 0, "readout_conv": 0},
        },
        retina_td=True,
        description="per timestep one upward sweep, the readout, and one downward sweep (bio_unroll=False)",
    ),
    "simultaneous": Schedule(
        "simultaneous",
        {stream: {**dict.fromkeys(_ALL, 1), "readout_conv": 0} for stream in STREAMS},
        retina_td=False,
        description="every area reads its inputs' previous timestep, the readout LOC's present one (bio_unroll=True)",
    ),
}


class Graph:
    """The unrolled network of one schedule, without any tensor; ``updates`` holds states in the order of computing."""

    def __init__(
        self, areas: tuple[Area, ...], connections: Mapping[str, Collection[str]], schedule: Schedule, timesteps: int,
        lesions: tuple[Lesion, ...] = (),
    ) -> None:  # fmt: skip
        self.areas, self.schedule, self.timesteps, self.lesions = areas, schedule, timesteps, lesions
        self._connections = connections
        self._names = tuple(area.name for area in areas)
        self.updates: dict[State, Update] = {}
        self._alias: dict[State, State] = {}
        for timestep in range(timesteps):
            for area in self._names:
                self._add(State(area, "bu", timestep))
            for area in reversed(self._names):
                self._add(State(area, "td", timestep))
        self._varies: dict[State, bool] = {IMAGE: True}
        for state, update in self.updates.items():
            self._varies[state] = self._is_varied(update)
        self.plan = lru_cache(maxsize=256)(self._plan)

    def lesioned(self, lesions: tuple[Lesion, ...]) -> Graph:
        """The same network under other lesions."""
        return Graph(self.areas, self._connections, self.schedule, self.timesteps, lesions)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "plan"}  # a cache cannot be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.plan = lru_cache(maxsize=256)(self._plan)

    def __contains__(self, state: object) -> bool:
        return state in self.updates or state in self._alias

    def __iter__(self) -> Iterator[State]:
        """All states that exist, by area, stream and timestep."""
        for area in self._names:
            for stream in STREAMS:
                for timestep in range(self.timesteps):
                    if (state := State(area, stream, timestep)) in self:
                        yield state

    def timesteps_of(self, area: str, stream: Stream) -> tuple[int, ...]:
        """Timesteps at which a site exists; the first is its onset."""
        return tuple(t for t in range(self.timesteps) if State(area, stream, t) in self)

    def is_constant(self, state: State) -> bool:
        """Whether a state is the same for every image (the normalisation of zeros, as no drive has arrived)."""
        return not self._varies[self._alias.get(state, state)]

    def connections(self) -> Iterator[tuple[str, str]]:
        """Every area and connection that ends in it, from the retina up."""
        for area in self._names:
            for connection in self._connections[area]:
                yield area, connection

    def used_at(self, area: str, what: str) -> tuple[int, ...]:
        """Timesteps at which a state of ``area`` reads a connection, or at which one of its streams exists."""
        if what in STREAMS:
            return self.timesteps_of(area, what)  # type: ignore[arg-type]
        if State(area, "bu", 1) in self._alias and what == "bu_conv":
            return tuple(range(self.timesteps))
        reading = (
            state.timestep for state, update in self.updates.items() for read in (*update.drive, *update.gate)
            if state.area == area and read.edge.connection == what
        )  # fmt: skip
        return tuple(sorted(set(reading)))

    def source(self, area: str, connection: str) -> tuple[str, Stream] | None:
        """Where a connection into ``area`` comes from, None for the image."""
        at = self._names.index(area)
        here = self.areas[at]
        if connection in ("bu_conv", "readout_conv"):
            return (self._names[at - 1], "bu") if at else None
        if connection == "td_conv":
            return self._names[at + 1], "td"
        if connection in ("bu_lateral", "td_lateral"):
            return area, "bu" if connection == "bu_lateral" else "td"
        skip = here.skip_bu if connection == "skip_bu" else here.skip_td
        assert skip is not None
        return skip[0], "bu" if connection == "skip_bu" else "td"

    def _reads(self, state: State, connections: Iterable[str]) -> tuple[Input, ...]:
        """What ``state`` reads from those connections that deliver something."""
        return tuple(read for connection in connections if (read := self._read(state, connection)) is not None)

    def _read(self, state: State, connection: str) -> Input | None:
        """What ``state`` reads from a connection, None if nothing comes through."""
        changes: list[Change] = []
        for lesion in self._touching(state.area, connection, state.timestep):
            if isinstance(lesion.action, Freeze):
                return self._read(state._replace(timestep=lesion.before(state.timestep)), connection)
            if lesion.action.replaces:
                return None
            changes.append(Change(lesion.action, f"{lesion.targets[state.area, connection]}@{state.timestep}"))
        delay = self.schedule.delays[state.stream].get(connection)
        if delay is None or connection not in self._connections[state.area]:
            return None
        origin = self.source(state.area, connection)
        source = IMAGE if origin is None else State(*origin, state.timestep - delay)
        source = self._alias.get(source, source)
        if source != IMAGE and source not in self.updates:
            return None
        return Input(Edge(state.area, connection, source), tuple(changes))

    def _touching(self, area: str, what: str, timestep: int) -> Iterator[Lesion]:
        return (lesion for lesion in self.lesions if lesion.touches(area, what, timestep))

    def _add(self, state: State) -> None:
        """Add a state if activity has reached it."""
        retina = self._names[0]
        if state.area == retina:
            if state.stream == "td" and not self.schedule.retina_td:
                return
            lesioned = any((retina, what) in lesion.targets for lesion in self.lesions for what in ("bu", "bu_conv"))
            if state.stream == "bu" and state.timestep > 0 and not lesioned:  # the image does not change
                self._alias[state] = State(retina, "bu", 0)
                return
        if (update := self._update(state)) is not None:
            self.updates[state] = update

    def _update(self, state: State) -> Update | None:
        """What ``state`` is computed from, None if it does not exist."""
        changes: list[Change] = []
        for lesion in self._touching(state.area, state.stream, state.timestep):
            before = state._replace(timestep=lesion.before(state.timestep)) if lesion.action.holds else None
            held = before and self._alias.get(before, before)
            if isinstance(lesion.action, Freeze):
                return Update(held=held) if held in self.updates else None
            change = Change(lesion.action, f"{state.area}/{state.stream}@{state.timestep}", held)
            changes = [change] if lesion.action.replaces else [*changes, change]
        update = Update(changes=tuple(changes))
        if state.area == self._names[-1]:
            update = update._replace(drive=self._reads(state, ("readout_conv",)))
            exists = bool(update.drive)
        else:
            update = update._replace(
                drive=self._reads(state, DRIVE[state.stream]), gate=self._reads(state, GATE[state.stream])
            )
            exists = self._reached(state)
        if not exists:
            return None
        return update._replace(drive=(), gate=()) if update.imposed else update

    def _reached(self, state: State) -> bool:
        """Whether another area's activity has reached this one: laterals alone do not start it, but it stays."""
        area, stream, timestep = state
        if stream == "td" and State(area, "bu", timestep) in self:
            return True
        if any(State(area, either, timestep - 1) in self for either in STREAMS):
            return True
        return bool(self._reads(state, ("bu_conv", "skip_bu", "td_conv", "skip_td")))

    def _is_varied(self, update: Update) -> bool:
        """Whether a state differs between images."""
        changes = [*update.changes, *(change for read in update.inputs for change in read.changes)]
        sources = [*update.holds, *(read.edge.source for read in update.inputs)]
        return any(change.action.varies for change in changes) or any(self._varies[source] for source in sources)

    def _plan(self, wanted: frozenset[State]) -> tuple[Step, ...]:
        """Order the states that ``wanted`` needs, and say when each value was used for the last time."""
        stands_for: dict[State, list[State]] = {}
        for state in sorted(wanted):
            stands_for.setdefault(self._alias.get(state, state), []).append(state)
        needed: set[State] = set()
        stack = list(stands_for)
        while stack:
            state = stack.pop()
            if state not in needed and state != IMAGE:
                needed.add(state)
                update = self.updates[state]
                stack += [read.edge.source for read in update.inputs]
                stack += update.holds
        order = [state for state in self.updates if state in needed]
        first: dict[Edge, int] = {}  # where an edge is computed, and so reads its source
        last: dict[State | Edge, int] = {}
        for position, state in enumerate(order):
            last[state] = position  # a state that nobody reads goes as soon as it was tapped
            last |= dict.fromkeys(self.updates[state].holds, position)
            for read in self.updates[state].inputs:
                first.setdefault(read.edge, position)
                last[read.edge] = position
        for edge, position in first.items():
            last[edge.source] = max(last.get(edge.source, 0), position)
        forget: list[list[State | Edge]] = [[] for _ in order]
        for value, position in last.items():
            forget[position].append(value)
        return tuple(
            Step(state, self.updates[state], tuple(stands_for.get(state, ())), tuple(forget[position]))
            for position, state in enumerate(order)
        )
