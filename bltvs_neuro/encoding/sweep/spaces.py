"""Which feature spaces a sweep fits: sites and timesteps of a store, one by one or joined into bands."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, get_args

import numpy as np

from ...errors import SpecError, StoreError, listed, unknown
from ...features.select import Moment, Selection, at_moment, select, split_site, statuses_of
from ...schema import STIMULUS, STIMULUS_ID
from ..solvers.estimators import Over

log = logging.getLogger(__name__)


class Member(NamedTuple):
    """One site at one timestep."""

    site: str
    timestep: int
    band: str

    def __str__(self) -> str:
        return f"{self.site}@{self.timestep}"


class Space(NamedTuple):
    """A feature space: one member, or several in bands."""

    members: tuple[Member, ...]
    labels: dict[str, Any]
    """Of area, stream and timestep, those that all members share."""
    useless: str = ""
    """The band that responses are simulated without, where the space is fitted to such (see :mod:`.useless`)."""

    @property
    def name(self) -> str:
        """For progress, files and messages, for example ``V4/td@3``."""
        joined = " + ".join(str(member) for member in self.members)
        return f"{joined}, simulated without {self.useless}" if self.useless else joined

    def split(self) -> tuple[Space, Space]:
        """All bands, and all but the useless one, to be fitted to the same responses."""
        rest = tuple(member for member in self.members if member.band != self.useless)
        return self._replace(useless=""), Space(rest, self.labels)


def choose_members(acts: Mapping[str, Any], sites: Selection) -> tuple[list[Member], list[str]]:
    """Sites and timesteps with something to fit.

    Parameters
    ----------
    acts : mapping of site to DataArray (stimulus, timestep, *unit dims)
        A store, or a dict.
    sites : str, iterable of str or Select
        See :mod:`bltvs_neuro.features.select`.

    Returns
    -------
    members, left_out
        ``left_out`` names the sites and timesteps that are the same for every stimulus.

    Raises
    ------
    SpecError
        Unknown names, what was named and is constant, or nothing left.
    StoreError
        An array is not of the form a store gives.
    """
    chosen = select(sites, statuses_of(acts), constant=False)
    left_out = [str(one) for one in chosen.left_out]
    if left_out:
        log.warning("left out, the same for every stimulus: %s", listed(left_out))
    return [Member(one.site, one.timestep, "") for one in chosen.moments], left_out


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
    features = at_moment(acts, Moment(member.site, member.timestep))
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
    every = [dict(zip(("area", "stream", "timestep"), (*split_site(m.site), m.timestep), strict=True)) for m in members]
    return {key: every[0][key] for key in every[0] if len({labels[key] for labels in every}) == 1}
