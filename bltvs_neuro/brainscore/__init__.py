"""The edge to Brain-Score: models as its subjects, scores on its benchmarks and on one's own data, submissions.

Importing this package registers ``blt_vs_imagenet`` and ``blt_vs_ecoset`` in ``brainscore_vision.model_registry``, if
brainscore-vision is installed. Nothing else in bltvs_neuro imports it.
"""

from __future__ import annotations

import importlib
from typing import Any

from .environment import BrainScoreError, installed

_PUBLIC: dict[str, str] = {
    "Timeline": "subject.timeline",
    "brain_model": "subject.commitment",
    "local_benchmark": "scores.local",
    "package": "submission.package",
    "check": "submission.check",
    "register": "subject.registry",
    "score": "scores.scoring",
}

__all__ = ["BrainScoreError", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


if installed() and __name__ == "bltvs_neuro.brainscore":  # a copy inside of a plugin registers what the plugin says
    from .subject.registry import register_all

    register_all()
