"""Counting multiply-accumulates without computing anything.

Three counts of one image, all of the convolutions, the linear maps and the attention:

- exact: what this package computes; a transposed convolution multiplies every input position with its kernel.
- original: what the released code of BLT_VS computes. It evaluates an area whole whenever it visits it, so in the sweep
  schedule most connections twice; this package computes each once.
- published: how the table that compares BLT_VS with other models counts the original. It takes a transposed
  convolution to multiply its kernel at every output position, though with stride 2 three of four products are with the
  zeros in between, and adds four operations per unit of a batch normalisation (it counts none of GroupNorm).
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ...schema import parse_names
from ..blt_vs.cell import CONNECTIONS
from ..blt_vs.module import BLT_VS
from ..blt_vs.unroll import IMAGE
from ..network import Network

BATCH_NORM_OPERATIONS = 4
"""Per unit, in the published count."""


class Macs(NamedTuple):
    """Multiply-accumulates of the logits of one image; see the module's description for what the three count."""

    exact: int
    original: int
    published: int


def measure_macs(model: Network) -> Macs:
    """Count the multiply-accumulates of the logits of one image in all three ways.

    Examples
    --------
    >>> from bltvs_neuro import BLT_VS
    >>> with torch.device("meta"):
    ...     model = BLT_VS(timesteps=6, num_classes=1000, bio_unroll=False)
    >>> [f"{count:.4g}" for count in measure_macs(model)]
    ['6.363e+10', '1.254e+11', '1.582e+11']
    """
    exact = count_macs(model)
    if isinstance(model, BLT_VS):
        return Macs(exact, _visited(model, at_output=False), _visited(model, at_output=True))
    on_meta, images = _on_meta(model)
    with FlopCounterMode(display=False, custom_mapping=_PUBLISHED) as counter, torch.no_grad():
        on_meta.run(images, outputs=list(model.states()))  # others compute every area each time
    return Macs(exact, count_macs(model, "all"), counter.get_total_flops() // 2)


def count_macs(model: Network, areas: str | None = None) -> int:
    """Count what this package computes for the logits of one image, or for every site of ``areas`` (``"Retina:LOC"``)."""
    with FlopCounterMode(display=False) as counter:
        if areas is None:
            _logits_on_meta(model)
        else:
            chosen = parse_names(areas, model.areas, "area")
            on_meta, images = _on_meta(model)
            with torch.no_grad():
                on_meta.run(images, outputs=[state for state in model.states() if state.area in chosen])
    return counter.get_total_flops() // 2


def _on_meta(model: Network) -> tuple[Network, torch.Tensor]:
    return copy.deepcopy(model).to("meta"), torch.empty(1, 3, model.image_size, model.image_size, device="meta")


def _logits_on_meta(model: Network) -> None:
    on_meta, images = _on_meta(model)
    with torch.no_grad():
        on_meta(images)


def _visited(model: BLT_VS, *, at_output: bool) -> int:
    """Work of the original's pass: an area's connections anew at every visit, on the way up and down; the readout's once."""
    total, seen = 0, set()
    for state, update in model.intact.updates.items():
        for edge, _ in (*update.drive, *update.gate):
            once = model.schedule_name == "simultaneous" or edge.area == model.areas[-1]
            visit = edge, state.timestep, None if once else state.stream
            if visit in seen:
                continue
            seen.add(visit)
            units = model.image_size if edge.source == IMAGE else model.shapes[edge.source.area][1]
            for name in CONNECTIONS[edge.connection]:
                total += _convolution(
                    getattr(model.connections[edge.area], name), units, model.shapes[edge.area][1], at_output
                )
                units = model.shapes[edge.area][1]
    return total


def _convolution(layer: nn.Conv2d | nn.ConvTranspose2d, units_in: int, units_out: int, at_output: bool) -> int:
    transposed = isinstance(layer, nn.ConvTranspose2d)
    positions = units_in if transposed and not at_output else units_out
    return positions**2 * layer.in_channels * layer.out_channels // layer.groups * math.prod(layer.kernel_size)


def _at_output(
    x_shape: Any, w_shape: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int, *args: Any, out_shape: Any = None, **kwargs: Any,
) -> int:  # fmt: skip
    inputs = w_shape[0] // groups if transposed else w_shape[1]
    return 2 * math.prod(out_shape) * inputs * math.prod(w_shape[2:])


def _batch_norm(x_shape: Any, *args: Any, **kwargs: Any) -> int:
    return 2 * BATCH_NORM_OPERATIONS * math.prod(x_shape)


_ATEN = torch.ops.aten
_PUBLISHED: dict[Any, Any] = {
    _ATEN.convolution: _at_output,
    _ATEN.native_batch_norm: _batch_norm,
    _ATEN.cudnn_batch_norm: _batch_norm,
    _ATEN._native_batch_norm_legit_no_training: _batch_norm,
}
