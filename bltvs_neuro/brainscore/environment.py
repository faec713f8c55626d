"""What Brain-Score needs around it: that it is installed, and that loading a plugin never runs pip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from ..errors import BltvsError

INSTALL = "pip install 'bltvs_neuro[brainscore]'"


class BrainScoreError(BltvsError):
    """Brain-Score is missing, or something it needs is."""


def installed() -> bool:
    """Whether brainscore-vision is there."""
    return find_spec("brainscore_vision") is not None


def require() -> None:
    """Raise BrainScoreError, with what to install, unless brainscore-vision is there."""
    if not installed():
        raise BrainScoreError(f"this needs brainscore-vision, which is not installed: {INSTALL}")


@contextmanager
def no_installing() -> Iterator[None]:
    """Keep Brain-Score from running pip, silently, for every plugin it loads (its default)."""
    name = "BS_INSTALL_DEPENDENCIES"
    before = os.environ.get(name)
    os.environ[name] = "no"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
