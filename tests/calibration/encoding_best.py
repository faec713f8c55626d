"""Choosing area and timestep within training folds: how often the margin is above zero where all are equal; minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

VOXELS, SETS = 20, 120
HELD_OUT = range(40_000, 40_000 + SETS)  # whatever was tried used seeds below 1000


@dataclass(frozen=True)
class Design:
    """Timesteps that are equally good, or one that is better."""

    name: str
    stimuli: int
    features: int
    steps: int
    signal: float
    """Share of the responses' variance that the shared features give."""
    own: float
    """Share of the features' variance that is each timestep's own, and so useless."""
    better: float = 0.0
    """How much less of it the last timestep has."""
    folds: int = 5


DESIGNS = (
    Design("nothing to find", 60, 30, 4, 0.0, 1.0),
    Design("equal timesteps", 60, 20, 4, 0.5, 0.3),
    Design("equal timesteps, nearly the same", 100, 30, 6, 0.5, 0.05),
    Design("equal timesteps, 10 folds", 60, 20, 4, 0.5, 0.3, folds=10),
    Design("two equal timesteps", 100, 50, 2, 0.3, 0.5),
    Design("the last is better", 100, 20, 4, 0.6, 0.6, better=0.6),
)


def draw(design: Design, seed: int) -> tuple[dict[str, xr.DataArray], np.ndarray, list[str]]:
    """A store of one site, responses (stimulus, voxel), and names of the stimuli."""
    rng = np.random.default_rng([DESIGNS.index(design), seed])
    names = [f"s{i:03d}" for i in range(design.stimuli)]
    shared = rng.standard_normal((design.stimuli, 1, design.features))
    own = np.full((design.steps, 1), design.own)
    own[-1] -= design.better
    values = np.sqrt(1 - own) * shared + np.sqrt(own) * rng.standard_normal(
        (design.stimuli, design.steps, design.features)
    )
    weights = rng.standard_normal((design.features, VOXELS)) / np.sqrt(design.features)
    y = np.sqrt(design.signal) * shared[:, 0] @ weights
    y += np.sqrt(1 - design.signal) * rng.standard_normal(y.shape)
    coords = {"stimulus_id": ("stimulus", names), "timestep": np.arange(design.steps)}
    acts = xr.DataArray(values.astype(np.float32), dims=("stimulus", "timestep", "unit"), coords=coords)
    return {"V1/bu": acts}, y, names


def margins(design: Design, seed: int) -> dict[str, float]:
    """Shares of voxels (and whether the region) with a margin above and below zero; stability."""
    from bltvs_neuro.encoding import Ridge, fit_encoding
    from bltvs_neuro.features.folds import Folds
    from bltvs_neuro.neural.labelled import make_responses

    acts, y, names = draw(design, seed)
    responses = make_responses(y, names, neuroid_coords={"roi": "V1"})
    fit = fit_encoding(acts, responses, solver=Ridge(on_edge="ignore"), cv=Folds(design.folds))
    plain, nested, region = fit.best(), fit.best(nested=True), fit.best(nested=True, by="roi")
    return {
        "plain": float((plain["margin"] > 0).mean()),
        "above": float((nested["margin_ci_low"] > 0).mean()),
        "below": float((nested["margin_ci_high"] < 0).mean()),
        "region above": float((region["margin_ci_low"] > 0).mean()),
        "region below": float((region["margin_ci_high"] < 0).mean()),
        "stability": float(region["stability"].mean()),
    }


def table() -> Iterator[str]:
    """Mean shares over data sets; nominal are 0.025 above and below."""
    yield "| design | plain margin > 0 | interval above 0 | below 0 | region: above 0 | below 0 | stability |"
    yield "|---|---|---|---|---|---|---|"
    for design in DESIGNS:
        every = [margins(design, seed) for seed in HELD_OUT]
        yield f"| {design.name} | " + " | ".join(f"{np.mean([e[k] for e in every]):.3f}" for k in every[0]) + " |"
