"""The words of the package as data: dimension names, streams, the site grammar and the selection grammar.

A **site** is an area and a stream, written ``"V4/td"``. A **timestep** is a step of the model, an int from 0.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from .errors import SpecError, unknown

Stream = Literal["bu", "td"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

STIMULUS = "stimulus"
TIMESTEP = "timestep"
STIMULUS_ID = "stimulus_id"
PRESENTATION = "presentation"
NEUROID = "neuroid"
PAIR = "pair"
RDM = "rdm"
SPACE, FOLD, BAND, PART, ROW, AVERAGE = "space", "fold", "band", "part", "row", "average"
"""Dims of encoding: feature spaces, folds, their bands and parts, rows of responses, averages over neuroids."""

NSD_PREFIX = "nsd-"
"""Before the 0-based nsdId in five digits: ids of the Natural Scenes Dataset, of pictures and of responses alike."""

Status = Literal["absent", "active", "constant"]
STATUSES: tuple[Status, ...] = get_args(Status)
"""What a (site, timestep) is: not reached yet, active, or the same for every stimulus."""


class Site(NamedTuple):
    """An area and a stream.

    Examples
    --------
    >>> str(Site("V4", "td"))
    'V4/td'
    >>> Site.parse("V4/td").area
    'V4'
    """

    area: str
    stream: Stream

    def __str__(self) -> str:
        return f"{self.area}/{self.stream}"

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read ``"V4/td"``; raises SpecError when the stream is missing or unknown."""
        area, _, stream = text.partition("/")
        if not area or not stream:
            raise SpecError(f"a site is written area/stream, for example 'V4/td'; got {text!r}")
        if stream not in STREAMS:
            raise unknown("stream", stream, STREAMS)
        return cls(area, stream)  # type: ignore[arg-type]


def spelled_out(spec: object) -> tuple[str, ...]:
    """The items of a selection that were named one by one: no ranges, and not ``"all"``.

    What was named must be there; what lies in a range may be missing.

    Examples
    --------
    >>> spelled_out("V1:V3,LOC"), spelled_out([0, 2]), spelled_out(range(3)), spelled_out("all")
    (('LOC',), ('0', '2'), (), ())
    """
    if spec is None or isinstance(spec, slice | range):
        return ()
    items = spec.split(",") if isinstance(spec, str) else list(spec) if isinstance(spec, Iterable) else [spec]
    texts = (str(item).strip() for item in items)
    return tuple(dict.fromkeys(text for text in texts if text != "all" and ":" not in text))


def parse_names(spec: str | Iterable[str], valid: Sequence[str], what: str) -> tuple[str, ...]:
    """Choose names from an ordered list.

    Parameters
    ----------
    spec : str or iterable of str
        ``"all"``, one name, ``"V1:LOC"`` (both ends included), ``"V1,V4"``, or an iterable of these.
    valid : sequence of str
        The names in order.
    what : str
        What the names are, for the error message.

    Returns
    -------
    tuple of str
        In the order of ``valid``, without repeats.

    Raises
    ------
    SpecError
        An unknown or empty name, or a range that runs backwards.

    Examples
    --------
    >>> parse_names("V1:V3", ["LGN", "V1", "V2", "V3"], "area")
    ('V1', 'V2', 'V3')
    """
    items = spec.split(",") if isinstance(spec, str) else list(spec)
    chosen: set[str] = set()
    for item in (str(i).strip() for i in items):
        if item == "all":
            chosen.update(valid)
        elif ":" in item:
            first, last = (part.strip() for part in item.split(":", 1))
            for name in (first, last):
                if name and name not in valid:
                    raise unknown(what, name, valid)
            start = valid.index(first) if first else 0
            stop = valid.index(last) if last else len(valid) - 1
            if stop < start:
                raise SpecError(f"the {what} range {item!r} runs backwards; the order is {', '.join(valid)}")
            chosen.update(valid[start : stop + 1])
        elif item in valid:
            chosen.add(item)
        else:
            raise unknown(what, item, valid)
    if not chosen:
        raise SpecError(f"no {what} was chosen; valid: {', '.join(valid)}")
    return tuple(name for name in valid if name in chosen)


def parse_timesteps(spec: str | int | slice | Iterable[int], n: int) -> tuple[int, ...]:
    """Choose timesteps of a model with ``n`` of them.

    Parameters
    ----------
    spec : str, int, slice or iterable of int
        ``"all"``, ``"3"``, ``"0:6"`` (Python's half-open range: 0 to 5), ``"0,2,5"``, an int, a slice or ints.
    n : int
        The number of timesteps the model has.

    Returns
    -------
    tuple of int
        Ascending, without repeats.

    Raises
    ------
    SpecError
        A timestep outside 0..n-1, a range that is empty, or text that is no number.

    Examples
    --------
    >>> parse_timesteps("0:3,5", 6)
    (0, 1, 2, 5)
    """
    if isinstance(spec, slice):
        if spec.step not in (None, 1):
            raise SpecError(f"timesteps are ranges of step 1; got {spec}")
        spec = f"{'' if spec.start is None else spec.start}:{'' if spec.stop is None else spec.stop}"
    items: list[object]
    if isinstance(spec, str):
        items = list(spec.split(","))
    elif isinstance(spec, Iterable):
        items = list(spec)
    else:
        items = [spec]
    chosen: set[int] = set()
    for item in items:
        text = str(item).strip()
        try:
            if text == "all":
                chosen.update(range(n))
            elif ":" in text:
                first, last = text.split(":", 1)
                start, stop = int(first or 0), int(last or n)
                if not 0 <= start < stop <= n:
                    raise SpecError(f"timesteps {text!r} are not a range within 0:{n} (this model has {n} timesteps)")
                chosen.update(range(start, stop))
            else:
                step = int(text) if isinstance(item, str) else operator.index(item)  # type: ignore[arg-type]
                if not 0 <= step < n:
                    raise SpecError(f"timestep {step} does not exist; this model has timesteps 0 to {n - 1}")
                chosen.add(step)
        except (ValueError, TypeError) as error:
            if isinstance(error, SpecError):
                raise
            raise SpecError(f"timesteps are written 'all', '0:6' or '0,2,5'; got {text!r}") from None
    if not chosen:
        raise SpecError("no timestep was chosen")
    return tuple(sorted(chosen))
