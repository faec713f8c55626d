"""RSA's partial correlations, held-out unique variance and weighted models: coverage and sizes; about 10 minutes on one core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.commonality import commonality
from bltvs_neuro.rsa.comparing.regression import partial_correlation, weighted_model

from .rsa_worlds import Design, share

RUNS, FOLDS = 200, 4
DESIGNS = (Design(24, 6), Design(40, 12), Design(40, 4))
PARTS = (
    "partial r, half", "partial r, unrelated", "unique R², half", "unique R², unrelated", "weighted, related",
    "weighted, unrelated",
)  # fmt: skip


def estimates(design: Design, seed: int) -> np.ndarray:
    """(parts, 4): value, ends of its interval, p against zero. The control of all is the other half of what subjects share."""
    world = design.draw(seed)
    ids = [f"s{i:02d}" for i in range(design.stimuli)]
    half, control, unrelated = (make_rdms(world.models[[i]], ids, metric="m", name=[str(i)]) for i in (1, 2, 3))
    brain = make_rdms(world.data, ids, metric="m")
    rows = []
    for model in (half, unrelated):
        found = partial_correlation(model, brain, control).to_frame().iloc[0]
        rows.append([found["r"], found["ci_low"], found["ci_high"], found["p_zero"]])
    parts = commonality(
        {"half": half, "other": control, "none": unrelated}, brain, stimulus_folds=FOLDS, seed=seed
    ).table
    for name in ("half", "none"):
        found = parts[parts["part"] == name].iloc[0]
        rows.append([found["r2"], found["ci_low"], found["ci_high"], found["p_zero"]])
    both = make_rdms(world.models[[1, 2]], ids, metric="m")
    for models in (both, unrelated):
        fit = weighted_model(models, brain, similarity="pearson", stimulus_folds=FOLDS, seed=seed)
        rows.append([fit.score, fit.ci_low, fit.ci_high, fit.p_zero])
    return np.array(rows)


def table(designs: Sequence[Design] = DESIGNS, runs: int = RUNS) -> Iterator[str]:
    """Coverage of the mean over experiments, and how often p is at most .05."""
    yield "| design | number | mean | holds the mean | above zero |"
    yield "|---|---|---|---|---|"
    for design in designs:
        found = np.array([estimates(design, seed) for seed in range(runs)])  # (runs, parts, 4)
        for i, name in enumerate(PARTS):
            value, low, high, p = found[:, i].T
            held = (low <= value.mean()) & (value.mean() <= high)
            yield f"| {design} | {name} | {value.mean():.3f} | {share(held)} | {share(p <= 0.05)} |"
