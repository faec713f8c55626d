"""Checkpoints of a run: whole or not at all, read without running code from them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from ...durable import write_durably
from ...errors import DataError, SpecError, argument, listed
from ...model.released.tensors import why_unread
from ..config import FREE, TrainingConfig, flatten

CHECKPOINT = "checkpoint.pt"
BEST = "best.safetensors"
VERSION = 1


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the state of a run; an earlier one stays until this one is whole on the disk."""
    buffer = io.BytesIO()
    torch.save({"version": VERSION, **state}, buffer)
    write_durably(folder / CHECKPOINT, buffer.getvalue(), overwrite=True)


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Read the state of a run onto the CPU; DataError where none of this version can be read."""
    path = folder / CHECKPOINT
    if not path.is_file():
        what = f"{folder} holds no {CHECKPOINT}" if folder.is_dir() else f"there is no folder {folder}"
        raise DataError(f"{what}: a run that `bltvs train` has begun, and that has saved its first checkpoint, has one")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises almost anything on a file that is something else
        raise DataError(f"{path} is no checkpoint that can be read ({why_unread(error)})") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise DataError(f"{path} is no checkpoint of version {VERSION}")
    return state


def check_same_run(config: TrainingConfig, saved: dict[str, Any], folder: Path) -> None:
    """Raise SpecError, with every key that differs, for a config that would have given other numbers."""
    mine, theirs = flatten(config.to_json()), flatten(saved)
    different = [
        f"{key} was {theirs.get(key)!r} and is {mine.get(key)!r}"
        for key in dict.fromkeys([*theirs, *mine])
        if key not in FREE and mine.get(key) != theirs.get(key)
    ]
    if different:
        raise SpecError(
            f"the run in {folder} has another config: {listed(different)}; choose another folder, or replace it by "
            f"{argument('overwrite', True)}"
        )
