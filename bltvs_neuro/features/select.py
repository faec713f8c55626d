"""Which sites at which timesteps: one grammar, and one set of errors, for models and for stores.

A selection is text, or several texts: ``"V4"`` is both streams of an area, ``"V1:LOC"`` a range of areas with both ends,
``"V4/td"`` a site, ``"V4/td@3"`` a site at a timestep, ``"V1:LOC/td@0:6"`` all of these at once, ``"all"`` everything.
Commas join selections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..errors import SpecError, StoreError, listed, unknown
from ..schema import STATUSES, STIMULUS, STIMULUS_ID, TIMESTEP, Status, parse_names, parse_timesteps, spelled_out

Timesteps = str | int | slice | Iterable[int]
Statuses = Mapping[int, Status]
"""What each timestep of a site is."""


@dataclass(frozen=True)
class Select:
    """Which activations.

    Parameters
    ----------
    areas : str or iterable of str, optional
        ``all``, an area (``V4``), a range with both ends (``V1:LOC``), a site (``V4/td``), a site at a timestep
        (``V4/td@3``), or several of these with commas. Default: all of a store, and of a
        model its usual areas (V1 to LOC of BLT_VS).
    streams : str or iterable of str
        ``all``, ``bu`` (bottom-up) or ``td`` (top-down): of what ``areas`` chooses, keep only these.
    timesteps : str, int, slice or iterable of int
        ``all``, ``3``, ``0:6`` (0 to 5) or ``0,2,5``, of the sites that do not say their own with ``@``.

    Examples
    --------
    >>> Select("V1:LOC", streams="td", timesteps="2:")
    Select(areas='V1:LOC', streams='td', timesteps='2:')
    """

    areas: str | Iterable[str] | None = None
    streams: str | Iterable[str] = "all"
    timesteps: Timesteps = "all"

    @classmethod
    def read(cls, selection: Selection, usual: str | Iterable[str] = "all") -> Select:
        """A selection as it is, or from text; ``usual`` areas where it names none."""
        found = selection if isinstance(selection, Select) else cls(selection)
        return found if found.areas is not None else replace(found, areas=usual)


Selection = str | Iterable[str] | Select
"""What functions take as ``sites=``: text of the grammar, several of them, or a :class:`Select`."""


class Moment(NamedTuple):
    """One site at one timestep.

    Examples
    --------
    >>> str(Moment("V4/td", 3))
    'V4/td@3'
    """

    site: str
    timestep: int

    def __str__(self) -> str:
        return f"{self.site}@{self.timestep}"

    @property
    def labels(self) -> dict[str, Any]:
        """Its area, stream and timestep."""
        area, stream = split_site(self.site)
        return {"area": area, "stream": stream, "timestep": self.timestep}


class Selected(NamedTuple):
    """What was chosen."""

    moments: tuple[Moment, ...]
    """In the order of the sites, timesteps ascending."""
    left_out: tuple[Moment, ...]
    """Chosen by a range or ``"all"``, but the same for every stimulus."""


def split_site(site: str) -> tuple[str, str]:
    """Area and stream; ``""`` where a network's layers have no streams."""
    area, _, stream = site.partition("/")
    return area, stream


def select(
    sites: Selection, known: Mapping[str, Statuses], *, constant: bool = True, steps: int | None = None
) -> Selected:
    """Choose among the sites and timesteps that there are.

    Parameters
    ----------
    sites : str, iterable of str or Select
    known : mapping of site to {timestep: status}
        What there is, in order; see :func:`statuses_of`.
    constant : bool
        Whether states that are the same for every stimulus are wanted. Otherwise they are left out, and refused where
        nothing else is left of a selection that was asked for by name.
    steps : int, optional
        Number of timesteps that there are; up to the last of ``known`` unless given.

    Raises
    ------
    SpecError
        An area, stream, site or timestep that does not exist, or a selection of which nothing exists.

    Examples
    --------
    >>> known = {"V1/bu": {0: "active", 1: "active"}, "V1/td": {0: "constant", 1: "active"}}
    >>> [str(moment) for moment in select("V1/bu@0,V1/td", known, constant=False).moments]
    ['V1/bu@0', 'V1/td@1']
    """
    if not known:
        raise StoreError("there are no sites to choose from")
    asked = Select.read(sites)
    assert asked.areas is not None
    own = tuple(dict.fromkeys(stream for _, stream in map(split_site, known) if stream))
    kept = {*parse_names(asked.streams, own, "stream"), ""} if own else {""}
    last = steps or 1 + max((step for statuses in known.values() for step in statuses), default=-1)
    everywhere = parse_timesteps(asked.timesteps, last)
    picked: set[Moment] = set()
    dropped: set[Moment] = set()
    for item in _items(asked.areas):
        names, sign, at = item.partition("@")
        wanted = parse_timesteps(at, last) if sign else everywhere
        chosen = [site for site in _sites(names, known) if split_site(site)[1] in kept]
        there = [
            Moment(site, step) for site in chosen for step in wanted if known[site].get(step, "absent") != "absent"
        ]
        same = [] if constant else [one for one in there if known[one.site][one.timestep] == "constant"]
        left = [one for one in there if one not in set(same)]
        by_range = names == "all" or ":" in names
        if not left and not by_range:
            raise _nothing(item, chosen, wanted, same, known, kept)
        if same and (at or asked.timesteps != "all") and not by_range:
            raise _nothing(item, sorted({one.site for one in same}), [one.timestep for one in same], same, known, kept)
        picked.update(left)
        dropped.update(same)
    order = [Moment(site, step) for site, statuses in known.items() for step in sorted(statuses)]
    moments = tuple(one for one in order if one in picked)
    left_out = tuple(one for one in order if one in dropped - picked)
    if not moments:
        if left_out:
            raise SpecError(f"{listed(left_out)} are the same for every stimulus: choose other sites or timesteps")
        raise _nothing(", ".join(_items(asked.areas)), list(known), everywhere, [], known, kept)
    _check_named(asked, moments, known)
    return Selected(moments, left_out)


def _check_named(asked: Select, moments: Sequence[Moment], known: Mapping[str, Statuses]) -> None:
    """Refuse a selection of which a stream or timestep that was named is nowhere; ranges may reach further than there is."""
    found = {"stream": {split_site(one.site)[1] for one in moments}, "timestep": {str(one.timestep) for one in moments}}
    for what, names in (("stream", asked.streams), ("timestep", asked.timesteps)):
        gone = [name for name in spelled_out(names) if name not in found[what]]
        if gone and "" not in found[what]:  # layers without streams are taken whatever the stream
            active = "; ".join(f"{site} at {_active(known[site])}" for site in by_site(moments))
            raise SpecError(f"nothing that was chosen has {what} {listed(gone)}; active are {active}")


def chosen_areas(asked: Select, areas: Sequence[str]) -> tuple[str, ...]:
    """The areas that a selection names or ranges over, whatever is there of them."""
    named = (item.partition("@")[0].partition("/")[0] for item in _items(asked.areas or "all"))
    return parse_names(list(named), areas, "area")


def by_site(moments: Iterable[Moment]) -> dict[str, tuple[int, ...]]:
    """The timesteps of each site."""
    grouped: dict[str, list[int]] = {}
    for one in moments:
        grouped.setdefault(one.site, []).append(one.timestep)
    return {site: tuple(steps) for site, steps in grouped.items()}


def statuses_of(acts: Mapping[str, Any]) -> dict[str, dict[int, Status]]:
    """What each site of a store, or of a dict of labelled arrays, has at which timestep; StoreError for unlabelled ones."""
    found: dict[str, dict[int, Status]] = {}
    for site in acts:
        array = acts[site]
        if STIMULUS not in array.dims or TIMESTEP not in array.dims or STIMULUS_ID not in array.coords:
            raise StoreError(
                f"{site} should have dims (stimulus, timestep, unit ...) with stimulus_id; got {tuple(array.dims)}"
            )
        n = array.sizes[TIMESTEP]
        steps = [int(step) for step in array[TIMESTEP].values] if TIMESTEP in array.coords else range(n)
        status = [str(s) for s in array["status"].values] if "status" in array.coords else ["active"] * n
        if not set(status) <= set(STATUSES):
            raise StoreError(f"{site} has the statuses {listed(sorted(set(status)))}; expected {listed(STATUSES)}")
        found[str(site)] = dict(zip(steps, status, strict=True))  # type: ignore[arg-type]
    return found


def at_moment(acts: Mapping[str, Any], moment: Moment) -> Any:
    """The lazy activations of a site at a timestep: (stimulus, *unit dims)."""
    array = acts[moment.site]
    steps = array[TIMESTEP].values.tolist() if TIMESTEP in array.coords else list(range(array.sizes[TIMESTEP]))
    return array.isel({TIMESTEP: steps.index(moment.timestep)})


def _items(sites: str | Iterable[str]) -> Iterator[str]:
    texts = [sites] if isinstance(sites, str) else [str(site) for site in sites]
    parts = [part.strip() for text in texts for part in text.split(",")]
    if not any(parts):
        raise SpecError("no site was chosen; write 'all', 'V1:LOC', 'V4/td' or 'V4/td@3'")
    empty = [part for part in parts if not part]
    if empty:
        raise SpecError(f"a name is missing between the commas of {listed(texts)}")
    yield from parts


def _sites(names: str, known: Mapping[str, Statuses]) -> list[str]:
    """Sites that ``AREA``, ``AREA:AREA``, ``AREA/STREAM``, ``AREA:AREA/STREAM`` or the name of a site stand for."""
    if names in known:
        return [names]
    of, slash, stream = names.partition("/")
    areas = list(dict.fromkeys(split_site(site)[0] for site in known))
    if slash:
        streams = list(dict.fromkeys(own for _, own in map(split_site, known) if own))
        if stream not in streams:
            raise (
                unknown("stream", stream, streams)
                if streams
                else SpecError(f"{names!r}: these sites have no streams; valid: {listed(known, most=24)}")
            )
    wanted = parse_names(of, areas, "area")
    return [site for site in known if split_site(site)[0] in wanted and (not slash or split_site(site)[1] == stream)]


def _nothing(
    item: str, sites: Sequence[str], steps: Sequence[int], same: Sequence[Moment], known: Mapping[str, Statuses],
    kept: Iterable[str],
) -> SpecError:  # fmt: skip
    """Why a selection is empty, with where there is activity."""
    if not sites:
        own = {stream for _, stream in map(split_site, known) if stream}
        why = (
            f"{item!r} has no stream {listed(sorted(filter(None, kept)))}"
            if own - set(kept)
            else f"there is no {item!r}"
        )
        return SpecError(f"{why}; sites: {listed(known, most=24)}")
    why = "the same for every stimulus" if same else "not active"
    active = "; ".join(f"{site} at {_active(known[site])}" for site in list(sites)[:8])
    return SpecError(f"{item!r} is {why} at timesteps {listed(steps)}; active are {active}")


def _active(statuses: Statuses) -> str:
    return listed(step for step, status in statuses.items() if status == "active") or "none"
