"""Costs of several ways to do the same thing, measured by turns in one run."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Seconds of one call.

    Attributes
    ----------
    cpu : float
        User and system time of all threads, and of child processes that ended during the call.
    wall : float
    """

    cpu: float
    wall: float


def cost_of(function: Callable[[], Any]) -> Cost:
    """Measure one call, the garbage of earlier ones collected."""
    gc.collect()
    before, started = cpu_seconds(), time.perf_counter()
    function()
    wall = time.perf_counter() - started
    return Cost(cpu_seconds() - before, wall)


def cpu_seconds() -> float:
    """CPU time so far, of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def interleaved(
    cases: Mapping[str, Callable[[], Any]], repeats: int = 5, *, warm_up: bool = True
) -> dict[str, list[Cost]]:
    """Measure every case once a round, for ``repeats`` rounds; the order turns around from round to round.

    Returns
    -------
    dict of str to list of Cost
        One cost per round, in the order of the rounds.
    """
    if warm_up:
        for function in cases.values():
            function()
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for turn in range(repeats):
        names = list(cases)
        for name in names if turn % 2 == 0 else reversed(names):
            costs[name].append(cost_of(cases[name]))
    return costs


def ratio(costs: Mapping[str, list[Cost]], name: str, baseline: str, what: str = "cpu") -> float:
    """Median over rounds of ``name``'s cost divided by ``baseline``'s in the same round."""
    pairs = zip(costs[name], costs[baseline], strict=True)
    return statistics.median(getattr(own, what) / getattr(other, what) for own, other in pairs)


def median(costs: list[Cost], what: str = "cpu") -> float:
    """Median over rounds, in seconds."""
    return statistics.median(getattr(cost, what) for cost in costs)
