"""Reductions as text."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import SpecError, unknown
from .projection import Pca, Project
from .reduce import Mean, Pool, Reduction, Select, channels

REDUCTIONS: dict[str, tuple[str, Callable[[str], Reduction]]] = {
    "full": ("full maps", lambda text: _plain(Reduction(), text)),
    "mean": ("mean over space", lambda text: _plain(Mean(), text)),
    "pool": ("average pooling, pool:4 gives 4 x 4 positions", lambda text: Pool(int(text))),
    "project": (
        "sparse random projection, project:2048 or project:2048@SEED",
        lambda text: Project(*_ints(text, "@", 2)),
    ),
    "units": ("random units, units:500 or units:500@SEED", lambda text: Select(None, *_ints(text, "@", 2))),
    "pca": (
        "principal components, pca:100 or pca:100@200 (fitted on 200 of the stimuli)",
        lambda text: Pca(*_ints(text, "@", 2)),
    ),
    "channels": ("chosen channels, channels:0,5,7", lambda text: channels(_ints(text, ","))),
}
"""Name -> description and reader of the text behind the colon: the reductions that the command line knows."""


def parse_reduction(spec: str | Reduction | None) -> Reduction:
    """Turn ``"pool:4"``, a reduction or None (full maps) into a reduction; SpecError for anything else."""
    if spec is None or isinstance(spec, Reduction):
        return spec or Reduction()
    name, _, text = str(spec).partition(":")
    if name not in REDUCTIONS:
        raise unknown("reduction", name, list(REDUCTIONS))
    description, read = REDUCTIONS[name]
    try:
        return read(text)
    except SpecError:
        raise
    except ValueError:
        raise SpecError(f"cannot read the reduction {spec!r}; expected {description}") from None


def _ints(text: str, separator: str, most: int | None = None) -> list[int]:
    numbers = [int(part) for part in text.split(separator)]
    if most is not None and len(numbers) > most:
        raise ValueError
    return numbers


def _plain(reduction: Reduction, text: str) -> Reduction:
    if text:
        raise ValueError
    return reduction
