"""One thread that writes while the model computes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")

WAITING_BYTES = 64 << 20
"""What may wait to be written: enough for the writing thread to be late, and less than a tenth of what torch itself takes."""


class Dropped(Exception):
    """The items end here because an error is under way elsewhere; what was begun must not be finished."""


class Background(Generic[Item]):
    """Feeds what is put to ``consume``, which runs in a thread of its own over an iterator of the items, in order.

    At most ``limit`` bytes wait, and always one item. An error of ``consume`` is raised by the next :meth:`put`, or on
    leaving the context. When the context is left with an error, the iterator gives what still waits and then raises
    :class:`Dropped`, so that the ``with`` blocks of ``consume`` unwind.
    """

    def __init__(self, consume: Callable[[Iterator[Item]], None], limit: int = WAITING_BYTES) -> None:
        self._consume, self._limit = consume, limit
        self._waiting: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._ended = self._failed = self._stopped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="bltvs-writer", daemon=True)

    def __enter__(self) -> Background[Item]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended, self._failed = True, kind is not None
            self._changed.notify_all()
        try:
            self._thread.join()
        except BaseException:  # interrupted once more, while the rest is written
            with self._changed:
                self._failed = True
                self._waiting.clear()
            self._thread.join()
            raise
        if kind is None:
            self._check()

    def put(self, item: Item, nbytes: int = 0) -> None:
        """Hand over ``item``; waits while more than the limit is waiting. Raises an error of ``consume``."""
        with self._changed:
            while self._waiting and self._bytes + nbytes > self._limit and not self._stopped:
                self._changed.wait()
            self._check()
            self._waiting.append((item, nbytes))
            self._bytes += nbytes
            self._changed.notify_all()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _items(self) -> Iterator[Item]:
        while True:
            with self._changed:
                while not self._waiting and not self._ended:
                    self._changed.wait()
                if not self._waiting:
                    if self._failed:
                        raise Dropped
                    return
                item, nbytes = self._waiting.popleft()
                self._bytes -= nbytes
                self._changed.notify_all()
            yield item
            del item

    def _work(self) -> None:
        try:
            self._consume(self._items())
        except Dropped:
            pass
        except BaseException as error:  # raised by put() and __exit__
            self._error = error
        finally:
            with self._changed:
                self._stopped = True
                self._waiting.clear()
                self._changed.notify_all()
