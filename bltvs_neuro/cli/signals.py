"""Ctrl-C and SIGTERM end a command, whatever it is doing: also while its libraries are loaded.

Python turns Ctrl-C into an exception, which code that catches too much can swallow: an import that tries several
libraries, a callback, a destructor. So the process ends at once while modules are imported and before and after a command is
at work (nothing is being written then that would not be swept), and an exception that Python ignores is raised again.
Nothing here imports more than the standard library, so that it is in place early.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

AGAIN_SECONDS = 0.05
_arrived: list[int] = []
_at_work: list[bool] = []
_owner = os.getpid()


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM has arrived."""


def watch() -> None:
    """Let both signals end this process; a signal that whoever started it wants ignored stays ignored."""
    global _owner
    _owner = os.getpid()
    _arrived.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _arrive)
    sys.unraisablehook = _unraisable


@contextlib.contextmanager
def at_work() -> Iterator[None]:
    """While this lasts a signal is an exception, so that what is being done can be left in order."""
    _at_work.append(True)
    try:
        yield
    finally:
        _at_work.pop()


def exit_code() -> int:
    """128 and the number of the signal, as shells have it."""
    return 128 + (_arrived[0] if _arrived else signal.SIGINT)


def arrived() -> bool:
    """Whether one of the signals has come."""
    return bool(_arrived)


def _arrive(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _owner:  # a forked worker: it goes as if nobody were watching
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    impatient = len(_arrived) > 2
    _arrived.append(number)
    if impatient or not _at_work or _importing(frame):
        _end()
    raise Stopped


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _unraisable(found: Any) -> None:
    if not issubclass(found.exc_type, KeyboardInterrupt) or os.getpid() != _owner:
        sys.__unraisablehook__(found)
        return
    # once more, when the destructor or callback that it fell into (a loader that waits for its workers, say) is over
    again = threading.Timer(AGAIN_SECONDS, os.kill, (_owner, _arrived[0] if _arrived else signal.SIGINT))
    again.daemon = True
    again.start()


def _end() -> None:
    """End now: no clean-up, which may be what hangs."""
    with contextlib.suppress(OSError):
        # the cursor, which a progress bar may have hidden, and the line
        os.write(2, b"\x1b[?25h\ninterrupted\n" if os.isatty(2) else b"interrupted\n")
    os._exit(exit_code())
