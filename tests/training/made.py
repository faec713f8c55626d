"""A run so small that it takes seconds."""

from __future__ import annotations

import copy
from typing import Any

TINY: dict[str, Any] = {
    "name": "tiny",
    "model": {
        "architecture": "BLT_VS", "image_size": 128, "timesteps": 2, "bio_unroll": False, "width": 0.04, "add_feats": 2,
    },
    "data": {"source": "shapes", "n_train": 46, "n_val": 12, "n_test": 12},
    "augment": {"crop": "random", "blur": 0.0, "flip": 0.5, "trivial": True},
    "optimizer": {"warmup_epochs": 2, "clip_by": "unit"},
    "run": {"batch_size": 4, "epochs": 2, "epoch_size": 80, "val_batch_size": 12, "device": "cpu", "workers": 0},
}  # fmt: skip


def tiny(**changes: Any) -> dict[str, Any]:
    """The tiny run with changes such as ``run={"epochs": 3}``."""
    data = copy.deepcopy(TINY)
    for key, value in changes.items():
        data[key] = {**data[key], **value} if isinstance(value, dict) else value
    return data


def toml(data: dict[str, Any]) -> str:
    """As a TOML file."""

    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')

    lines = [f"{key} = {text(value)}" for key, value in data.items() if not isinstance(value, dict)]
    for key, table in data.items():
        if isinstance(table, dict):
            lines += [f"[{key}]", *(f"{name} = {text(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"
