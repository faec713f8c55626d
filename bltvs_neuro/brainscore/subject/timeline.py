"""From the model's timesteps to milliseconds after stimulus onset, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import SpecError

Bin = tuple[float, float]
"""Start and end in milliseconds after stimulus onset."""


@dataclass(frozen=True)
class Timeline:
    """One clock for all areas: timestep t lasts from ``start + t * step`` to ``start + (t + 1) * step``, milliseconds.

    Attributes
    ----------
    start : float
        When timestep 0 begins, milliseconds after stimulus onset.
    static : (float, float)
        What a recording without a time course is the mean over, milliseconds.
    clocks : tuple of (str, float, float)
        Areas that have a clock of their own, with its start and step.

    Examples
    --------
    >>> Timeline.anchored(onset=4, timesteps=12, interval=(70, 250))
    Timeline(start=-20.0, step=22.5, static=(70.0, 170.0), clocks=())
    """

    start: float
    step: float
    static: Bin = (70.0, 170.0)
    clocks: tuple[tuple[str, float, float], ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.step) and self.step > 0):
            raise SpecError(f"a timeline has a start and a step above 0 in milliseconds; got {self.start}, {self.step}")
        check_bin(self.static)

    @classmethod
    def anchored(cls, onset: int, timesteps: int, interval: Bin, static: Bin = (70.0, 170.0)) -> Timeline:
        """Let the timesteps from ``onset`` to the last of ``timesteps`` be equal bins over ``interval``."""
        first, last = interval
        step = (last - first) / (timesteps - onset)
        return cls(float(first - onset * step), float(step), (float(static[0]), float(static[1])))

    @classmethod
    def parse(cls, text: str) -> Timeline:
        """Read ``"START:STEP"`` in milliseconds, for example ``"10:20"``."""
        try:
            start, step = (float(part) for part in text.split(":"))
        except ValueError:
            raise SpecError(
                f"a timeline is written START:STEP in milliseconds, for example '10:20'; got {text!r}"
            ) from None
        return cls(start, step)

    def of(self, area: str) -> Timeline:
        """The clock of an area."""
        own = {name: Timeline(start, step, self.static) for name, start, step in self.clocks}
        return own.get(area, self)

    def bins(self, timesteps: Iterable[int]) -> list[Bin]:
        """Start and end of timesteps."""
        return [(self.start + t * self.step, self.start + (t + 1) * self.step) for t in timesteps]

    def weights(self, window: Bin, timesteps: Iterable[int]) -> dict[int, float]:
        """Weights, summing to 1, of the timesteps in the mean over a window: the part of each that lies in it."""
        low, high = check_bin(window)
        steps = list(timesteps)
        overlap = {t: min(end, high) - max(start, low) for t, (start, end) in zip(steps, self.bins(steps), strict=True)}
        inside = {t: length for t, length in overlap.items() if length > 1e-9}
        if not inside:
            span = f"{self.bins(steps)[0][0]:g} to {self.bins(steps)[-1][1]:g} ms" if steps else "no time at all"
            raise SpecError(f"nothing was recorded from {low:g} to {high:g} ms: there is activity from {span}")
        total = sum(inside.values())
        return {t: length / total for t, length in inside.items()}

    def describe(self) -> dict[str, Any]:
        """The timeline, JSON-safe."""
        described: dict[str, Any] = {"start_ms": self.start, "step_ms": self.step, "static_ms": list(self.static)}
        if self.clocks:
            described["clocks_ms"] = {name: [start, step] for name, start, step in self.clocks}
        return described


def held(bin_: Bin, recorded: Sequence[Bin]) -> Bin:
    """The part of a bin that was recorded; before and after that, the first or the last bin that was.

    Examples
    --------
    >>> recorded = [(70, 100), (100, 130)]
    >>> held((90, 110), recorded), held((0, 50), recorded), held((120, 200), recorded)
    ((90, 110), (70, 100), (120, 130))
    """
    start, end = max(bin_[0], recorded[0][0]), min(bin_[1], recorded[-1][1])
    if start < end:
        return start, end
    return recorded[0] if bin_[1] <= recorded[0][0] else recorded[-1]


def whole(value: float) -> float:
    """An integer where a number is whole."""
    return int(value) if float(value).is_integer() else float(value)


def check_bin(bin_: Any) -> Bin:
    """Read a pair of milliseconds, start before end; SpecError for anything else."""
    try:
        start, end = (float(value) for value in bin_)
    except (TypeError, ValueError):
        raise SpecError(
            f"a time bin is a pair (start, end) in milliseconds, for example (70, 170); got {bin_!r}"
        ) from None
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise SpecError(f"a time bin starts before it ends, in milliseconds; got ({start:g}, {end:g})")
    return start, end
