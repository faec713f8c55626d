"""The frame of the benchmarks on toy cases: a benchmark that measures wrongly is worse than none."""

from __future__ import annotations

import importlib
import inspect
import time

import numpy as np
import pytest

from . import BENCHMARKS, __main__
from .memory import peak_of
from .tables import Table, ratio_rows
from .timing import Cost, interleaved, ratio


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_cpu_and_wall_time_are_told_apart():
    costs = interleaved({"busy": lambda: spin(0.05), "idle": lambda: time.sleep(0.05)}, repeats=3)
    assert all(cost.cpu == pytest.approx(0.05, rel=0.3) for cost in costs["busy"])
    assert all(cost.cpu < 0.02 and cost.wall >= 0.05 for cost in costs["idle"])


def test_cases_take_turns_and_the_order_turns_around():
    calls: list[str] = []
    interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2)
    assert calls == ["a", "b", "a", "b", "b", "a"]


def test_ratios_are_taken_within_rounds():
    costs = {"a": [Cost(2, 1), Cost(20, 1), Cost(6, 1)], "b": [Cost(1, 1), Cost(10, 2), Cost(3, 4)]}
    assert ratio(costs, "a", "b") == 2
    assert ratio(costs, "a", "b", "wall") == 0.5
    table = Table("t", ratio_rows(costs, "b"), "note").markdown()
    assert "| a | 6 | 1 | 2 | 0.5 |" in table


def allocate(megabytes: int) -> int:
    return int(np.ones(megabytes << 17).sum() * 8)


def test_peak_memory_is_that_of_the_function_not_of_this_process():
    large = np.ones(512 << 17)
    small, more = peak_of(allocate, megabytes=1)[1], peak_of(allocate, megabytes=200)[1]
    assert more - small == pytest.approx(199 << 20, rel=0.1)
    assert small < large.nbytes


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_called(name):
    module = importlib.import_module(f"tests.benchmarks.{name}")
    assert list(inspect.signature(module.measure).parameters) == ["full"]


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        __main__.main(["speed"])
    assert "unknown benchmark 'speed'; there are: forward" in capsys.readouterr().err
