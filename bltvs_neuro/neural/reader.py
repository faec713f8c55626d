"""What a reader is, and what the readers share of choosing by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from ..errors import DataError, SpecError, argument, listed, unknown
from .reading.options import options_of

Match = Literal[0, 1, 2]
"""How well a reader fits a file: not at all, as a general container, by a signature of its own."""


@dataclass(frozen=True)
class Reader:
    """One format or data set.

    ``sniff`` looks at headers and a few values of a path; it may take some of the reader's options, such as ``stimuli``,
    that tell what a file holds. The keyword arguments of ``read`` are the options of the format, and their annotations say
    what they take (:mod:`bltvs_neuro.neural.reading.options`). ``name`` is what ``format=`` takes.
    """

    name: str
    kind: Literal["rdms", "responses"]
    description: str
    sniff: Callable[..., Match]
    read: Callable[..., xr.DataArray]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options :attr:`read` takes."""
        return tuple(options_of(self.read))

    def match(self, path: Path, options: Mapping[str, Any] | None = None) -> Match:
        """How well the reader fits a file that is to be read with ``options``."""
        takes = tuple(inspect.signature(self.sniff).parameters)[1:]
        return self.sniff(path, **{name: value for name, value in (options or {}).items() if name in takes})


NUMBERED = re.compile(r"(?:([A-Za-z]+)-?)?0*(\d+)")
"""A label that is a number, with or without a word before it: sub-01, subj01, CSI1, 01, 1."""


def same_label(have: str, wanted: str) -> bool:
    """Whether two labels of a subject or a session are one: as text, without ``sub-``, or as numbers.

    Examples
    --------
    >>> same_label("sub-01", "1"), same_label("sub-pilot", "pilot"), same_label("sub-01", "P1")
    (True, True, False)
    """
    if have == wanted or have in (f"sub-{wanted}", f"ses-{wanted}"):
        return True
    a, b = NUMBERED.fullmatch(have), NUMBERED.fullmatch(wanted)
    return a is not None and b is not None and a[2] == b[2] and (a[1] == b[1] or None in (a[1], b[1]))


def choose_label(what: str, have: Sequence[str], wanted: str | None, where: object) -> str:
    """The one of ``have`` that ``wanted`` names; the only one when nothing is named, else a DataError or SpecError."""
    if wanted is None:
        if len(have) != 1:
            raise DataError(f"{where} has {listed(have) or f'no {what}s'}: choose one with {argument(what)}")
        return have[0]
    hits = [wanted] if wanted in have else [label for label in have if same_label(label, wanted)]
    if not hits:
        raise unknown(what, wanted, have)
    if len(hits) > 1:
        raise SpecError(f"{what} {wanted!r} may be any of {listed(hits)}: write it out")
    return hits[0]
