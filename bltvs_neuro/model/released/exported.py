"""A trained model as a folder: ``model.json`` says what it is, ``weights.safetensors`` holds its weights.

The folder is all that :func:`bltvs_neuro.load_model` needs: architecture, class names in the order of the logits,
transform, how it was trained, and the sha256 of the weights. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...checked import checked, checked_arguments, strict_json
from ...durable import check_outputs, told, write_durably
from ...errors import SpecError, WeightsError, argument, listed, unknown
from ...versions import versions
from ..blt_vs.module import BLT_VS
from ..transform import symmetric
from .hub import MAX_BYTES
from .table import Checkpoint
from .weights import read_weights, weights_sha256

MODEL_JSON = "model.json"
WEIGHTS_FILE = "weights.safetensors"
FORMAT, VERSION = "bltvs_neuro model", 1
ARCHITECTURES: dict[str, type[BLT_VS]] = {"BLT_VS": BLT_VS}
"""Name in ``model.json`` -> class whose keywords are its ``config``."""

MAX_JSON_BYTES = 16 * 2**20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def export_model(
    model: BLT_VS, folder: str | os.PathLike[str], *, name: str, classes: Sequence[str], description: str = "",
    accuracies: Sequence[float] = (), training: Mapping[str, Any] | None = None, overwrite: bool = False,
) -> Path:  # fmt: skip
    """Write a model as a folder that :func:`bltvs_neuro.load_model` takes; returns the folder.

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
        Replace a model that is already there; OutputError otherwise.
    """
    folder = Path(folder)
    classes = [str(class_name) for class_name in classes]
    accuracies = [float(accuracy) for accuracy in accuracies]
    names = [known for known, architecture in ARCHITECTURES.items() if type(model) is architecture]
    if not names:
        raise SpecError(f"a {type(model).__name__} cannot be exported; what can: {listed(ARCHITECTURES)}")
    check_name(name)
    _check_outputs(model, classes, accuracies)
    check_export(folder, overwrite=overwrite)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    bad = [key for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise WeightsError(f"the model holds values that are not finite, in {listed(bad)}; it was not exported")

    from safetensors.torch import save

    content = save(state, metadata={"format": "pt"})
    with told(folder):
        (folder / MODEL_JSON).unlink(missing_ok=True)
    write_durably(folder / WEIGHTS_FILE, content, overwrite=overwrite)
    described = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "description": description,
        "architecture": names[0],
        "config": dict(model.config),
        "classes": classes,
        "transform": model.transform.describe(),
        "accuracies": accuracies,
        "weights": {
            "file": WEIGHTS_FILE,
            "sha256": hashlib.sha256(content).hexdigest(),
            "values_sha256": weights_sha256(state),
        },
        "training": dict(training or {}),
        "versions": versions(),
    }
    text = json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(folder / MODEL_JSON, text.encode(), overwrite=overwrite)
    return folder


def check_export(folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Try, before the work, whether :func:`export_model` can write; OutputError if not."""
    check_outputs(*(Path(folder) / name for name in (MODEL_JSON, WEIGHTS_FILE)), overwrite=overwrite)


def read_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """Read what an exported folder says of itself, not its weights; WeightsError for what is no model of this version."""
    folder = Path(folder)
    path = folder / MODEL_JSON
    if not path.is_file():
        raise WeightsError(f"{folder} has no {MODEL_JSON}: it is not the folder of an exported model")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise WeightsError(f"{path} has {path.stat().st_size:,} bytes; a model's has at most {MAX_JSON_BYTES:,}")
    try:
        data = strict_json(path.read_text("utf-8"))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            got = data.get("format") if isinstance(data, dict) else data
            raise SpecError(f"it is not the description of a bltvs_neuro model; its format is {got!r:.80}")
        if data.get("version") != VERSION or isinstance(data["version"], bool):
            raise SpecError(f"it has version {data.get('version')!r:.80}; this bltvs_neuro reads {VERSION}: update it")
        _check_fields(data)
        config = _config(data)
        checkpoint = Checkpoint(
            name=data["name"],
            description=data["description"],
            repo="",
            filename=data["weights"]["file"],
            revision="",
            config=config,
            classes=tuple(data["classes"]),
            accuracies=tuple(map(float, data["accuracies"])),
            folder=folder,
            file_sha256=data["weights"]["sha256"],
            about={"training": data["training"], "versions": data["versions"]},
        )
    except (SpecError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be used: {str(error) or type(error).__name__}") from None
    expected = symmetric(checkpoint.config["image_size"]).describe()
    if data.get("transform") != expected:
        raise WeightsError(f"{path} has the transform {data.get('transform')}; this bltvs_neuro has {expected}")
    return checkpoint


def read_exported_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Read an exported folder's weights; WeightsError unless they have the sha256 that its ``model.json`` states."""
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
            f"{checkpoint.file_sha256}; copy the folder again, or pass {argument('weights', 'PATH')} with a file you trust"
        )
    return read_weights(content, checkpoint.filename)


_FIELDS: dict[str, type] = {
    "format": str, "version": int, "name": str, "description": str, "architecture": str, "config": dict, "classes": list,
    "transform": dict, "accuracies": list, "weights": dict, "training": dict, "versions": dict,
}  # fmt: skip
"""Key of ``model.json`` -> type of its value."""
_WEIGHTS: dict[str, type] = {"file": str, "sha256": str, "values_sha256": str}


def _check_fields(data: Mapping[str, Any]) -> None:
    """Raise SpecError where a description lacks something or says what cannot be."""
    for fields, where in ((_FIELDS, ""), (_WEIGHTS, "weights.")):
        table = data["weights"] if where else data
        for key in table:
            if key not in fields:
                raise unknown(f"key {where}".strip(), key, list(fields))
        if missing := [f"{where}{key}" for key in fields if key not in table]:
            raise SpecError(f"it lacks {listed(missing)}")
        for key, value in table.items():
            checked(fields[key], value, f"{where}{key}")
    check_name(data["name"])
    filename = data["weights"]["file"]
    if Path(filename).name != filename or not filename.endswith(".safetensors"):
        raise SpecError(f"{filename!r:.120} is not the name of a .safetensors file in the folder")


def check_name(name: str) -> None:
    """Raise SpecError for what cannot be the name of a model."""
    if not _NAME.fullmatch(name):
        raise SpecError(
            f"a model's name has letters, digits, '_', '.' and '-', at most 100, a letter or digit first; got {name!r:.120}"
        )


def _check_outputs(model: BLT_VS, names: Sequence[str], accuracies: Sequence[object]) -> None:
    """Raise SpecError for names that tables could not show or tell apart, or what does not fit the model's logits."""
    odd = [name for name in names if not name.strip() or not name.isprintable()]
    if odd:
        raise SpecError(f"the name of a class is printable and not empty; got {listed(map(ascii, odd))}")
    twice = [name for name, count in Counter(name.strip() for name in names).items() if count > 1]
    if twice:
        raise SpecError(f"every class has a name of its own; {listed(map(repr, twice))} is given twice or more")
    if len(names) != model.num_classes:
        raise SpecError(f"{len(names)} class names for {model.num_classes} logits")
    for value in accuracies:
        if not 0 <= checked(float, value, "an accuracy") <= 100:
            raise SpecError(f"accuracies are in percent, 0 to 100; got {value!r}")
    if accuracies and len(accuracies) != len(model.logit_timesteps):
        outputs = len(model.logit_timesteps)
        raise SpecError(f"{len(accuracies)} accuracies for {outputs} timesteps that have logits")


def _config(data: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of the architecture, tried without any storage so that no file can ask for all memory."""
    name = data["architecture"]
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, list(ARCHITECTURES))
    config = checked_arguments(ARCHITECTURES[name], data["config"], "config.")
    try:
        with torch.device("meta"):
            model = ARCHITECTURES[name](**config)
    except (TypeError, RuntimeError, OverflowError) as error:
        raise SpecError(f"the config is not one of {name}: {str(error).splitlines()[0]}") from None
    size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    if size > MAX_BYTES:
        raise SpecError(f"such a model has {size:,} bytes of weights; at most {MAX_BYTES:,} are read")
    _check_outputs(model, [checked(str, name, "a class name") for name in data["classes"]], data["accuracies"])
    return dict(model.config)
