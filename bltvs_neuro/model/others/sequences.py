"""nn.RNN, nn.GRU and nn.LSTM: one call computes all steps, each of which is a timestep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import SpecError


def steps_of(module: nn.RNNBase, output: Any) -> tuple[Tensor, ...]:
    """The hidden states of a call's steps, (B, hidden) each; none where the input was no batch of plain sequences."""
    sequence = output[0]
    if not isinstance(sequence, Tensor) or sequence.ndim != 3:
        return ()
    return sequence.unbind(1 if module.batch_first else 0)


def passed(
    module: nn.RNNBase, inputs: tuple[Any, ...], output: Any, through: Callable[[int, Tensor], Tensor]
) -> tuple[Tensor, Any]:
    """Send each step of a call through ``through(step, state)``, and compute anew what follows one that it changed."""
    axis, state = (1 if module.batch_first else 0), None
    steps = steps_of(module, output)
    results: list[Tensor] = []
    for t, value in enumerate(steps):
        if state is not None:
            alone, state = module.forward(inputs[0].narrow(axis, t, 1), state)
            value = alone.select(axis, 0)
        result = through(t, value)
        if result is not value and not torch.equal(result, value):
            if module.bidirectional:
                raise SpecError(
                    f"one step of a {type(module).__name__} in both directions changes those before and after it, which "
                    "cannot be done from outside: build it of two, or of cells"
                )
            if state is None:  # the cells' states at this step are known only to a call that ends here
                state = module.forward(inputs[0].narrow(axis, 0, t + 1), *inputs[1:])[1]
            hidden = state[0] if isinstance(state, tuple) else state
            hidden = torch.cat([hidden[:-1], result[None]])  # (layers, B, hidden): the uppermost is what is given out
            state = (hidden, state[1]) if isinstance(state, tuple) else hidden
        results.append(result)
    if state is None:
        return output
    return torch.stack(results, axis), state
