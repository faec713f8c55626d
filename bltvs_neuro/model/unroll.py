"""Unrolling in time: a schedule is a table of delays, and the unrolled network a graph computed on demand.

A state is an area's stream at a timestep; an edge is a connection applied to one state. Two states that read the
same connection of the same source share the edge, so that nothing is computed twice, and a plan contains only what
the wanted states need, each value freed after its last use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..schema import STREAMS, Stream
from .areas import Area
from .network import State

IMAGE = State("image", "bu", 0)


class Edge(NamedTuple):
    """A connection into ``area`` applied to one source state."""

    area: str
    connection: str
    source: State


class Update(NamedTuple):
    """What a state is computed from."""

    drive: tuple[Edge, ...]
    gate: tuple[Edge, ...]


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

    Attributes
    ----------
    name : str
    delays : mapping of stream to mapping of connection to int
        Timesteps that a stream's update looks back along a connection; a connection that is not listed is not used.
    retina_td : bool
        Whether the retina has a top-down state (a constant one: no feedback reaches it).
    description : str
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
    """The unrolled network of one schedule, without any tensor.

    Parameters
    ----------
    areas : tuple of Area
        From the retina up, ending in the readout.
    connections : mapping of str to collection of str
        Area -> the connections it has.
    schedule : Schedule
    timesteps : int

    Attributes
    ----------
    updates : dict of State to Update
        In an order in which they can be computed.
    """

    def __init__(
        self, areas: tuple[Area, ...], connections: Mapping[str, Collection[str]], schedule: Schedule, timesteps: int
    ) -> None:
        self.areas, self.schedule, self.timesteps = areas, schedule, timesteps
        self._connections = connections
        self._names = tuple(area.name for area in areas)
        self.updates: dict[State, Update] = {}
        self._alias: dict[State, State] = {}
        for timestep in range(timesteps):
            for area, stream in self._order():
                self._add(State(area, stream, timestep))
        self._varies: dict[State, bool] = {IMAGE: True}
        for state, update in self.updates.items():
            inputs = (*update.drive, *update.gate) if update.drive else ()
            self._varies[state] = any(self._varies[edge.source] for edge in inputs)
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

    def _order(self) -> list[tuple[str, Stream]]:
        upward: list[tuple[str, Stream]] = [(name, "bu") for name in self._names]
        downward: list[tuple[str, Stream]] = [(name, "td") for name in reversed(self._names)]
        return upward + downward

    def _source(self, area: str, connection: str) -> tuple[str, Stream] | None:
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

    def _edges(self, state: State, connections: Iterable[str]) -> tuple[Edge, ...]:
        """Edges into a state whose source exists."""
        edges = []
        for connection in connections:
            delay = self.schedule.delays[state.stream].get(connection)
            if delay is None or connection not in self._connections[state.area]:
                continue
            origin = self._source(state.area, connection)
            source = IMAGE if origin is None else State(*origin, state.timestep - delay)
            source = self._alias.get(source, source)
            if source == IMAGE or source in self.updates:
                edges.append(Edge(state.area, connection, source))
        return tuple(edges)

    def _add(self, state: State) -> None:
        """Add a state if activity has reached it: bottom-up input decides, and td exists where bu does."""
        retina, readout = self._names[0], self._names[-1]
        if state.area == retina:
            if state.stream == "td" and not self.schedule.retina_td:
                return
            if state.stream == "bu" and state.timestep > 0:  # the image does not change
                self._alias[state] = State(retina, "bu", 0)
                return
        if state.area == readout:
            edges = self._edges(state, ("readout_conv",))
            if edges:
                self.updates[state] = Update(edges, ())
            return
        if state.stream == "bu":
            if not self._edges(state, ("bu_conv", "skip_bu")):
                return
        elif State(state.area, "bu", state.timestep) not in self:
            return
        self.updates[state] = Update(self._edges(state, DRIVE[state.stream]), self._edges(state, GATE[state.stream]))

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
                stack += [edge.source for edge in self._inputs(state)]
        order = [state for state in self.updates if state in needed]
        first: dict[Edge, int] = {}  # where an edge is computed, and so reads its source
        last: dict[State | Edge, int] = {}
        for position, state in enumerate(order):
            last[state] = position  # a state that nobody reads goes as soon as it was tapped
            for edge in self._inputs(state):
                first.setdefault(edge, position)
                last[edge] = position
        for edge, position in first.items():
            last[edge.source] = max(last.get(edge.source, 0), position)
        forget: list[list[State | Edge]] = [[] for _ in order]
        for value, position in last.items():
            forget[position].append(value)
        return tuple(
            Step(state, self.updates[state], tuple(stands_for.get(state, ())), tuple(forget[position]))
            for position, state in enumerate(order)
        )

    def _inputs(self, state: State) -> tuple[Edge, ...]:
        """Edges that computing a state takes: without a drive the state is zeros and its gate is not needed."""
        update = self.updates[state]
        return (*update.drive, *update.gate) if update.drive else ()
