"""Counting multiply-accumulates without computing anything."""

from __future__ import annotations

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..schema import parse_names
from .network import Network


def count_macs(model: Network, areas: str | None = None) -> int:
    """Count the multiply-accumulates of the convolutions for one image.

    Parameters
    ----------
    model : Network
        Not changed; the count runs on a copy without storage.
    areas : str, optional
        Every site of these areas (``"Retina:LOC"``) at every timestep; None counts what the logits take.

    Returns
    -------
    int
        Exact: a transposed convolution multiplies every input position with its kernel.
    """
    on_meta = copy.deepcopy(model).to("meta")
    images = torch.empty(1, 3, model.image_size, model.image_size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        if areas is None:
            on_meta(images)
        else:
            chosen = parse_names(areas, model.areas, "area")
            on_meta.run(images, outputs=[state for state in model.states() if state.area in chosen])
    return counter.get_total_flops() // 2
