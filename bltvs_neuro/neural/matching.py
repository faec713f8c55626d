"""Stimulus names that differ only in how they are written: folder, ending, case, zeros before a number.

Nothing here is applied unasked: sets of ids that differ are refused, with the proposal as a hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..errors import DataError, argument, difference, listed

Match = Literal["stem"]
OnMismatch = Literal["raise", "intersect"]

ZEROS = re.compile(r"(?<!\d)(?<!\d\.)0+(?=\d)")
"""Zeros before a whole number: 007, not the decimals of 1.05."""


@dataclass(frozen=True)
class Proposal:
    """Which names of one set may be which of another.

    Attributes
    ----------
    names : dict of str to str
        Name in the data -> name that is wanted; names that are the same are not among them.
    same : int
        Names that both sets have as they are.
    ambiguous : list of str
        A sentence for each name that several could be.
    """

    names: dict[str, str] = field(default_factory=dict)
    same: int = 0
    ambiguous: list[str] = field(default_factory=list)

    @property
    def useful(self) -> bool:
        """Whether it could be applied, and would help."""
        return bool(self.names) and not self.ambiguous


def stem(name: str, *, folder: bool = False) -> str:
    """A name without what is often written differently: the folder unless asked for, the ending of a picture, case, zeros.

    Examples
    --------
    >>> stem("Faces/IMG_007.png"), stem("a.1.JPG"), stem("Faces/7.png", folder=True)
    ('img_7', 'a.1', 'faces/7')
    """
    from ..stimuli.decode import IMAGE_FORMATS, OTHER_PICTURES

    text = name.strip().replace("\\", "/").removeprefix("./").casefold()
    text = text if folder else text.rpartition("/")[2]
    rest, dot, ending = text.rpartition(".")
    if rest and dot + ending in {*IMAGE_FORMATS, *OTHER_PICTURES}:
        text = rest
    return ZEROS.sub("", text)


def propose(names: Iterable[str], wanted: Iterable[str]) -> Proposal:
    """Find for each name the one wanted that it can only be; with their folders where these tell, else without.

    Examples
    --------
    >>> propose(["CAT", "dog_1"], ["pets/cat.png", "pets/dog_01.png"]).names
    {'CAT': 'pets/cat.png', 'dog_1': 'pets/dog_01.png'}
    """
    have, want = list(dict.fromkeys(names)), list(dict.fromkeys(wanted))
    with_folders = _pair(have, want, folder=True)
    if len(with_folders.names) + with_folders.same == min(len(have), len(want)):
        return with_folders
    return _pair(have, want, folder=False)


def _pair(have: Sequence[str], want: Sequence[str], *, folder: bool) -> Proposal:
    ours, theirs = _by_stem(have, folder), _by_stem(want, folder)
    names, ambiguous, same = {}, [], len(set(have) & set(want))
    for key in (key for key in ours if key in theirs and set(ours[key]) != set(theirs[key])):
        if len(ours[key]) == len(theirs[key]) == 1:
            names[ours[key][0]] = theirs[key][0]
        else:
            ambiguous.append(f"{listed(ours[key], 3)} may be {listed(theirs[key], 3)}")
    return Proposal(names, same, ambiguous)


def _by_stem(names: Sequence[str], folder: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(stem(name, folder=folder), []).append(name)
    return found


def check_same_stimuli(a: Iterable[str], b: Iterable[str], in_a: str, in_b: str, on_mismatch: OnMismatch) -> str:
    """How two sets of stimuli differ; "" where they do not.

    Raises
    ------
    DataError
        They differ and shall not, or have nothing in common, with what can be done.
    """
    first, second = list(dict.fromkeys(a)), list(dict.fromkeys(b))
    if set(first) == set(second):
        return ""
    common = set(first) & set(second)
    hint = _hint(first, second)
    if not common:
        raise DataError(
            f"no stimulus of {in_a} is in {in_b}: one of the {len(first)} in {in_a} is {first[0]}, one of the {len(second)} in "
            f"{in_b} is {second[0]}. "
            + (
                hint
                or f"Was the store made of other pictures? If these are theirs, say which is which by a dict or .json file "
                f"({argument('stimuli', 'NAMES')})"
            )
        )
    text = difference("stimuli", first, second, in_a, in_b)
    if on_mismatch == "raise":
        keeps = f"{argument('on_mismatch', 'intersect')} keeps the {len(common)} common stimuli"
        raise DataError(f"{text}. " + (f"{hint}; {keeps}" if hint else keeps))
    return text


def _hint(first: Sequence[str], second: Sequence[str]) -> str:
    """What names alone tell, for an error message."""
    found = propose(second, first)
    if found.ambiguous:
        return f"Names do not tell which is which: {listed(found.ambiguous, 2)}"
    if not found.names:
        return ""
    old, new = next(iter(found.names.items()))
    way = argument("match", "stem")
    way = way if way.startswith("-") else f"match_stimuli ({way})"
    return f"{way} would match {len(found.names)} by name, such as {old} with {new}"
