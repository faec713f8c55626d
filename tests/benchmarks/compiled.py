"""What ``torch.compile`` of the areas' element-wise work saves, beside the convolutions, which stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from bltvs_neuro import BLT_VS
from bltvs_neuro.extraction import select_states
from bltvs_neuro.model.fast.kernels import Fast
from tests.model.reference import golden_images, golden_weights

from .precisions import CONFIG, run_of
from .tables import Table, ratio_rows
from .timing import interleaved


def measure(full: bool) -> Table:
    """Two images of 224 px, of 128 unless ``full``; compiling alone takes minutes."""
    size = 224 if full else 128
    images = golden_images(size, 2).contiguous(memory_format=torch.channels_last)
    model = BLT_VS(**CONFIG, image_size=size).eval()  # type: ignore[arg-type]
    model.load_state_dict(golden_weights({key: value.shape for key, value in model.state_dict().items()}))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    compiled = copy.deepcopy(model)
    compiled.compile_cells()
    states = select_states(model, "V1:LOC")
    cases: dict[str, Callable[[], object]] = {}
    for name, network in (("", model), (", compiled", compiled)):
        cases[f"float32{name}"] = run_of(network, states, images)
        cases[f"fast{name}"] = run_of(network, states, images, Fast(network).active)
    costs = interleaved(cases, repeats=3)
    title = f"torch.compile: forward pass of 2 images, {size} px, sweep schedule, 6 timesteps, V1 to LOC, channels last"
    return Table(title, ratio_rows(costs, "float32"), "Compiling itself is not counted.")
