"""Stores as an analysis is given them."""

from __future__ import annotations

import os
from typing import Any

from ..store import open_store

Activations = Any
"""A store or its path, or a mapping of sites to arrays."""


def store_of(activations: Activations) -> Any:
    """Open the store at a path; whatever else is given stays as it is."""
    return open_store(activations) if isinstance(activations, str | os.PathLike) else activations
