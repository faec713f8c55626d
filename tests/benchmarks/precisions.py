"""Ways to compute the forward pass on a CPU, against the plain loop in the original's order, and how far each is off.

The loop (``tests/model/reference.py``) computes what the original computes: in the sweep schedule every convolution of
an area twice. Everything records all bottom-up and top-down sites from V1 to LOC.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from bltvs_neuro import BLT_VS
from bltvs_neuro.extraction import hooked, select_states
from bltvs_neuro.model import State
from bltvs_neuro.model.fast.kernels import Fast
from tests.model.reference import Loop, golden_images, golden_weights

from .tables import Table, ratio_rows
from .timing import interleaved, ratio

CONFIG = dict(timesteps=6, num_classes=1000, bio_unroll=False)
"""Of the released ImageNet model."""


def measure(full: bool) -> Table:
    """Two images of 224 px, of 128 unless ``full``."""
    size, batch = (224, 2) if full else (128, 2)
    images = golden_images(size, batch)
    model = BLT_VS(**CONFIG, image_size=size).eval()  # type: ignore[arg-type]
    weights = golden_weights({key: value.shape for key, value in model.state_dict().items()})
    model.load_state_dict(weights)
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    states = select_states(model, "V1:LOC")
    loop = Loop(weights, CONFIG["timesteps"], CONFIG["num_classes"], False)
    turned = images.contiguous(memory_format=torch.channels_last)

    def half() -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16)

    cases: dict[str, Callable[[], dict[State, Tensor] | None]] = {
        "plain loop, float32": lambda: loop(images) and None,
        "float32": run_of(model, states, images),
        "float32, channels last": run_of(last, states, turned),
        "fast": run_of(last, states, turned, Fast(last).active),
        "bfloat16": run_of(model, states, images, half),
        "bfloat16, channels last": run_of(last, states, turned, half),
    }
    reference = cases["float32"]()
    assert reference is not None
    off = {}
    for name, case in cases.items():
        if (got := case()) is not None:
            off[name] = _deviation(reference, got)
    # rounding grows over timesteps: changing nothing but the memory format is the measure of what cannot be avoided
    assert off["fast"][1] < 4 * off["float32, channels last"][1]
    costs = interleaved(cases, repeats=3, warm_up=False)
    baseline = "plain loop, float32"
    rows = ratio_rows(costs, baseline)
    for row in rows:
        name = str(row[""])
        row["speed"] = f"{1 / ratio(costs, name, baseline):.2f}"
        if name in off:
            row["rms, sd"], row["largest, of the map's largest value"] = (f"{value:.1e}" for value in off[name])
    return Table(
        f"Forward pass of {batch} images, {size} px, sweep schedule, 6 timesteps, V1 to LOC",
        rows,
        "Deviations are from the row float32, the worst site and timestep: root mean square in standard deviations of "
        "the site, and largest relative to the largest value of the map. bfloat16 is as fast as this only on processors "
        "with instructions for it.",
    )


def run_of(
    model: BLT_VS, states: tuple[State, ...], images: Tensor,
    context: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Callable[[], dict[State, Tensor]]:  # fmt: skip
    """A forward pass that receives every one of ``states``."""

    def run() -> dict[State, Tensor]:
        received: dict[State, Tensor] = {}
        with torch.no_grad(), context(), hooked(model, states, received.__setitem__):
            model.run(images)
        return received

    return run


def _deviation(reference: dict[State, Tensor], got: dict[State, Tensor]) -> tuple[float, float]:
    mean = largest = 0.0
    for state, expected in reference.items():
        error = got[state].float() - expected
        mean = max(mean, float(error.square().mean().sqrt() / (expected.std() or 1.0)))
        largest = max(largest, float(error.abs().max()) / max(1.0, float(expected.abs().max())))
    return mean, largest
