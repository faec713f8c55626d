"""Models under their Brain-Score names, in ``brainscore_vision.model_registry``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...model import Network
from ...model.released.checkpoints import load_model
from ..environment import require

IDENTIFIERS: dict[str, str] = {"blt_vs_imagenet": "imagenet", "blt_vs_ecoset": "ecoset"}
"""Brain-Score identifier -> name of a checkpoint with released weights."""


def register(identifier: str, load: str | Callable[[], Network], **options: Any) -> None:
    """Put a model into ``brainscore_vision.model_registry``; nothing is loaded before it is called for.

    Parameters
    ----------
    identifier : str
        The name. Brain-Score keeps results by it: give other weights another name.
    load : str or callable
        What :func:`bltvs_neuro.load_model` takes as a name, or a function without arguments that returns a model, for
        example with weights of your own: ``lambda: load_model("imagenet", weights="mine.pth")``.
    **options
        Of :func:`bltvs_neuro.brainscore.brain_model`.

    Examples
    --------
    >>> register("my_model", lambda: load_model("imagenet", weights="mine.pth"))  # doctest: +SKIP
    >>> brainscore_vision.model_registry["my_model"]()  # doctest: +SKIP
    """
    require()
    from brainscore_vision import model_registry

    def build() -> Any:
        from .commitment import brain_model

        return brain_model(load_model(load) if isinstance(load, str) else load(), identifier, **options)

    model_registry[identifier] = build


def register_all() -> None:
    """Register the models with released weights."""
    for identifier, name in IDENTIFIERS.items():
        register(identifier, name)
