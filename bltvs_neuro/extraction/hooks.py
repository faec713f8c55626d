"""Recording with forward hooks that always detach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..features.select import Selection
from ..model import Network, State
from .sites import select_states


@contextmanager
def hooked(model: Network, states: Iterable[State], receive: Callable[[State, Tensor], None]) -> Iterator[None]:
    """Call ``receive(state, activations)`` whenever one of ``states`` is computed; every hook goes at the end.

    A state is computed once per forward pass, and only if a hook or the logits need it.
    """
    handles = []
    try:
        for state in states:

            def hook(module: nn.Module, inputs: Any, output: Tensor, state: State = state) -> None:
                receive(state, output)

            handles.append(model.tap(state).register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def record_tensors(model: Network, images: Tensor, sites: Selection = "all") -> dict[tuple[str, str, int], Tensor]:
    """Record activations of one batch in memory.

    Parameters
    ----------
    model : Network
    images : Tensor, (B, 3, image_size, image_size)
        In the checkpoint's scaling ([-1, 1]); moved to the model's device.
    sites : str, iterable of str or Select
        What to record, see :func:`bltvs_neuro.extraction.sites.select_states`.

    Returns
    -------
    dict of (area, stream, timestep) to Tensor
        (B, C, H, W) each; for ``("Readout", "bu", t)`` the logits (B, classes). What activity has not reached is
        absent. Nothing that was not asked for is computed unless something asked for needs it: a recurrent network stops after
        the last call that is recorded.

    Raises
    ------
    SpecError
        An unknown area, stream or timestep, or images of the wrong shape.

    Examples
    --------
    >>> from bltvs_neuro import BLT_VS
    >>> model = BLT_VS(timesteps=4, num_classes=10, image_size=128)
    >>> activations = record_tensors(model, torch.zeros(1, 3, 128, 128), "V1:V2/bu")
    >>> sorted(activations)
    [('V1', 'bu', 2), ('V1', 'bu', 3), ('V2', 'bu', 3)]
    """
    states = select_states(model, sites)
    recorded: dict[tuple[str, str, int], Tensor] = {}

    def receive(state: State, activations: Tensor) -> None:
        recorded[state.area, state.stream, state.timestep] = activations

    with torch.no_grad(), hooked(model, states, receive):
        model.run(images.to(next(model.parameters()).device))
    return {(s.area, s.stream, s.timestep): recorded[s.area, s.stream, s.timestep] for s in states}
