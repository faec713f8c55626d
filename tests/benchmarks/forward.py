"""The forward pass against the plain loop: every area evaluated whole, both streams, whenever it is visited.

The loop (``tests/model/reference.py``) is written from the design in the order of the original, which computes every
convolution of the sweep schedule twice: 125.4 GMAC an image for the ImageNet model. It stands for the original, whose code
is not part of this repository.
"""

from __future__ import annotations

import numpy as np
import torch

from bltvs_neuro import BLT_VS
from tests.model.reference import Loop, golden_images, golden_weights

from .tables import Table, ratio_rows
from .timing import interleaved

MODELS = {
    "sweep": dict(timesteps=6, num_classes=1000, bio_unroll=False),
    "simultaneous": dict(timesteps=12, num_classes=565, bio_unroll=True),
}
"""The configurations of the released models."""


def measure(full: bool) -> Table:
    """Logits and V1 of one image; 128 px unless ``full``."""
    size = 224 if full else 128
    images = golden_images(size, 1)
    rows: list[dict[str, object]] = []
    for schedule, config in MODELS.items():
        model = BLT_VS(**config, image_size=size).eval()  # type: ignore[arg-type]
        weights = golden_weights({key: value.shape for key, value in model.state_dict().items()})
        model.load_state_dict(weights)
        loop = Loop(weights, config["timesteps"], config["num_classes"], config["bio_unroll"])  # type: ignore[arg-type]
        v1 = [state for state in model.graph if state.area == "V1" and state.timestep == 2]
        with torch.no_grad():
            np.testing.assert_allclose(model(images)[-1].numpy(), loop(images)[-1].numpy(), rtol=0, atol=1e-4)
            costs = interleaved(
                {
                    f"{schedule}: plain loop": lambda loop=loop: loop(images),  # type: ignore[misc]
                    f"{schedule}: logits": lambda model=model: model(images),  # type: ignore[misc]
                    f"{schedule}: every site": lambda model=model: model.run(images, tuple(model.graph)),  # type: ignore[misc]
                    f"{schedule}: V1 at timestep 2": lambda model=model, v1=v1: model.run(images, v1),  # type: ignore[misc]
                },
                repeats=5,
            )
        rows += ratio_rows(costs, baseline=f"{schedule}: plain loop")
    return Table(
        f"Forward pass of one image, {size} px, float32",
        rows,
        "The plain loop evaluates areas in the original's order, without sharing (`tests/model/reference.py`); it also "
        "keeps every state. `every site` keeps them all as well.",
    )
