"""Ctrl-C and SIGTERM end a run after its present step, with a checkpoint; workers leave both to the main process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def ignore_interrupts(worker: int) -> None:
    """Let a worker live through Ctrl-C, which goes to all processes of a terminal; the main process ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def stop_when_asked() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second SIGINT interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
