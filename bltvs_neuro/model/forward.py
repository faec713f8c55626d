"""One forward pass: what is still wanted of it, and what was kept."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from .network import Network, State


class Pass:
    """The states of one batch, as a network computes them one by one.

    Attributes
    ----------
    left : set of State
        What is hooked or asked for, and not computed yet: when nothing is left, a network can stop.
    kept : dict of State to Tensor
        What was asked for.
    """

    def __init__(self, network: Network, images: Tensor, outputs: Collection[State]) -> None:
        network.check_images(images)
        self.network, self.outputs = network, frozenset(outputs)
        self.left = network.wanted(outputs)
        self.kept: dict[State, Tensor] = {}

    def through(self, state: State, value: Tensor) -> Tensor:
        """Send a state (B, ...) through its tap; returns what the network goes on with."""
        value = self.network.tap(state)(value)
        self.left.discard(state)
        if state in self.outputs:
            self.kept[state] = value
        return value
