"""States that are the same for every image, found by looking: no activity that an image drives has reached them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .network import Network, State

IMAGES = 3
"""An empty one and noise, alone each, so that what is the same is so to the last bit."""


def constant_states(network: Network) -> frozenset[State]:
    """The states that do not differ between images; none without storage, where nothing can be looked at."""
    parameter = next(network.parameters(), torch.empty(0))
    if parameter.device.type == "meta":
        return frozenset()
    size, states = network.image_size, list(network.states())
    images = torch.randn(IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0)).to(parameter)
    images[0] = 0
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            first, *others = (network.run(image[None], states) for image in images)
    finally:
        network.train(training)
    return frozenset(s for s in states if all(torch.equal(first[s], other[s]) for other in others))
