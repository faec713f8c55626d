"""Peak memory does not depend on how many stimuli there are; what is written is written while the model computes."""

from __future__ import annotations

import threading

import pytest

from bltvs_neuro.extraction.background import Background

from ..benchmarks.memory import peak_of
from ..benchmarks.memory_of_extraction import extract_v1


@pytest.mark.parametrize(
    ("few", "many"), [(64, 400), pytest.param(200, 2000, marks=pytest.mark.slow)], ids=["hundreds", "thousands"]
)
def test_peak_memory_is_the_same_for_few_and_many_stimuli(few, many):
    for _ in range(
        3
    ):  # what waits to be written is bounded, but more waits on a busy disk; growth would fail each time
        small, large = (peak_of(extract_v1, n=n, workers=0)[1] for n in (few, many))
        if large < 1.1 * small:
            return
    pytest.fail(f"{few}: {small >> 20} MiB, {many}: {large >> 20} MiB")


def test_what_waits_is_bounded_in_bytes():
    go, seen = threading.Event(), []

    def consume(items):
        for item in items:
            go.wait(5)
            seen.append(item)

    with Background[int](consume, limit=10) as background:
        putting = threading.Thread(target=lambda: [background.put(i, 4) for i in range(8)])
        putting.start()
        putting.join(0.2)
        waiting = len(background._waiting)
        assert putting.is_alive()
        assert waiting <= 2
        go.set()
        putting.join(5)
    assert seen == list(range(8))


def test_an_item_larger_than_the_limit_goes_through():
    seen = []
    with Background[int](seen.extend, limit=10) as background:
        for i in range(3):
            background.put(i, 100)
    assert seen == [0, 1, 2]


def test_an_error_beside_is_raised_here_and_nobody_waits_for_ever():
    def consume(items):
        next(items)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"), Background[int](consume, limit=1) as background:  # noqa: PT012
        for i in range(100):
            background.put(i, 1)


def test_an_error_here_lets_what_waits_be_written_and_then_unwinds():
    seen, unwound = [], []

    def consume(items):
        try:
            for item in items:
                seen.append(item)
        except BaseException as error:
            unwound.append(type(error).__name__)
            raise

    with pytest.raises(ValueError, match="a picture"), Background[int](consume) as background:  # noqa: PT012
        for i in range(5):
            background.put(i)
        raise ValueError("a picture")
    assert seen == [0, 1, 2, 3, 4]
    assert unwound == ["Dropped"]
