"""What is fuzzed: name -> a sample, how it is read, and what its bytes vouch for."""

from __future__ import annotations

import fnmatch
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes
    ----------
    make : callable
        Writes the sample into an empty folder and gives the path to read; None where its data are not at hand.
    read : callable
        Reads that path to something that :func:`tests.fuzz.verdict.fingerprint` takes.
    checked : tuple of str
        Patterns of files whose every byte is covered by a checksum: other content must not go unnoticed.
    free : tuple of str
        Patterns of files that hold the labels themselves, or whose content is all that counts: other content may give
        another value.
    named : bool
        The names of files are labels.
    covers : str
        Entry of the package's table that this target stands for, see ``test_fuzz.py``.
    needs : tuple of str
        Optional libraries.
    words : bool
        The file stands for an argument: only its words change, never the file.
    """

    make: Callable[[Path], Path | None]
    read: Callable[[Path], Any]
    checked: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    named: bool = False
    covers: str = ""
    needs: tuple[str, ...] = ()
    words: bool = False

    def lacks(self) -> list[str]:
        """Libraries that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def matches(patterns: tuple[str, ...], file: str) -> bool:
    """Whether a relative path matches one of the patterns."""
    return any(fnmatch.fnmatch(file, pattern) for pattern in patterns)


def all_targets() -> dict[str, Target]:
    """Every target by name."""
    from . import grammars, neural, results, stimuli, weights

    tables = (neural.TARGETS, stimuli.TARGETS, weights.TARGETS, results.TARGETS, grammars.TARGETS)
    found = {name: target for table in tables for name, target in table.items()}
    assert len(found) == sum(map(len, tables)), "two targets have one name"
    return found


def find(name: str) -> Target:
    """A target by name, also one of those that are wrong on purpose (:mod:`.faults`)."""
    from .faults import FAULTS

    return FAULTS[name][0] if name in FAULTS else all_targets()[name]
