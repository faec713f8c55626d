"""Extraction against the bare forward pass and against the loop that is usual in this field.

The bare pass computes the same states behind the same hooks and throws them away; its images are scaled before the clock
starts. The usual loop hooks, moves to the CPU, appends to a list, concatenates at the end and saves one array per site.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import bltvs_neuro as bn
from bltvs_neuro.extraction import hooked, select_states
from bltvs_neuro.model import State

from .tables import Table, ratio_rows
from .timing import interleaved

BATCH = 8
CASES: dict[str, dict[str, object]] = {
    "full maps": {},
    "full maps, parts referred to": {"join": "virtual"},
    "full maps, keep_bits=10": {"keep_bits": 10},
    "pool:4": {"reduce": "pool:4"},
    "project:2048": {"reduce": "project:2048"},
    "mean": {"reduce": "mean"},
}


def measure(full: bool) -> Table:
    """V1 to LOC, both streams, all timesteps; 128 px and 16 images unless ``full``."""
    size, n = (224, 16) if full else (128, 16)
    model = bn.BLT_VS(timesteps=6, num_classes=1000, bio_unroll=False, image_size=size).eval()
    pictures = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    stimuli = bn.StimulusSet.from_arrays(pictures)
    images = torch.stack([model.transform(picture) for picture in pictures])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        options = dict(run=bn.ExtractRun(batch_size=BATCH), resume=False)
        cases = {"bare forward pass": lambda: bare(model, images), "usual loop": lambda: usual(model, images, path)}
        for name, choice in CASES.items():
            cases[name] = lambda choice=choice: bn.extract(model, stimuli, path / "acts.h5", **options, **choice)  # type: ignore[misc, arg-type]
        costs = interleaved(cases, repeats=3)
        check(model, images, bn.extract(model, stimuli, path / "acts.h5", **options), path)  # type: ignore[arg-type]
        each = (path / "acts.h5").stat().st_size / n
    return Table(
        f"Extraction of {n} images, {size} px, V1 to LOC, both streams, 6 timesteps ({each / 1e6:.0f} MB an image)",
        ratio_rows(costs, baseline="bare forward pass"),
        "Decoding, writing, syncing to disk and joining are in the figures of extraction; CPU time is that of all threads and "
        "processes. The usual loop syncs nothing to disk, checks nothing and can't go on after a crash.",
    )


def bare(model: bn.BLT_VS, images: Tensor) -> None:
    """Compute the states and throw them away."""
    states = select_states(model, "V1:LOC")
    with torch.no_grad(), hooked(model, states, lambda state, activations: None):
        for start in range(0, len(images), BATCH):
            model.run(images[start : start + BATCH])


def usual(model: bn.BLT_VS, images: Tensor, folder: Path, areas: str = "V1:LOC") -> None:
    """Hook, to the CPU, append, concatenate, save."""
    kept: dict[str, dict[int, list[Tensor]]] = {}

    def keep(state: State, activations: Tensor) -> None:
        site = f"{state.area}-{state.stream}"
        kept.setdefault(site, {}).setdefault(state.timestep, []).append(activations.detach().cpu())

    with torch.no_grad(), hooked(model, select_states(model, areas), keep):
        for start in range(0, len(images), BATCH):
            model.run(images[start : start + BATCH])
    for site, timesteps in kept.items():
        np.save(
            folder / f"{site}.npy", np.stack([torch.cat(batches).numpy() for batches in timesteps.values()], axis=1)
        )


def check(model: bn.BLT_VS, images: Tensor, path: Path, folder: Path) -> None:
    """Both ways must have recorded the same."""
    with bn.open_store(path) as store:
        for site in store:
            saved = np.load(folder / f"{site.replace('/', '-')}.npy", mmap_mode="r")
            np.testing.assert_allclose(store[site][:4].values, saved[:4], rtol=0, atol=1e-4)
