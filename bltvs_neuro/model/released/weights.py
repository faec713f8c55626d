"""Files of weights: reading them without running code, checking them against a model, naming them by their content."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ... import datasets
from ...errors import WeightsError, argument, listed
from ...paths import not_a_file, regular
from .tensors import REMEDY, check_tensors, kind, too_large, why_unread

log = logging.getLogger(__name__)

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
STRAY = ("total_ops", "total_params")
"""Keys that a profiler left in the released files; they are no parameters."""
STATE_DICT = "state_dict"
PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every key."""


def weights_sha256(weights: nn.Module | Mapping[str, Tensor]) -> str:
    """Name weights by their content, the same for every file format, device and memory layout.

    The sha256, hexadecimal, over the keys in sorted order: for each a JSON line ``[key, dtype, shape]`` and the values' bytes
    in row-major order.
    """
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        head = [key, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        digest.update(json.dumps(head).encode() + b"\n")
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_weights(source: Path | bytes, name: str) -> dict[str, Tensor]:
    """Read a state dict, or the ``"state_dict"`` of a training checkpoint, from a file or its content, onto the CPU.

    Errors call it ``name``. Keys that are :data:`STRAY`, and :data:`PREFIXES` that stand before every key, are left out.
    WeightsError for anything but dense tensors of finite numbers; nothing in the file is executed.
    """
    try:
        content = _content(source)
    except WeightsError:
        raise
    except Exception as error:  # the unpickler raises almost anything on a file that is something else
        raise WeightsError(
            f"{name} is no file of weights that can be read without running code from it ({why_unread(error)}); {REMEDY}"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get(STATE_DICT), Mapping):
        content = content[STATE_DICT]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{name} holds a {type(content).__name__} and not a state dict; {REMEDY}")
    other = [
        f"{key} ({type(v).__name__})"
        for key, v in content.items()
        if not (isinstance(v, Tensor) and isinstance(key, str))
    ]
    if other:
        raise WeightsError(
            f"{name} holds what is no named tensor, {listed(other)}, and so is not a state dict; {REMEDY}"
        )
    state = {str(key): value for key, value in content.items() if not any(stray in str(key) for stray in STRAY)}
    for prefix in PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    check_tensors(state, name)
    return state


def _content(source: Path | bytes) -> Any:
    """What a file holds, whatever its name says it is."""
    with io.BytesIO(source) if isinstance(source, bytes) else regular(source).open("rb") as stream:
        is_safetensors = stream.read(9)[8:] == b"{"  # the length of a header in JSON comes first
        stream.seek(0)
        if not is_safetensors:
            return torch.load(stream, map_location="cpu", weights_only=True)
        from safetensors.torch import load

        return load(stream.read())


def fill(model: nn.Module, state: Mapping[str, Tensor], name: str, expected: str) -> None:
    """Load ``state``, called ``name`` in errors, into ``model``: every key and no other, every shape as it is.

    WeightsError where keys, shapes or kinds of numbers differ, and the model is unchanged then. Narrower and wider floats are
    taken, which a warning says where they lose digits.
    """
    own = model.state_dict()
    pairs = {key: (state[key], own[key]) for key in own if key in state}
    found = {
        "keys are missing": [key for key in own if key not in state],
        "keys are unexpected": [key for key in state if key not in own],
        "shapes differ": [
            f"{key} {tuple(a.shape)} instead of {tuple(b.shape)}" for key, (a, b) in pairs.items() if a.shape != b.shape
        ],
        "types differ": [
            f"{key} {a.dtype} instead of {b.dtype}".replace("torch.", "")
            for key, (a, b) in pairs.items() if kind(a.dtype) != kind(b.dtype)
        ],
    }  # fmt: skip
    if not (found["keys are missing"] or found["types differ"]):
        large = [key for key, (a, b) in pairs.items() if too_large(a, b.dtype)]
        found["tensors hold larger numbers than the model can"] = large
    if problems := [f"{len(keys)} {what} ({listed(keys, 3)})" for what, keys in found.items() if keys]:
        raise WeightsError(f"{name} does not fit {expected}: {'; '.join(problems)}")
    wide = [key for key, (a, b) in pairs.items() if a.is_floating_point() and a.itemsize > b.itemsize]
    if wide:
        log.warning("%s: %d tensors are rounded to the model's float32 (%s)", name, len(wide), listed(wide, 3))
    model.load_state_dict(dict(state), strict=True)


def own_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file of one's own: its state dict, and what the provenance says of it."""
    given, path = path, Path(path)
    if why := not_a_file(path) if str(given) else "no file is named":
        raise WeightsError(
            f"{argument('weights', str(given))}: {why}; weights are 'pretrained', 'untrained' or the path of a file "
            f"({', '.join(SUFFIXES)})"
        )
    origin = {"weights": "file", "origin": str(path), "file": path.name, "file_sha256": datasets.sha256_file(path)}
    return read_weights(path, path.name), origin


@contextmanager
def random_weights(seed: int) -> Iterator[None]:
    """Draw from ``seed`` what is constructed here; global random states are as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed every GPU.
        torch.default_generator.manual_seed(seed)
        yield
