"""Adaptive gradient clipping: a gradient is at most a share of the weights it changes."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Granularity = Literal["tensor", "unit"]

EPS = 1e-3
"""Weights count as at least this large, so that those which are zero can change."""


def unit_axes(model: nn.Module) -> dict[nn.Parameter, int]:
    """The axis of a weight tensor along which its output units lie: 1 for transposed convolutions, else 0."""
    axes = {}
    for module in model.modules():
        transposed = isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        for name, parameter in module.named_parameters(recurse=False):
            axes[parameter] = 1 if transposed and name == "weight" else 0
    return axes


@torch.no_grad()
def clip_gradients(axes: dict[nn.Parameter, int], factor: float, by: Granularity) -> None:
    """Scale gradients down in place: ``G <- G min(1, factor max(|W|, eps) / |G|)``.

    ``|.|`` is the norm of a whole tensor, or of each output unit of it along the axis that :func:`unit_axes` gives (vectors
    always as a whole). Parameters without a gradient are left out.

    References
    ----------
    Brock, De, Smith & Simonyan (2021), doi:10.48550/arXiv.2102.06171, equation 3 (by unit).
    """
    for parameter, axis in axes.items():
        gradient = parameter.grad
        if gradient is None:
            continue
        whole = by == "tensor" or parameter.ndim < 2
        dims = None if whole else [dim for dim in range(parameter.ndim) if dim != axis]
        weight = _norm(parameter, dims).clamp_(min=EPS)
        size = _norm(gradient, dims)
        gradient.mul_((factor * weight / size.clamp(min=1e-6)).clamp_(max=1))


def _norm(tensor: Tensor, dims: list[int] | None) -> Tensor:
    return torch.linalg.vector_norm(tensor, dim=dims, keepdim=dims is not None)
