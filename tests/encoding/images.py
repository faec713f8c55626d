"""Coverage of intervals over images, by fits of plain ridges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from bltvs_neuro.encoding.scores.ceiling import ceiling_influence, noise_ceiling
from bltvs_neuro.encoding.scores.images import influence_of_fold, interval_over_images, make_averages
from bltvs_neuro.encoding.scores.score import r2, read_truth
from bltvs_neuro.features.folds import group_folds
from bltvs_neuro.neural.labelled import make_responses
from tests.calibration.encoding_images import NEW, VOXELS, draw

from .reference import ridge_refit


def averaged(data: dict[str, np.ndarray]) -> np.ndarray:
    """Trials averaged over presentations, (stimulus, voxel)."""
    return np.stack([data["trials"][data["shown"] == i].mean(axis=0) for i in range(len(data["first"]))])


def one_set(design: Any, seed: int) -> dict[str, np.ndarray]:
    """Intervals of score and difference, and the scores of these very fits on new images."""
    data = draw(design, seed)
    y, alpha = averaged(data), float(design.features)
    new = draw(design, seed, data["weights"], NEW)
    truth_new, folds = averaged(new), group_folds(np.arange(design.stimuli), design.folds, seed=seed)
    averages = make_averages(None, np.ones(VOXELS, bool), np.ones(VOXELS, bool), (VOXELS,))
    fold_of = np.zeros(design.stimuli, int)
    influence, score, truth = np.zeros((design.stimuli, 2)), np.zeros(2), np.zeros(2)
    for f, fold in enumerate(folds):
        fold_of[fold.test] = f
        for m, name in enumerate(("first", "second")):
            x = data[name]
            both = ridge_refit(x[fold.train], y[fold.train], np.concatenate([x[fold.test], new[name]]), alpha)
            prediction, elsewhere = both[: len(fold.test)], both[len(fold.test) :]
            found = influence_of_fold(read_truth(y[fold.test]), prediction, fold.test, averages)["r2"]
            influence[fold.test, m] = found.rows[:, 0] / len(folds)
            score[m] += r2(y[fold.test], prediction).mean() / len(folds)
            truth[m] += score_of_blocks(truth_new, elsewhere, len(fold.test)) / len(folds)
    estimates, truths = (np.array([values[0], values[0] - values[1], np.nan]) for values in (score, truth))
    every = np.stack([influence[:, 0], influence[:, 0] - influence[:, 1], 0 * influence[:, 0]], axis=1)
    if max(design.repeats) > 1:
        ids = [f"s{i:03d}" for i in data["shown"]]
        responses = make_responses(data["trials"], ids, neuroid_coords={})
        ceiling = noise_ceiling(responses, "repetition_variance").mean()
        moved = ceiling_influence(responses, averages, np.ones(VOXELS, bool))[1][:, 0]
        estimates[2] = score[0] / ceiling
        every[:, 2] = (influence[:, 0] - estimates[2] * moved) / ceiling
        signal = design.signal * (data["weights"] ** 2).sum(axis=0)
        noise = (1 - design.signal) * np.mean(1 / np.resize(design.repeats, design.stimuli))
        truths[2] = truth[0] / np.mean(signal / (signal + noise))
    low, high = interval_over_images(estimates, every, np.arange(design.stimuli), fold_of)
    return {"low": low, "high": high, "truth": truths}


def score_of_blocks(truth: np.ndarray, prediction: np.ndarray, size: int) -> float:
    """Mean R2 over test sets of ``size`` rows: what a fold's score estimates."""
    y, p = (values[: len(values) // size * size].reshape(-1, size, VOXELS) for values in (truth, prediction))
    whole = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return float(np.mean(1 - ((y - p) ** 2).sum(axis=1) / whole))


def coverage(design: Any, seeds: Iterable[int]) -> dict[str, float]:
    """How often intervals hold the score of the fitted models on new images, and the mean of new fits."""
    every = [one_set(design, seed) for seed in seeds]
    stacked = {key: np.stack([one[key] for one in every]) for key in every[0]}  # (set, quantity)
    low, high, mean = stacked["low"], stacked["high"], stacked["truth"].mean(axis=0)
    given = ((low <= stacked["truth"]) & (stacked["truth"] <= high)).mean(axis=0)
    anew = ((low <= mean) & (mean <= high)).mean(axis=0)
    normalised = given[2] if max(design.repeats) > 1 else np.nan
    return {
        "score": given[0], "difference": given[1], "normalised": normalised, "score anew": anew[0], "difference anew": anew[1],
    }  # fmt: skip
