"""Size of encoding's permutation test: some minutes on two cores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from bltvs_neuro.encoding import OLS, PLS, Ridge, fit_encoding
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.options import Run

VOXELS, PERMUTATIONS = 200, 499


@dataclass(frozen=True)
class Design:
    """Noise without relation to the features: how many stimuli, features, presentations; how it is fitted."""

    name: str
    stimuli: int
    features: int
    solver: Any = Ridge(on_edge="ignore")
    cv: Folds = field(default_factory=Folds)
    repeats: tuple[int, int] = (1, 1)
    heavy: bool = False
    sets: int = 12


DESIGNS = (
    Design("ridge (GCV)", 40, 100),
    Design("ridge (GCV), heavy tails", 92, 500, heavy=True),
    Design("ridge (leave-one-out)", 200, 50, Ridge(by="loo", on_edge="ignore")),
    Design("ridge (k-fold), 4 folds", 60, 300, Ridge(by="kfold", on_edge="ignore"), Folds(4)),
    Design("least squares", 92, 20, OLS()),
    Design("PLS, 5 components", 60, 200, PLS(5), sets=4),
    Design("ridge, 3 presentations each", 50, 200, cv=Folds(repetitions="single"), repeats=(3, 3)),
    Design("ridge, 1 to 3 presentations", 60, 100, cv=Folds(repetitions="single"), repeats=(1, 3)),
)


def encoding_p_values(design: Design, number: int, seed: int) -> np.ndarray:
    """p values of noise voxels in one data set."""
    rng = np.random.default_rng([number, seed])
    names = [f"s{i:03d}" for i in range(design.stimuli)]
    acts = {
        "V1/bu": xr.DataArray(
            rng.standard_normal((design.stimuli, 1, design.features)).astype(np.float32),
            dims=("stimulus", "timestep", "unit"),
            coords={"stimulus_id": ("stimulus", names), "timestep": [0]},
        )
    }
    low, high = design.repeats
    shown = np.repeat(np.arange(design.stimuli), rng.integers(low, high + 1, design.stimuli))
    # what repeats of a stimulus share is of the voxel, not of the features
    noise = (
        rng.standard_t(3, (design.stimuli, VOXELS)) if design.heavy else rng.standard_normal((design.stimuli, VOXELS))
    )
    values = noise[shown] + (rng.standard_normal((len(shown), VOXELS)) if high > 1 else 0)
    responses = make_responses(values, [names[i] for i in shown], neuroid_coords={})
    fit = fit_encoding(
        acts, responses, solver=design.solver, cv=design.cv, n_permutations=PERMUTATIONS, run=Run(seed=seed)
    )
    return np.asarray(fit["p_value"].values[0])


def table() -> Iterator[str]:
    """Shares of noise voxels below .05 and .01, with their standard errors over data sets."""
    yield "| design | stimuli | features | voxels | below .05 | below .01 |"
    yield "|---|---|---|---|---|---|"
    for number, design in enumerate(DESIGNS):
        p = np.array([encoding_p_values(design, number, seed) for seed in range(design.sets)])  # (set, voxel)
        cells = []
        for alpha in (0.05, 0.01):
            share = (p <= alpha).mean(axis=1)
            cells.append(f"{share.mean():.3f} ± {share.std(ddof=1) / np.sqrt(len(share)):.3f}")
        row = [design.name, design.stimuli, design.features, p.size, *cells]
        yield "| " + " | ".join(map(str, row)) + " |"
