"""Noise ceilings against the truth, and normalised scores of a perfect model: under a minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

VOXELS, SEEDS = 1500, range(20_000, 20_004)  # held out: whatever was tried used seeds below 1000


@dataclass(frozen=True)
class Design:
    """Stimuli, presentations of each, the share of variance of one presentation that is signal, and sessions."""

    name: str
    repeats: tuple[int, ...]
    """How many presentations the stimuli have, in turn."""
    share: float
    stimuli: int = 100
    silent: float = 0.0
    """Share of voxels without any signal."""
    sessions: int = 0
    """0: no session is known and nothing is shifted."""
    within: bool = True
    """Whether all presentations of a stimulus lie in one session."""
    offset: float = 0.0
    """Standard deviation of a session's offset, in standard deviations of a presentation."""


DESIGNS = (
    Design("3 presentations", (3,), 0.3),
    Design("1 to 4 presentations", (1, 1, 2, 4), 0.4),
    Design("half of the stimuli once", (1, 2), 0.5),
    Design("60 stimuli, half of the voxels silent", (2,), 0.3, stimuli=60, silent=0.5),
    Design("session offsets, no signal, repeats within a session", (3,), 0.0, sessions=5, offset=0.7),
    Design("session offsets, repeats within a session", (3,), 0.3, sessions=5, offset=0.7),
    Design("session offsets, repeats in different sessions", (3,), 0.3, sessions=5, within=False, offset=0.7),
    Design("session offsets, few stimuli", (2,), 0.4, stimuli=40, sessions=8, offset=0.5),
)


def draw(design: Design, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Values (presentation, voxel), the stimulus and session of each row, and the signal (stimulus, voxel)."""
    rng = np.random.default_rng([DESIGNS.index(design), seed])
    signal = np.sqrt(design.share) * rng.standard_normal((design.stimuli, VOXELS))
    signal[:, : int(design.silent * VOXELS)] = 0
    repeats = np.resize(design.repeats, design.stimuli)
    shown = np.repeat(np.arange(design.stimuli), repeats)
    values = signal[shown] + np.sqrt(1 - design.share) * rng.standard_normal((len(shown), VOXELS))
    if not design.sessions:
        return values, shown, None, signal
    turn = np.concatenate([np.arange(k) for k in repeats])
    session = (shown if design.within else shown + turn) % design.sessions
    values += design.offset * rng.standard_normal((design.sessions, VOXELS))[session]
    return values, shown, session, signal


def measure(design: Design, method: str, seed: int) -> dict[str, float]:
    """Means over voxels: the ceiling, its true value (R2 of the signal), and the signal's normalised R2 three ways."""
    from bltvs_neuro.encoding.scores.ceiling import noise_ceiling, normalised_mean
    from bltvs_neuro.encoding.scores.score import r2
    from bltvs_neuro.neural.labelled import make_responses

    values, shown, session, signal = draw(design, seed)
    responses = make_responses(values, [f"s{i:03d}" for i in shown], neuroid_coords={}, session=session)
    ceiling = noise_ceiling(responses, method)  # type: ignore[arg-type]
    mean = np.stack([values[shown == i].mean(axis=0) for i in range(design.stimuli)])
    # the signal as it is; silent voxels are predicted by a constant, whose R2 is 0
    truth = np.where(signal.any(axis=0), r2(mean, signal + mean.mean(axis=0) - signal.mean(axis=0)), 0.0)
    positive = ceiling > 0
    return {
        "truth": float(truth.mean()),
        "ceiling": float(np.nanmean(ceiling)),
        "none": float(1 - positive.mean()),
        "mean of ratios": float((truth[positive] / ceiling[positive]).mean()),
        "ratio of means": normalised_mean(truth, ceiling),
    }


def table() -> Iterator[str]:
    """Mean ceilings of three methods, and the normalised score of a perfect model (which is 1)."""
    yield "| design | truth | split half | ncsnr | repetition variance | none above 0 | mean of ratios | ratio of means |"
    yield "|---|---|---|---|---|---|---|---|"
    for design in DESIGNS:
        found = {
            method: [measure(design, method, seed) for seed in SEEDS]
            for method in ("split_half", "ncsnr", "repetition_variance")
        }
        means = {m: {k: float(np.mean([one[k] for one in every])) for k in every[0]} for m, every in found.items()}
        last = means["repetition_variance"]
        cells = [last["truth"], *(means[m]["ceiling"] for m in found), last["none"], last["mean of ratios"]]
        yield f"| {design.name} | " + " | ".join(f"{v:.3f}" for v in (*cells, last["ratio of means"])) + " |"
