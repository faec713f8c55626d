"""The package's exceptions and the few helpers that word them.

Every error a user can meet derives from :class:`BltvsError`; the command line prints it as one sentence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

LONGEST_WORD = 400
"""Characters of a word that a message shows; a path fits, the content of a damaged file does not."""


class BltvsError(Exception):
    """Base of all errors that bltvs_neuro raises on purpose; its text is fit to be shown.

    Messages quote names, cells and other libraries' messages, which a damaged file may fill with anything. What cannot
    be printed is escaped, words beyond :data:`LONGEST_WORD` are cut in the middle, and line breaks become spaces,
    except before an indented line, which belongs to a list.
    """

    def __str__(self) -> str:
        text = re.sub(r"\s*[\n\r]+(?!  \S)", " ", super().__str__().strip())
        text = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: f"{word[0][:100]}…{word[0][-50:]}", text)
        return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class SpecError(BltvsError, ValueError):
    """An argument is not one of the valid choices or has the wrong shape."""


class StimulusError(BltvsError):
    """A stimulus cannot be read, is missing, or two stimuli collide."""


class StimulusWarning(UserWarning):
    """Pictures were left out that somebody may have meant to show."""


class WeightsError(BltvsError):
    """Weights cannot be found, fetched or verified."""


class StoreError(BltvsError):
    """A store is unfinished, damaged, in use, or belongs to another extraction."""


class DataError(BltvsError):
    """Neural data cannot be read, or does not fit what it is compared with."""


class OutputError(BltvsError):
    """An output cannot be written, or what is there would be lost."""


def listed(items: Iterable[object], most: int = 8) -> str:
    """Join ``items`` with commas, cut after ``most`` with a count of the rest."""
    names = [str(item) for item in items]
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


IRREGULAR = (("stimulus", "stimuli"), ("class", "classes"))
"""Nouns whose plural is not made by an s."""
VERBS = {"are": "is", "were": "was", "do": "does", "have": "has"}
"""Verbs whose singular is not made by an s."""


def counted(n: int, what: str, verb: str = "") -> str:
    """Write a count with its noun, and with a verb in the present tense that agrees.

    Examples
    --------
    >>> counted(1, "subject"), counted(3, "subject"), counted(2, "stimulus"), counted(1, "stimuli", "are")
    ('1 subject', '3 subjects', '2 stimuli', '1 stimulus is')
    """
    one, many = next(
        (forms for forms in IRREGULAR if what in forms), (what.removesuffix("s"), what.removesuffix("s") + "s")
    )
    agreed = VERBS.get(verb, f"{verb}s") if n == 1 and verb else verb
    return f"{n} {one if n == 1 else many} {agreed}".rstrip()


def unknown(what: str, got: object, valid: Sequence[object]) -> SpecError:
    """Error for a value that is not among ``valid``, with the nearest valid name when there is one."""
    names = [str(name) for name in valid]
    if not names:
        return SpecError(f"unknown {what} {got!r}; there is none")
    near = difflib.get_close_matches(str(got), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return SpecError(f"unknown {what} {got!r}{hint}; valid: {listed(names, most=24)}")


_flags: list[Mapping[str, str]] = []  # one command holds for all threads of a process


@contextmanager
def spelled_as(flags: Mapping[str, str]) -> Iterator[None]:
    """While this lasts, :func:`argument` names the options of a command.

    Parameters
    ----------
    flags : mapping
        Option of the command by the name of the argument in Python. A key such as ``"resume=False"`` is an option for
        that value. ``"*"`` is the form of every other name, with ``{name}`` in it.
    """
    _flags.append(flags)
    try:
        yield
    finally:
        _flags.pop()


def argument(name: str, value: object = None, *, otherwise: str | None = None) -> str:
    """Name an argument as whoever asked would write it.

    Parameters
    ----------
    name : str
        The argument in Python.
    value : object, optional
        What to set it to. A text in capitals stands for what the user has to fill in and is written without quotes.
    otherwise : str, optional
        What to say in a command that has no such option.

    Examples
    --------
    >>> argument("format", "nsd"), argument("weights", "PATH"), argument("stimuli")
    ("format='nsd'", 'weights=PATH', 'stimuli=')
    >>> with spelled_as({"format": "--format", "resume=False": "--overwrite", "*": "--option {name}="}):
    ...     argument("format", "nsd"), argument("resume", False), argument("key", "rdms"), argument("key")
    ('--format nsd', '--overwrite', '--option key=rdms', '--option key=...')
    """
    if not _flags:
        fill_in = isinstance(value, str) and value.isupper()
        return f"{name}=" + ("" if value is None else str(value) if fill_in else repr(value))
    flags = _flags[-1]
    if otherwise is not None and name not in flags and f"{name}={value}" not in flags:
        return otherwise
    if f"{name}={value}" in flags:
        return flags[f"{name}={value}"]
    flag = flags.get(name, flags.get("*", "{name}=")).format(name=name)
    if flag.endswith("="):
        return flag + ("..." if value is None else str(value))
    return flag if value is None or value is True else f"{flag} {value}"


def difference(what: str, a: Iterable[str], b: Iterable[str], in_a: str, in_b: str) -> str:
    """Say which labels two sets do not share.

    Examples
    --------
    >>> difference("stimuli", ["a", "b", "c"], ["c"], "the store", "the neural data")
    '2 stimuli are in the store but not in the neural data: a, b'
    """
    set_a, set_b = dict.fromkeys(a), dict.fromkeys(b)
    only_a = [x for x in set_a if x not in set_b]
    only_b = [x for x in set_b if x not in set_a]
    parts = []
    for only, here, there in ((only_a, in_a, in_b), (only_b, in_b, in_a)):
        if only:
            parts.append(f"{counted(len(only), what, 'are')} in {here} but not in {there}: {listed(only)}")
    return "; ".join(parts)
