"""Which feature spaces a sweep fits: sites and timesteps of a store, one by one or joined into bands."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ...errors import SpecError, StoreError, listed, unknown
from ...schema import STATUSES, STIMULUS, STIMULUS_ID, STREAMS, TIMESTEP, parse_names, parse_timesteps, spelled_out

Over = Literal["area", "stream", "timestep"]
log = logging.getLogger(__name__)


class Member(NamedTuple):
    """One site at one timestep."""

    site: str
    timestep: int
    band: str

    def __str__(self) -> str:
        return f"{self.site} t{self.timestep}"


class Space(NamedTuple):
    """A feature space: one member, or several in bands."""

    members: tuple[Member, ...]
    labels: dict[str, Any]
    """Of area, stream and timestep, those that all members share."""
    useless: str = ""
    """The band that responses are simulated without, where the space is fitted to such (see :mod:`.useless`)."""

    @property
    def name(self) -> str:
        """For progress, files and messages, for example ``V4/td t3``."""
        joined = " + ".join(str(member) for member in self.members)
        return f"{joined}, simulated without {self.useless}" if self.useless else joined

    def split(self) -> tuple[Space, Space]:
        """All bands, and all but the useless one, to be fitted to the same responses."""
        rest = tuple(member for member in self.members if member.band != self.useless)
        return self._replace(useless=""), Space(rest, self.labels)


def choose_members(
    acts: Mapping[str, Any],
    sites: str | Iterable[str],
    timesteps: Any = "all",
    streams: str | Iterable[str] = "all",
) -> tuple[list[Member], list[str]]:
    """Sites and timesteps with something to fit.

    Parameters
    ----------
    acts : mapping of site to DataArray (stimulus, timestep, *unit dims)
        A store, or a dict.
    sites : str or iterable of str
        ``"all"``, a site (``"V4/td"``), an area (``"V4"``: its streams), a range of areas (``"V1:LOC"``), or an iterable.
    timesteps : str, int, slice or iterable of int
        As :func:`bltvs_neuro.schema.parse_timesteps` reads it.
    streams : str or iterable of str
        ``"all"``, ``"bu"``, ``"td"``, ``"bu,td"`` or an iterable.

    Returns
    -------
    members, left_out
        ``left_out`` names the sites and timesteps that are constant over stimuli.

    Raises
    ------
    SpecError
        Unknown names; a site asked for by name of which every timestep is constant; nothing left.
    StoreError
        An array is not of the form a store gives.
    """
    known = tuple(acts)
    if not known:
        raise StoreError("the store holds no sites")
    kept = parse_names(streams, STREAMS, "stream")
    chosen = [site for site in _choose_sites(known, sites) if _split(site)[1] in (*kept, "")]
    if not chosen:
        raise SpecError(f"no chosen site has stream {listed(kept)}; sites: {listed(known, most=24)}")
    steps_of = {site: _steps(acts[site], site) for site in chosen}
    last = max((max(steps, default=-1) for steps in steps_of.values()), default=-1)
    wanted = set(parse_timesteps(timesteps, last + 1))
    members, left_out = [], []
    for site in chosen:
        picked = {step: status for step, status in steps_of[site].items() if step in wanted}
        constant = [f"{site} t{step}" for step, status in picked.items() if status == "constant"]
        if sites != "all" and picked and len(constant) == len(picked):
            raise SpecError(f"{site} is the same for every stimulus at every chosen timestep: it predicts nothing")
        left_out += constant
        members += [Member(site, step, "") for step, status in picked.items() if status == "active"]
    if not members:
        raise SpecError(
            f"no site is active at the chosen timesteps; constant: {listed(left_out) or 'none'}; sites: {listed(chosen)}"
        )
    _require_named(members, left_out, sites, streams, timesteps)
    if left_out:
        log.warning("left out, the same for every stimulus: %s", listed(left_out))
    return members, left_out


def _require_named(
    members: Sequence[Member], left_out: Sequence[str], sites: Any, streams: Any, timesteps: Any
) -> None:
    """Refuse what was named and would be missing."""
    areas, flows = {_split(m.site)[0] for m in members}, {_split(m.site)[1] for m in members}
    found = {"site": areas | {m.site for m in members}, "stream": flows, "timestep": {str(m.timestep) for m in members}}
    for (what, there), asked in zip(found.items(), (sites, streams, timesteps), strict=True):
        if what == "stream" and "" in there:  # layers of other networks are taken whatever the stream
            continue
        gone = [name for name in spelled_out(asked) if name not in there]
        if gone:
            raise SpecError(
                f"no feature space has {what} {listed(gone)}: it is not active in what was chosen; constant: "
                f"{listed(left_out) or 'none'}; there are {listed(members)}"
            )


def single_spaces(members: Sequence[Member]) -> list[Space]:
    """One space per member."""
    return [Space((member,), _labels([member])) for member in members]


def banded_spaces(members: Sequence[Member], over: Over, *, subsets: bool = False) -> list[Space]:
    """Join members that differ in ``over`` only.

    Parameters
    ----------
    members : sequence of Member
    over : {"area", "stream", "timestep"}
        What the bands are.
    subsets : bool
        Also every non-empty subset of the bands, for commonality.
    """
    if over not in get_args(Over):
        raise unknown("bands", over, get_args(Over))
    groups: dict[tuple[Any, ...], list[Member]] = {}
    for member in members:
        labels = _labels([member])
        band = str(labels.pop(over))
        groups.setdefault(tuple(labels.values()), []).append(member._replace(band=band))
    out = []
    for group in groups.values():
        if subsets and len(group) > 8:
            raise SpecError(f"{len(group)} bands have {2 ** len(group) - 1} combinations; choose at most 8 bands")
        labels = _labels(group)
        labels.pop(over, None)  # also where a group has one band only
        sizes = range(1, len(group) + 1) if subsets else [len(group)]
        out += [Space(some, dict(labels)) for k in sizes for some in combinations(group, k)]
    return out


def useless_spaces(spaces: Sequence[Space]) -> list[Space]:
    """For every partition among ``spaces`` (the widest one of each labels) and band, a space with that band useless."""
    widest: dict[tuple[Any, ...], Space] = {}
    for space in spaces:
        key = tuple(sorted(space.labels.items()))
        if key not in widest or len(space.members) > len(widest[key].members):
            widest[key] = space
    return [s._replace(useless=m.band) for s in widest.values() if len(s.members) > 1 for m in s.members]


def load_features(acts: Mapping[str, Any], member: Member, rows: np.ndarray) -> Any:
    """The lazy features of a member, (stimulus, *unit dims), for some stimuli in their order."""
    array = acts[member.site]
    at = np.flatnonzero(array[TIMESTEP].values == member.timestep)
    features = array.isel({TIMESTEP: int(at[0])})
    if len(rows) == features.sizes[STIMULUS] and np.array_equal(rows, np.arange(len(rows))):
        return features
    return features.isel({STIMULUS: rows})


def stimulus_ids(acts: Mapping[str, Any], members: Sequence[Member]) -> np.ndarray:
    """The ids of the store's stimuli; all sites must have the same, in one order."""
    first: np.ndarray | None = None
    for site in dict.fromkeys(member.site for member in members):
        ids = acts[site][STIMULUS_ID].values.astype(str)
        if len(set(ids)) != len(ids):
            raise StoreError(f"stimulus ids of {site} repeat; extract each stimulus once")
        if first is None:
            first = ids
        elif not np.array_equal(first, ids):
            raise StoreError(f"{site} has other stimuli than {members[0].site}, or another order")
    assert first is not None
    return first


def _labels(members: Sequence[Member]) -> dict[str, Any]:
    every = [dict(zip(("area", "stream", "timestep"), (*_split(m.site), m.timestep), strict=True)) for m in members]
    return {key: every[0][key] for key in every[0] if len({labels[key] for labels in every}) == 1}


def _split(site: str) -> tuple[str, str]:
    """Area and stream; the sites of other networks are layers, without a stream ("")."""
    area, _, stream = site.partition("/")
    return area, stream


def _choose_sites(known: tuple[str, ...], sites: str | Iterable[str]) -> tuple[str, ...]:
    items = sites.split(",") if isinstance(sites, str) else list(sites)
    areas = list(dict.fromkeys(_split(site)[0] for site in known))
    picked: set[str] = set()
    for item in (str(i).strip() for i in items):
        if item == "all" or "/" in item:
            picked.update(parse_names([item], known, "site"))
        else:
            of = parse_names([item], areas, "area")
            picked.update(site for site in known if _split(site)[0] in of)
    return tuple(site for site in known if site in picked)


def _steps(array: Any, site: str) -> dict[int, str]:
    if STIMULUS not in array.dims or TIMESTEP not in array.dims or STIMULUS_ID not in array.coords:
        raise StoreError(f"{site} should have dims (stimulus, timestep, unit ...) with stimulus_id; got {array.dims}")
    steps = [int(step) for step in array[TIMESTEP].values]
    if "status" not in array.coords:
        return dict.fromkeys(steps, "active")
    status = [str(s) for s in array["status"].values]
    if not set(status) <= set(STATUSES):
        raise StoreError(f"{site} has the statuses {listed(sorted(set(status)))}; expected {listed(STATUSES)}")
    return dict(zip(steps, status, strict=True))
