"""What a submitted plugin runs: build a model from the settings that `bltvs brainscore package` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import WeightsError
from ...model import Network
from ...model.released.checkpoints import load_model
from ..subject.commitment import Commitment, brain_model
from ..subject.timeline import Timeline

OPTIONS = ("regions", "streams", "timestep", "reduce", "readout", "visual_degrees", "batch_size")
"""Keywords of :func:`bltvs_neuro.brainscore.brain_model` that settings may hold."""


def build(identifier: str, settings: Mapping[str, Any], folder: Path) -> Commitment:
    """Build a model of a plugin in ``folder``; WeightsError if its weights cannot be had, or are not those that were packaged.

    ``settings`` hold ``model`` and ``weights`` as for :func:`bltvs_neuro.load_model` (paths below ``folder``), or ``url``
    with ``sha256``; ``weights_sha256``, if known; ``timeline``; any of :data:`OPTIONS`.
    """
    model = _load(settings, folder)
    found, expected = model.provenance["weights_sha256"], settings.get("weights_sha256")
    if expected and found != expected:
        raise WeightsError(f"{identifier} was packaged with the weights {expected}; these are {found}")
    options = {key: settings[key] for key in OPTIONS if key in settings}
    if (stated := folder / "region_layer_map" / f"{identifier}.json").is_file():
        options["regions"] = str(stated)  # Brain-Score may have rewritten it
    if (clock := settings.get("timeline")) is not None:
        clocks = tuple((area, start, step) for area, start, step in clock.get("clocks", ()))
        options["timeline"] = Timeline(clock["start"], clock["step"], tuple(clock["static"]), clocks)
    return brain_model(model, identifier, **options)


def _load(settings: Mapping[str, Any], folder: Path) -> Network:
    name, weights = settings["model"], settings["weights"]
    if settings.get("carried"):
        inside = folder / settings["carried"]
        if inside.is_dir():
            return load_model(inside)
        weights = inside
    elif settings.get("url"):
        weights = fetch(settings["url"], settings["sha256"])
    return load_model(name, weights, seed=settings.get("seed", 0), image_size=settings.get("image_size"))


def fetch(url: str, sha256: str) -> Path:
    """Download weights, once, and check their sha256."""
    import pooch

    from ...datasets import cache_folder

    try:
        return Path(
            pooch.retrieve(
                url, known_hash=f"sha256:{sha256}", path=cache_folder() / "weights", fname=_filename(url, sha256)
            )
        )
    except (ValueError, OSError) as error:
        raise WeightsError(f"cannot fetch the weights {url} with the sha256 {sha256}: {error}") from error


def _filename(url: str, sha256: str) -> str:
    suffix = Path(url.split("?")[0]).suffix or ".pth"
    return f"{sha256[:16]}{suffix}"
