"""One forward pass: what is still wanted of it, what was kept, and what lesions do to its states."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from .lesions.actions import Draws
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
        self._lesions, self._draws = network.lesions, Draws(images)
        self._held: dict[State, Tensor | None] = {}
        for lesion in self._lesions:
            if lesion.action.holds:
                for area, stream in lesion.targets:
                    for t in lesion.timesteps:
                        self._held[State(area, stream, lesion.before(t))] = None  # type: ignore[arg-type]

    def concerns(self, state: State) -> bool:
        """Whether a state that is computed must go :meth:`through`: it is wanted, lesioned, or held by a lesion."""
        touched = (lesion.touches(*state) for lesion in self._lesions)
        return state in self.left or state in self._held or any(touched)

    def through(self, state: State, value: Tensor) -> Tensor:
        """Lesion a state (B, ...), send it through its tap, and return what the network goes on with."""
        area, stream, timestep = state
        for lesion in self._lesions:
            if lesion.touches(*state):
                held = self._held.get(State(area, stream, lesion.before(timestep))) if lesion.action.holds else None
                value = lesion.action.apply(value, f"{area}/{stream}@{timestep}", self._draws, held)
        value = self.network.tap(state)(value)
        if state in self._held:
            self._held[state] = value
        self.left.discard(state)
        if state in self.outputs:
            self.kept[state] = value
        return value
