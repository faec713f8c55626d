"""What a reader is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
        Path -> :data:`Match`. Looks at headers only.
    read : callable
        Path -> labelled data. Its keyword arguments are the options of the format.
    """

    name: str
    kind: Literal["rdms", "responses"]
    description: str
    sniff: Callable[[Path], Match]
    read: Callable[..., xr.DataArray]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options :attr:`read` takes."""
        return tuple(inspect.signature(self.read).parameters)[1:]
