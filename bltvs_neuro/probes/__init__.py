"""Probes of a model: what can be decoded from a site over time, and which images drive a unit at a timestep."""

from __future__ import annotations

import importlib
from typing import Any

PUBLIC: dict[str, str] = {
    "CLASSIFIERS": "decoder",
    "Decoding": "result",
    "load_decoding": "result",
    "decode": "decoder",
    "plot_decoding": "figures",
    "plot_generalisation": "figures",
    "drive": "driver",
    "Driven": "driven",
    "plot_driven": "driven",
}
"""Name -> the module that holds it; decoding needs no torch."""

__all__ = sorted(PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{PUBLIC[name]}"), name)
