"""Family-wise errors: the largest score of a permutation over voxels and feature spaces, and tests over subjects; minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

SETS, PERMUTATIONS = 200, 99
HELD_OUT = range(60_000, 60_000 + SETS)


@dataclass(frozen=True)
class Design:
    """Noise voxels, which have something in common, and several feature spaces."""

    name: str
    stimuli: int
    features: int
    steps: int
    voxels: int
    common: float
    true: int = 0
    """Voxels that follow the first feature space: the rate is that of the others."""
    heavy: bool = False


DESIGNS = (
    Design("40 stimuli, 2 spaces", 40, 40, 2, 30, 0.0),
    Design("40 stimuli, voxels alike", 40, 40, 2, 30, 0.5),
    Design("60 stimuli, heavy tails", 60, 20, 2, 30, 0.0, heavy=True),
    Design("40 stimuli, 10 of 30 voxels true", 40, 10, 1, 30, 0.0, true=10),
)


def any_rejected(design: Design, seed: int) -> bool:
    """Whether any noise voxel has a family-wise p value of at most .05."""
    from bltvs_neuro.encoding import Permutations, Ridge, fit_encoding
    from bltvs_neuro.neural.labelled import make_responses
    from bltvs_neuro.options import Run

    rng = np.random.default_rng([DESIGNS.index(design), seed])
    names = [f"s{i:03d}" for i in range(design.stimuli)]
    values = rng.standard_normal((design.stimuli, design.steps, design.features))
    coords = {"stimulus_id": ("stimulus", names), "timestep": np.arange(design.steps)}
    acts = {"V1/bu": xr.DataArray(values.astype(np.float32), dims=("stimulus", "timestep", "unit"), coords=coords)}
    shape = (design.stimuli, design.voxels)
    own = rng.standard_t(3, shape) if design.heavy else rng.standard_normal(shape)
    y = np.sqrt(design.common) * rng.standard_normal((design.stimuli, 1)) + np.sqrt(1 - design.common) * own
    y[:, : design.true] += values[:, 0] @ rng.standard_normal((design.features, design.true))
    fit = fit_encoding(
        acts, make_responses(y, names, neuroid_coords={}), solver=Ridge(on_edge="ignore"),
        n_permutations=Permutations(PERMUTATIONS, fwer=True), run=Run(seed=seed),
    )  # fmt: skip
    return bool((fit["p_fwer"].values[:, design.true :] <= 0.05).any())


@dataclass(frozen=True)
class Subjects:
    """Mean scores of regions in subjects, without an effect."""

    name: str
    subjects: int
    regions: int
    skewed: bool = False


GROUPS = (
    Subjects("5 subjects", 5, 12),
    Subjects("8 subjects", 8, 12),
    Subjects("20 subjects", 20, 12),
    Subjects("8 skewed subjects", 8, 12, skewed=True),
)


def group_rejections(group: Subjects, seed: int) -> dict[str, float]:
    """Share of regions rejected by t and by sign flips, and whether any is at the family-wise level."""
    from bltvs_neuro.encoding.group import random_effects

    rng = np.random.default_rng([100 + GROUPS.index(group), seed])
    shape = (group.subjects, group.regions)
    scores = rng.exponential(size=shape) - 1 if group.skewed else rng.standard_normal(shape)
    scores += 0.5 * rng.standard_normal((group.subjects, 1))  # what a subject's regions have in common
    found = random_effects(0.02 * scores)
    return {
        "t": float((found["p_t"] <= 0.05).mean()),
        "flip": float((found["p_sign_flip"] <= 0.05).mean()),
        "family": float((found["p_sign_flip_fwer"] <= 0.05).any()),
    }


def table() -> Iterator[str]:
    """Share of data sets with any error at .05, and sizes of tests over subjects."""
    yield "| design | any noise voxel rejected |"
    yield "|---|---|"
    for design in DESIGNS:
        yield f"| {design.name} | {np.mean([any_rejected(design, seed) for seed in HELD_OUT]):.3f} |"
    yield ""
    yield "| subjects | t | sign flips | any region, sign flips |"
    yield "|---|---|---|---|"
    for group in GROUPS:
        every = [group_rejections(group, seed) for seed in range(60_000, 61_000)]
        yield f"| {group.name} | " + " | ".join(f"{np.mean([e[k] for e in every]):.3f}" for k in every[0]) + " |"
