"""Accuracy of a model at every timestep, with intervals, confusions and what each picture was taken for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from ...durable import check_outputs, whole_file, write_durably
from ...errors import DataError, SpecError
from ...model.network import Network
from ...options import check_samples
from ..pictures.data import Labelled, PlainPictures

LEVEL = 0.95
OUTPUTS = ("accuracy.csv", "pictures.csv", "confusion.csv", "accuracy.png", "evaluation.json")


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes
    ----------
    table : DataFrame
        One row per timestep that has logits: timestep, top1, top1_ci_low, top1_ci_high, top5, top5_ci_low, top5_ci_high; percent.
    gain : DataFrame
        One row: the last timestep's top-1 minus the first's, with its interval (the pictures are the same ones).
    pictures : DataFrame
        One row per picture: stimulus_id, class_name, and for every timestep the class it was taken for (``as_t0``) and
        the rank of its own class from 1 (``rank_t0``); ties count against it.
    confusion : int array (timesteps, classes, classes)
        Pictures of a class (second axis) that were taken for another (third).
    classes : tuple of str
    provenance : dict
        Model, weights, pictures, options, versions; JSON-safe.
    """

    table: pd.DataFrame
    gain: pd.DataFrame
    pictures: pd.DataFrame
    confusion: np.ndarray
    classes: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: str | Path, *, title: str = "", overwrite: bool = False) -> Path:
        """Write the files of :data:`OUTPUTS`, in place of those that are there if ``overwrite``."""
        from .figure import plot_evaluation

        folder = Path(folder)
        check_evaluation(folder, overwrite=overwrite)
        rows = np.argwhere(self.confusion)
        names = np.array(self.classes, dtype=object)
        confusion = pd.DataFrame(
            {
                "timestep": self.table["timestep"].to_numpy()[rows[:, 0]], "class_name": names[rows[:, 1]],
                "taken_for": names[rows[:, 2]], "pictures": self.confusion[tuple(rows.T)],
            }
        )  # fmt: skip
        tables = {"accuracy.csv": self.table, "pictures.csv": self.pictures, "confusion.csv": confusion}
        for name, table in tables.items():
            with whole_file(folder / name, overwrite=overwrite) as part:
                table.to_csv(part, index=False, float_format="%.6g")
        with whole_file(folder / "accuracy.png", overwrite=overwrite) as part:
            plot_evaluation(self, title).savefig(part, dpi=150)
        said = {"accuracy": _plain(self.table), "gain": _plain(self.gain)[0], "provenance": self.provenance}
        text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
        write_durably(folder / "evaluation.json", text.encode(), overwrite=overwrite)
        return folder


def check_evaluation(folder: str | Path, *, overwrite: bool = False) -> None:
    """Try, before the work, whether :meth:`Evaluation.save` can write; OutputError if not."""
    check_outputs(*(Path(folder) / name for name in OUTPUTS), overwrite=overwrite)


def evaluate(
    model: Network,
    data: Labelled,
    *,
    batch_size: int = 32,
    workers: int = 0,
    bootstrap: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Classify labelled pictures at every timestep, in float32.

    Parameters
    ----------
    model : Network
        On the device where it shall compute; put into eval mode.
    data : Labelled
        Its classes are those of the model's logits, in the same order.
    bootstrap : int
        Samples of the pictures for the 95 % percentile intervals.
    seed : int
        Seed of these samples.
    progress : callable, optional
        Receives the number of pictures that are done, and of all.

    Raises
    ------
    SpecError
        As many classes as the model has not, or no timestep with logits.
    DataError
        Logits that are not finite.
    """
    timesteps = model.logit_timesteps
    if not timesteps:
        raise SpecError(f"no activity reaches the readout within {model.timesteps} timesteps")
    if len(data.classes) != model.num_classes:
        raise SpecError(f"the data have {len(data.classes)} classes and the model {model.num_classes} logits")
    check_samples("bootstrap", bootstrap, least=1)
    taken, rank = _classified(model, data, batch_size, workers, progress)
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"timestep": timesteps})
    for k in (1, 5):
        low, high, _ = _intervals(rank <= k, bootstrap, rng)
        table[f"top{k}"], table[f"top{k}_ci_low"], table[f"top{k}_ci_high"] = 100 * (rank <= k).mean(axis=0), low, high
    *_, (low_gain, high_gain) = _intervals(rank <= 1, bootstrap, rng)
    top1 = table["top1"]
    gain = pd.DataFrame([{"top1_gain": top1.iloc[-1] - top1.iloc[0], "ci_low": low_gain, "ci_high": high_gain}])
    names = np.array(data.classes, dtype=object)
    pictures = pd.DataFrame({"stimulus_id": data.stimuli.ids, "class_name": names[data.labels]})
    confusion = np.zeros((len(timesteps), len(names), len(names)), np.int64)
    for at, timestep in enumerate(timesteps):
        pictures[f"as_t{timestep}"], pictures[f"rank_t{timestep}"] = names[taken[:, at]], rank[:, at]
        np.add.at(confusion[at], (data.labels, taken[:, at]), 1)
    device = str(next(model.parameters()).device)
    provenance = {
        "model": dict(model.provenance),
        "pictures": {**data.stimuli.source, "n": len(data)},
        "options": {
            "bootstrap": bootstrap, "seed": seed, "level": LEVEL, "precision": "float32", "device": device,
        },
        "versions": {package: version(package) for package in ("bltvs_neuro", "torch", "numpy", "pillow")},
    }  # fmt: skip
    return Evaluation(table, gain, pictures, confusion, tuple(data.classes), provenance)


@torch.no_grad()
def _classified(
    model: Network, data: Labelled, batch_size: int, workers: int, progress: Callable[[int, int], None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The class that every picture is taken for, and the rank of its own from 1: (n, timesteps) each."""
    model.eval()
    device = next(model.parameters()).device
    loader = DataLoader(PlainPictures(data, model.transform), batch_size, num_workers=workers)
    guesses, ranks, done = [], [], 0
    for pixels, labels in loader:
        outputs = model(model.transform.scale(pixels.to(device)))
        logits = torch.stack([output.float() for output in outputs], dim=1)  # (B, T, classes)
        if not bool(torch.isfinite(logits).all()):
            first = data.stimuli.ids[done]
            raise DataError(f"the model's logits are not finite in the batch that begins with {first!r}")
        own = logits.gather(2, labels.to(device)[:, None, None].expand(-1, logits.shape[1], 1))
        ranks.append((logits >= own).sum(dim=2).cpu().numpy())
        guesses.append(logits.argmax(dim=2).cpu().numpy())
        done += len(labels)
        if progress:
            progress(done, len(data))
    return np.concatenate(guesses), np.concatenate(ranks)


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: what is undefined is null."""
    return [{k: None if v != v else v for k, v in row.items()} for row in table.to_dict("records")]  # type: ignore[misc]


def _intervals(
    correct: np.ndarray, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Percentile intervals, in percent, of means over pictures (n, timesteps) and of the last minus the first; NaN for one."""
    if len(correct) < 2:  # a single picture says nothing of others
        nothing = np.full(correct.shape[1], np.nan)
        return nothing, nothing, (np.nan, np.nan)
    patterns, counts = np.unique(correct, axis=0, return_counts=True)
    drawn = rng.multinomial(len(correct), counts / len(correct), size=samples)  # (samples, patterns)
    means = 100 * drawn @ patterns / len(correct)  # (samples, timesteps)
    tails = [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2]
    low, high = np.percentile(means, tails, axis=0)
    gain = np.percentile(means[:, -1] - means[:, 0], tails)
    return low, high, (float(gain[0]), float(gain[1]))
