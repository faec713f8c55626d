"""Accuracy of a model at every timestep, with intervals, confusions and what each picture was taken for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch.utils.data import DataLoader

from ...durable import check_outputs, whole_file, write_durably
from ...errors import DataError, SpecError, counted
from ...figures import Place, save_figure
from ...model.network import Network
from ...options import check_samples
from ...results import Result
from ...schema import STIMULUS, STIMULUS_ID, TIMESTEP
from ...versions import versions
from ..pictures.data import Labelled, PlainPictures

LEVEL = 0.95
OUTPUTS = ("accuracy.csv", "pictures.csv", "confusion.csv", "accuracy.png", "evaluation.json", "evaluation.nc")
SCORES = [f"top{k}{end}" for k in (1, 5) for end in ("", "_ci_low", "_ci_high")]


class Evaluation(Result):
    """What :func:`evaluate` found.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``top1`` and ``top5`` (timestep) with ``top1_ci_low`` and so on, percent; ``top1_gain``, the last timestep's top-1
        minus the first's, with ``gain_ci_low`` and ``gain_ci_high``; ``taken_for`` (stimulus, timestep), the number of the
        class that a picture was taken for, and ``rank`` of its own class from 1, where ties count against it; ``label``
        (stimulus) of its own class; the names in ``class_name``.
    """

    kind = "evaluation"

    def to_frame(self) -> pd.DataFrame:
        """One row per timestep that has logits: accuracies and their intervals, percent."""
        return self.dataset[SCORES].to_dataframe().reset_index()[[TIMESTEP, *SCORES]]

    @property
    def gain(self) -> dict[str, float]:
        """The last timestep's top-1 minus the first's, with its interval (the pictures are the same ones)."""
        names = {"top1_gain": "top1_gain", "ci_low": "gain_ci_low", "ci_high": "gain_ci_high"}
        return {name: float(self.dataset[key]) for name, key in names.items()}

    @property
    def pictures(self) -> pd.DataFrame:
        """One row per picture: its class, and for every timestep the class taken (``as_t0``) and the rank (``rank_t0``)."""
        names = self.dataset["class_name"].values.astype(object)
        label = self.dataset["label"].values
        table = pd.DataFrame({STIMULUS_ID: self.dataset[STIMULUS_ID].values, "class_name": names[label]})
        for at, timestep in enumerate(self.dataset[TIMESTEP].values):
            table[f"as_t{timestep}"] = names[self.dataset["taken_for"].values[:, at]]
            table[f"rank_t{timestep}"] = self.dataset["rank"].values[:, at]
        return table

    @property
    def confusion(self) -> np.ndarray:
        """Pictures of a class (second axis) that were taken for another (third), at every timestep (first)."""
        taken, n = self.dataset["taken_for"].values, self.dataset.sizes["class"]
        counts = np.zeros((taken.shape[1], n, n), np.int64)
        np.add.at(counts, (np.arange(taken.shape[1]), self.dataset["label"].values[:, None], taken), 1)
        return counts

    def plot_accuracy(self, title: str = "", *, ax: Place = None) -> np.ndarray:
        """See :func:`bltvs_neuro.training.evaluation.figure.plot_evaluation`."""
        from .figure import plot_evaluation

        return plot_evaluation(self, title, ax=ax)

    def write(self, folder: str | Path, *, title: str = "", overwrite: bool = False) -> Path:
        """Write the files of :data:`OUTPUTS`, in place of those that are there if ``overwrite``."""
        folder = Path(folder)
        check_evaluation(folder, overwrite=overwrite)
        counts, names = self.confusion, self.dataset["class_name"].values
        rows = np.argwhere(counts)
        confusion = pd.DataFrame(
            {
                TIMESTEP: self.dataset[TIMESTEP].values[rows[:, 0]], "class_name": names[rows[:, 1]],
                "taken_for": names[rows[:, 2]], "pictures": counts[tuple(rows.T)],
            }
        )  # fmt: skip
        tables = {"accuracy.csv": self.to_frame(), "pictures.csv": self.pictures, "confusion.csv": confusion}
        for name, table in tables.items():
            with whole_file(folder / name, overwrite=overwrite) as part:
                table.to_csv(part, index=False, float_format="%.6g")
        save_figure(self.plot_accuracy(title), folder / "accuracy.png", dpi=200, overwrite=overwrite)
        self.save(folder / "evaluation.nc", overwrite=overwrite)
        accuracy = self.to_frame().to_dict("records")
        said = {"accuracy": [_plain(row) for row in accuracy], "gain": _plain(self.gain), "provenance": self.provenance}
        text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
        write_durably(folder / "evaluation.json", text.encode(), overwrite=overwrite)
        return folder


def check_evaluation(folder: str | Path, *, overwrite: bool = False) -> None:
    """Try, before the work, whether :meth:`Evaluation.write` can write; OutputError if not."""
    check_outputs(*(Path(folder) / name for name in OUTPUTS), overwrite=overwrite)


def evaluate(
    model: Network, data: Labelled, *, batch_size: int = 32, workers: int = 0, bootstrap: int = 1000, seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:  # fmt: skip
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
        raise SpecError(
            f"the data have {counted(len(data.classes), 'classes')} and the model {model.num_classes} logits"
        )
    check_samples("bootstrap", bootstrap, least=1)
    taken, rank = _classified(model, data, batch_size, workers, progress)
    rng = np.random.default_rng(seed)
    scores: dict[str, Any] = {}
    for k in (1, 5):
        low, high, _ = _intervals(rank <= k, bootstrap, rng)
        scores |= {f"top{k}": 100 * (rank <= k).mean(axis=0), f"top{k}_ci_low": low, f"top{k}_ci_high": high}
    *_, (low_gain, high_gain) = _intervals(rank <= 1, bootstrap, rng)
    each = (STIMULUS, TIMESTEP)
    dataset = xr.Dataset(
        {
            **{name: (TIMESTEP, values) for name, values in scores.items()},
            "top1_gain": scores["top1"][-1] - scores["top1"][0], "gain_ci_low": low_gain, "gain_ci_high": high_gain,
            "taken_for": (each, taken), "rank": (each, rank), "label": (STIMULUS, data.labels),
        },
        {
            TIMESTEP: list(timesteps), STIMULUS_ID: (STIMULUS, np.array(data.stimuli.ids, dtype=str)),
            "class_name": ("class", np.array(data.classes, dtype=str)),
        },
    )  # fmt: skip
    device = str(next(model.parameters()).device)
    provenance = {
        "model": dict(model.provenance),
        "pictures": {**data.stimuli.source, "n": len(data)},
        "options": {
            "bootstrap": bootstrap, "seed": seed, "level": LEVEL, "precision": "float32", "device": device,
        },
        "versions": versions(),
    }  # fmt: skip
    return Evaluation(dataset, provenance)


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


def _plain(row: dict[Any, Any]) -> dict[Any, Any]:
    """A row as JSON has it: what is undefined is null."""
    return {key: None if value != value else value for key, value in row.items()}


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
