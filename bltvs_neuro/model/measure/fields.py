"""Effective receptive fields: how far from its centre an image moves a unit, measured by gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...errors import SpecError
from ..blt_vs.areas import DEGREES_PER_IMAGE
from ..network import Network, State

THRESHOLD = 0.0455
"""Pixels count whose gradient is above this share of the largest: within two standard deviations of a Gaussian."""


class EffectiveField(NamedTuple):
    """The effective receptive field of the unit in the middle of a map.

    ``size`` is the side, in pixels, of the square with the area of the pixels above :data:`THRESHOLD`.
    """

    state: State
    size: float
    degrees: float


def effective_fields(
    model: Network, states: Iterable[State], images: Tensor | None = None, n_images: int = 2, seed: int = 0
) -> list[EffectiveField]:
    """Measure effective receptive fields of maps, in the order of ``states``; SpecError for a state without a map.

    ``images`` are transformed, (B, 3, image_size, image_size); noise, as many as ``n_images``, unless given. ``seed`` is
    that of the noise and of the random weights over channels.

    Notes
    -----
    The gradient of the unit at the middle, all channels with random signs, with respect to the image; its root mean
    square over colours and images. GroupNorm lets every pixel of the image reach every unit, but so little that this
    stays below the threshold. Weights decide the result: an untrained network's fields are narrower.

    References
    ----------
    Luo, Li, Urtasun & Zemel 2016, Understanding the effective receptive field in deep convolutional neural networks,
    NeurIPS. doi:10.48550/arXiv.1701.04128
    """
    states = list(states)
    maps = sensitivity(model, states, images, n_images, seed)
    sizes = [float(np.sqrt((relative > THRESHOLD).sum())) for relative in maps]
    degrees = DEGREES_PER_IMAGE / model.image_size
    return [EffectiveField(state, size, size * degrees) for state, size in zip(states, sizes, strict=True)]


def sensitivity(
    model: Network, states: Sequence[State], images: Tensor | None = None, n_images: int = 2, seed: int = 0
) -> list[np.ndarray]:
    """How much each pixel moves the unit in the middle of a map, relative to the largest: (image_size, image_size) each."""
    shapes = [model.shape(f"{state.area}/{state.stream}") for state in states]
    for state, shape in zip(states, shapes, strict=True):
        if len(shape) != 3:
            raise SpecError(f"{state.area}/{state.stream} has no map, and so no receptive field")
    rng = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    size = model.image_size
    if images is None:
        images = torch.randn(n_images, 3, size, size, generator=rng)
    signs = [(torch.randint(0, 2, (shape[0],), generator=rng) * 2 - 1).to(device) for shape in shapes]
    power = torch.zeros(len(states), size, size, device=device)
    for image in images.to(device):
        image = image[None].detach().requires_grad_()
        with torch.enable_grad():
            values = model.run(image, outputs=states)
            middles = [
                (values[state][0, :, shape[1] // 2, shape[2] // 2] * sign).sum()
                for state, shape, sign in zip(states, shapes, signs, strict=True)
            ]
        for at, middle in enumerate(middles):
            (gradient,) = torch.autograd.grad(middle, image, retain_graph=True)
            power[at] += gradient[0].square().sum(0)
    magnitudes = power.sqrt().cpu().numpy()
    return [magnitude / magnitude.max() for magnitude in magnitudes]
