"""What a reader is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import xarray as xr

Match = Literal[0, 1, 2]
"""How well a reader fits a file: not at all, as a general container, by a signature of its own."""


@dataclass(frozen=True)
class Reader:
    """One format or data set.

    Attributes
    ----------
    name : str
        The name to give as ``format=``.
    kind : "rdms" or "responses"
        What :attr:`read` returns.
    description : str
        One line, for error messages and the documentation.
    sniff : callable
        Path -> :data:`Match`. Looks at headers, and at few values. May take some of the reader's options, such as
        ``stimuli``, that tell what a file holds.
    read : callable
        Path -> labelled data. Its keyword arguments are the options of the format.
    """

    name: str
    kind: Literal["rdms", "responses"]
    description: str
    sniff: Callable[..., Match]
    read: Callable[..., xr.DataArray]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options :attr:`read` takes."""
        return tuple(inspect.signature(self.read).parameters)[1:]

    def match(self, path: Path, options: Mapping[str, Any] | None = None) -> Match:
        """How well the reader fits a file that is to be read with ``options``."""
        takes = inspect.signature(self.sniff).parameters
        return self.sniff(path, **{name: value for name, value in (options or {}).items() if name in takes})
