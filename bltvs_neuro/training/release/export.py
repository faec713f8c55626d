"""What is left of a run: the exported model, and what it scores on the test pictures."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from ...errors import DataError, argument
from ...model import BLT_VS
from ...model.released.exported import check_export, export_model
from ...model.released.weights import read_weights
from ...versions import versions
from ..config import TrainingConfig, make_config
from ..evaluation.evaluate import evaluate
from ..pictures.data import open_split
from ..running.build import build_model
from ..running.checkpoint import BEST, read_checkpoint
from ..running.logs import Row


def export_run(folder: Path, target: Path, *, weights: Literal["best", "last"], overwrite: bool = False) -> Path:
    """Export a run, which need not have ended, into the folder ``target``, without evaluating it.

    ``weights`` are ``"best"``, those of the epoch with the lowest validation loss, or ``"last"``, of the last checkpoint.
    """
    check_export(target, overwrite=overwrite)
    state = read_checkpoint(folder)
    config = make_config(state["config"])
    classes = list(state["data"][2])
    model = build_model(config.model, len(classes), config.seed)
    values = state["model"]
    if weights == "best":
        if not (folder / BEST).is_file():
            raise DataError(
                f"no epoch of the run in {folder} has ended yet; {argument('weights', 'last')} takes the last checkpoint"
            )
        values = read_weights(folder / BEST, BEST)
    model.load_state_dict(values)
    history = [dict(row) for row in state["history"]]
    training = _described(config, history, weights, "", None, dict(state["started_from"]))
    return export_model(
        model, target, name=config.name, classes=classes, description=config.description, training=training,
        overwrite=overwrite,
    )  # fmt: skip


def finish(
    config: TrainingConfig, folder: Path, history: Sequence[Row], model: BLT_VS, classes: Sequence[str],
    device: torch.device, started_from: dict[str, Any],
) -> None:  # fmt: skip
    """Evaluate a trained model on the test split and export it into ``folder / "model"``."""
    model.to(device)
    accuracies: list[float] = []
    test = None
    if config.data.test:
        data = open_split(config.data, config.data.test, model.image_size, classes)
        result = evaluate(model, data, batch_size=config.run.val_batch_size, workers=config.run.workers)
        result.write(folder / "evaluation", overwrite=True)
        accuracies = [round(float(value), 4) for value in result.dataset["top1"].values]
        test = {"split": config.data.test, "pictures": len(data), "top1": accuracies}
    computed_on = f"{device.type}, {platform.machine()}"
    training = _described(config, history, config.run.export, computed_on, test, started_from)
    export_model(
        model.cpu(), folder / "model", name=config.name, classes=classes, description=config.description,
        accuracies=accuracies, training=training, overwrite=True,
    )  # fmt: skip


def _described(
    config: TrainingConfig, history: Sequence[Row], weights: str, device: str, test: dict[str, Any] | None,
    started_from: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    return {
        "config": config.to_json(), "epochs": len(history), "images": int(history[-1]["images"]) if history else 0,
        "weights_of": weights, "started_from": started_from, "log": [dict(row) for row in history], "test": test,
        "versions": versions(),
        "computed_on": device,
    }  # fmt: skip
