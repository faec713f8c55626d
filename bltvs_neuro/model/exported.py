"""A trained model as a folder: ``model.json`` says what it is, ``weights.safetensors`` holds its weights.

The folder is all that :func:`bltvs_neuro.load_model` needs: architecture, class names in the order of the logits,
transform, how it was trained, and the sha256 of the weights. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..durable import write_durably
from ..errors import SpecError, WeightsError, listed
from .blt_vs import BLT_VS
from .checkpoints import Checkpoint
from .hub import MAX_BYTES
from .transform import symmetric
from .weights import read_weights, weights_sha256

MODEL_JSON = "model.json"
WEIGHTS_FILE = "weights.safetensors"
FORMAT, VERSION = "bltvs_neuro model", 1
ARCHITECTURES: dict[str, type[BLT_VS]] = {"BLT_VS": BLT_VS}
"""Name in ``model.json`` -> class whose keywords are its ``config``."""

MAX_JSON_BYTES = 16 * 2**20
MAX_TIMESTEPS = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def export_model(
    model: BLT_VS,
    folder: str | os.PathLike[str],
    *,
    name: str,
    classes: Sequence[str],
    description: str = "",
    accuracies: Sequence[float] = (),
    training: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a model as a folder that :func:`bltvs_neuro.load_model` takes.

    Parameters
    ----------
    model : BLT_VS
    folder : path
        Made if it does not exist. ``model.json`` is written last, so that a folder which has it is whole.
    name : str
        What the model is called in stores: letters, digits, ``_``, ``.`` and ``-``.
    classes : sequence of str, (num_classes,)
        Class names in the order of the logits, no name twice.
    description : str
        One line for people.
    accuracies : sequence of float
        Top-1 accuracy in percent at every timestep that has logits.
    training : mapping, optional
        How the weights came about, JSON-safe.
    overwrite : bool
        Replace a model that is already there.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    SpecError
        Names that do not fit the model, or a folder that already holds a model.
    WeightsError
        The weights hold values that are not finite.
    """
    folder = Path(folder)
    if not _NAME.fullmatch(name):
        raise SpecError(f"a model's name has letters, digits, '_', '.' and '-', at most 100; got {name!r}")
    classes = [str(class_name) for class_name in classes]
    if len(classes) != model.num_classes or len(set(classes)) != len(classes):
        raise SpecError(
            f"a model with {model.num_classes} logits needs as many class names, each once; got {len(classes)} "
            f"({len(set(classes))} different)"
        )
    if (folder / MODEL_JSON).exists() and not overwrite:
        raise SpecError(f"{folder} already holds a model; choose another folder, or overwrite=True")
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    bad = [key for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise WeightsError(f"the model holds values that are not finite, in {listed(bad)}; it was not exported")

    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_JSON).unlink(missing_ok=True)
    content = save(state, metadata={"format": "pt"})
    write_durably(folder / WEIGHTS_FILE, content)
    described = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "description": description,
        "architecture": _architecture_name(model),
        "config": dict(model.config),
        "classes": classes,
        "transform": model.transform.describe(),
        "accuracies": [float(accuracy) for accuracy in accuracies],
        "weights": {
            "file": WEIGHTS_FILE,
            "sha256": hashlib.sha256(content).hexdigest(),
            "values_sha256": weights_sha256(state),
        },
        "training": dict(training or {}),
        "versions": {package: version(package) for package in ("bltvs_neuro", "torch")},
    }
    text = json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(folder / MODEL_JSON, text.encode())
    return folder


def read_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """Read what an exported folder says of itself; the weights are not read yet.

    Raises
    ------
    WeightsError
        No ``model.json``, one that is not a model's, or one that a newer version wrote.
    """
    folder = Path(folder)
    path = folder / MODEL_JSON
    if not path.is_file():
        raise WeightsError(f"{folder} has no {MODEL_JSON}: it is not the folder of an exported model")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise WeightsError(f"{path} has {path.stat().st_size:,} bytes; a model's has at most {MAX_JSON_BYTES:,}")
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["format"] != FORMAT:
            raise WeightsError(
                f"{path} is not the description of a bltvs_neuro model; its format is {data['format']!r}"
            )
        if data["version"] != VERSION:
            raise WeightsError(f"{path} has version {data['version']!r}; this bltvs_neuro reads {VERSION}: update it")
        classes, weights = data["classes"], data["weights"]
        if not (isinstance(classes, list) and all(isinstance(c, str) for c in classes)):
            raise WeightsError(f"{path}: classes must be a list of names")
        if not (isinstance(data["name"], str) and _NAME.fullmatch(data["name"])):
            raise WeightsError(f"{path}: {data['name']!r:.120} cannot be the name of a model")
        filename = str(weights["file"])
        if Path(filename).name != filename or not filename.endswith(".safetensors"):
            raise WeightsError(f"{path}: {filename!r} is not the name of a .safetensors file in the folder")
        checkpoint = Checkpoint(
            name=data["name"],
            description=str(data["description"]),
            repo="",
            filename=filename,
            revision="",
            config=_config(path, data),
            classes=tuple(classes),
            accuracies=tuple(float(accuracy) for accuracy in data["accuracies"]),
            folder=folder,
            file_sha256=str(weights["sha256"]),
            about={"training": data["training"], "versions": data["versions"]},
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise WeightsError(f"{path} is not the description of a model: {type(error).__name__}: {error}") from None
    expected = symmetric(checkpoint.config["image_size"]).describe()
    if data.get("transform") != expected:
        raise WeightsError(f"{path} has the transform {data.get('transform')}; this bltvs_neuro has {expected}")
    return checkpoint


def read_exported_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Read the weights of an exported folder, checked against the sha256 in its ``model.json``.

    Raises
    ------
    WeightsError
        The file is missing, too large, or not the one that was exported.
    """
    assert checkpoint.folder is not None
    path = checkpoint.folder / checkpoint.filename
    if not path.is_file():
        raise WeightsError(f"{checkpoint.folder} has no {checkpoint.filename}; copy the whole folder")
    if path.stat().st_size > MAX_BYTES:
        raise WeightsError(f"{path} has {path.stat().st_size:,} bytes; weights have at most {MAX_BYTES:,}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != checkpoint.file_sha256:
        raise WeightsError(
            f"{path} is not the file that was exported: its sha256 is {found}, that in {MODEL_JSON} is "
            f"{checkpoint.file_sha256}; copy the folder again, or pass weights=PATH with a file you trust"
        )
    return read_weights(content, checkpoint.filename)


def _architecture_name(model: BLT_VS) -> str:
    for name, architecture in ARCHITECTURES.items():
        if type(model) is architecture:
            return name
    raise SpecError(f"a {type(model).__name__} cannot be exported; what can: {listed(ARCHITECTURES)}")


def _config(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of the architecture, tried without any storage so that no file can ask for all memory."""
    name, config = data["architecture"], data["config"]
    if name not in ARCHITECTURES:
        raise WeightsError(f"{path}: unknown architecture {name!r}; valid: {listed(ARCHITECTURES)}")
    if not isinstance(config, dict) or not 0 < int(config.get("timesteps", 1)) <= MAX_TIMESTEPS:
        raise WeightsError(f"{path}: the config is not one of {name} with at most {MAX_TIMESTEPS} timesteps")
    try:
        with torch.device("meta"):
            model = ARCHITECTURES[name](**config)
    except (SpecError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path}: the config is not one of {name}: {error}") from None
    size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    if size > MAX_BYTES:
        raise WeightsError(f"{path}: such a model has {size:,} bytes of weights; at most {MAX_BYTES:,} are read")
    if len(data["classes"]) != model.num_classes:
        raise WeightsError(f"{path}: {len(data['classes'])} class names for {model.num_classes} logits")
    return dict(model.config)
