"""Little languages: what options and arguments are written in, as texts of one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .stimuli import written
from .target import Target
from .weights import _model


def _lesion(text: str) -> Any:
    from bltvs_neuro import lesion

    with lesion(_model(), text):
        return text


def _reduction(text: str) -> Any:
    from bltvs_neuro.extraction.grammar import parse_reduction

    return repr(parse_reduction(text))


def _areas(text: str) -> Any:
    from bltvs_neuro.schema import parse_names

    return list(parse_names(text, ["Retina", "LGN", "V1", "V2", "LOC"], "area"))


def _timesteps(text: str) -> Any:
    from bltvs_neuro.schema import parse_timesteps

    return list(parse_timesteps(text, 12))


def _site(text: str) -> Any:
    from bltvs_neuro.schema import Site

    return str(Site.parse(text))


def _shard(text: str) -> Any:
    from bltvs_neuro.store import Shard

    return str(Shard.parse(text))


def _memory(text: str) -> Any:
    from bltvs_neuro.options import parse_memory

    return parse_memory(text)


def _timeline(text: str) -> Any:
    from bltvs_neuro.brainscore.subject.timeline import Timeline

    return repr(Timeline.parse(text))


def _alphas(text: str) -> Any:
    from bltvs_neuro.cli.encode import read_alphas

    return read_alphas(text)


def _transform(text: str) -> Any:
    from bltvs_neuro.cli.encode import read_transform

    return repr(read_transform(text, 0))


def _seconds(text: str) -> Any:
    from bltvs_neuro.cli.choices import read_seconds

    return read_seconds(text)


def _options(text: str) -> Any:
    from bltvs_neuro.cli.base import read_pairs

    return read_pairs(text.split())


GRAMMARS: dict[str, tuple[Callable[[str], Any], str]] = {
    "lesion": (_lesion, "bu:LGN->V1@1:=0.5"), "lesion-noise": (_lesion, "V1/td=noise(0.5,seed=3)"),
    "reduce": (_reduction, "project:64"), "reduce-channels": (_reduction, "channels:0,5"),
    "reduce-pca": (_reduction, "pca:10"), "areas": (_areas, "V1:LOC,LGN"), "timesteps": (_timesteps, "0:6"),
    "timesteps-list": (_timesteps, "0,2,5"), "site": (_site, "V4/td"), "shard": (_shard, "2/8"),
    "memory": (_memory, "1.5GiB"), "timeline": (_timeline, "10:20"), "alphas": (_alphas, "1e-2:1e6:20"),
    "transform": (_transform, "pca:100"), "seconds": (_seconds, "50:400ms"), "options": (_options, "key=rdms time=[1,2]"),
}  # fmt: skip
"""Name -> what reads it, and a text that it takes."""


def _target(read: Callable[[str], Any], text: str) -> Target:
    def from_file(path: Path) -> Any:
        return read(path.read_text("utf-8").removesuffix("\n"))

    return Target(written("text.txt", text), from_file, free=("*",), words=True)


TARGETS: dict[str, Target] = {f"text-{name}": _target(read, text) for name, (read, text) in GRAMMARS.items()}
