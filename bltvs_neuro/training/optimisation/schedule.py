"""The learning rate, epoch by epoch: a warm-up, then halved where the validation loss stands still (or a cosine)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..config import OptimizerConfig


class LearningRate:
    """The learning rate of the coming epoch, ``value``, in a run of ``epochs``, which only the cosine needs.

    Examples
    --------
    >>> rate = LearningRate(OptimizerConfig(learning_rate=1.0), epochs=0)
    >>> values = []
    >>> for loss in (5, 4, 3, 2, 1):
    ...     values.append(round(rate.value, 4))
    ...     rate.step(loss)
    >>> values
    [0.01, 0.2575, 0.505, 0.7525, 1.0]
    """

    def __init__(self, config: OptimizerConfig, epochs: int) -> None:
        self._config, self._epochs = config, epochs
        self._finished, self._history, self._bad = 0, [], 0  # type: ignore[var-annotated]
        self.value = config.learning_rate
        if config.warmup_epochs > 1:
            self.value *= config.warmup_start

    @property
    def converged(self) -> bool:
        """Whether the run has come to its end."""
        return self._finished >= self._config.warmup_epochs and self.value <= self._config.stop_at

    def step(self, loss: float) -> None:
        """Finish an epoch whose validation loss was ``loss``."""
        config = self._config
        self._finished += 1
        if self._finished < config.warmup_epochs:
            share = self._finished / (config.warmup_epochs - 1)
            self.value = config.learning_rate * (config.warmup_start + (1 - config.warmup_start) * share)
        elif config.schedule == "cosine":
            first = max(config.warmup_epochs - 1, 0)
            share = min(1.0, (self._finished - first) / max(1, self._epochs - first))
            self.value = config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        else:
            self._plateau(loss)

    def _plateau(self, loss: float) -> None:
        config = self._config
        self._history.append(float(loss))
        if len(self._history) < config.plateau_epochs:
            return
        recent = self._history[-config.plateau_epochs :]
        slope, start = np.polyfit(np.arange(len(recent)), recent, 1)
        change = 100 * slope * (len(recent) - 1) / abs(start) if start != 0 else math.inf
        self._bad = self._bad + 1 if change > -config.plateau_percent else 0
        if self._bad >= config.plateau_patience:
            self.value *= config.plateau_factor
            self._history, self._bad = [], 0

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"finished": self._finished, "history": list(self._history), "bad": self._bad, "value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was."""
        self._finished, self._bad, self.value = int(state["finished"]), int(state["bad"]), float(state["value"])
        self._history = [float(loss) for loss in state["history"]]
