"""What is left of a run: the exported model, and what it scores on the test pictures."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from ..model import BLT_VS
from ..model.exported import export_model
from .config import TrainingConfig
from .data import open_split
from .evaluate import evaluate
from .logs import Row


def finish(
    config: TrainingConfig,
    folder: Path,
    history: Sequence[Row],
    model: BLT_VS,
    classes: Sequence[str],
    device: torch.device,
) -> None:
    """Evaluate a trained model on the test split and export it into ``folder / "model"``."""
    model.to(device)
    accuracies: list[float] = []
    test = None
    if config.data.test:
        data = open_split(config.data, config.data.test, model.image_size, classes)
        result = evaluate(model, data, batch_size=config.run.val_batch_size, workers=config.run.workers)
        result.save(folder / "evaluation")
        accuracies = [round(float(value), 4) for value in result.table["top1"]]
        test = {"split": config.data.test, "pictures": len(data), "top1": accuracies}
    training = {
        "config": config.to_json(),
        "epochs": len(history),
        "images": int(history[-1]["images"]) if history else 0,
        "weights_of": config.run.export,
        "log": [dict(row) for row in history],
        "test": test,
        "versions": {
            package: version(package) for package in ("bltvs_neuro", "torch", "torchvision", "numpy", "pillow")
        },
        "computed_on": f"{device.type}, {platform.machine()}",
    }
    export_model(
        model.cpu(), folder / "model", name=config.name, classes=classes, description=config.description,
        accuracies=accuracies, training=training, overwrite=True,
    )  # fmt: skip
