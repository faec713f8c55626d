"""How far long work is: told by what works, shown by whoever wants to see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """How far a piece of work is.

    Parameters
    ----------
    done, total : int
        Items, such as stimuli or feature spaces.
    label : str
        What was finished last, or how fast it goes.
    seconds_left : float
        Expected; NaN where nothing is known yet.
    """

    done: int
    total: int
    label: str = ""
    seconds_left: float = float("nan")


@dataclass
class Clock:
    """Progress of work whose first ``before`` items were there already."""

    total: int
    before: int = 0
    start: float = field(default_factory=time.monotonic)

    def tell(self, done: int, label: str = "") -> None:
        """Say that ``done`` items are finished, those of earlier runs among them."""
        new = done - self.before
        left = (time.monotonic() - self.start) / new * (self.total - done) if new > 0 else float("nan")
        tell(Progress(done, self.total, label, 0.0 if done == self.total else left))


_shown: list[Callable[[Progress], None]] = []


@contextmanager
def show_progress(show: Callable[[Progress], None]) -> Iterator[None]:
    """While this lasts, hand every :class:`Progress` of this process to ``show``.

    Examples
    --------
    >>> with show_progress(lambda now: print(now.done, "of", now.total)):
    ...     tell(Progress(1, 2))
    1 of 2
    """
    _shown.append(show)
    try:
        yield
    finally:
        _shown.pop()


def tell(now: Progress) -> None:
    """Hand it to whoever watches."""
    if _shown:
        _shown[-1](now)
