"""One thread that writes while the model computes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType


class Background:
    """Runs tasks one after the other in a thread; at most ``depth`` wait, so that memory stays bounded.

    An error of a task stops the thread from taking up further ones and is raised by the next call from outside. On
    leaving the context, waiting tasks are finished if all is well and dropped if an error is under way.
    """

    def __init__(self, depth: int = 2) -> None:
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=depth)
        self._error: BaseException | None = None
        self._drop = False
        self._thread = threading.Thread(target=self._work, name="bltvs-writer", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop = kind is not None
        self._tasks.put(None)
        self._thread.join()
        if kind is None:
            self.check()

    def submit(self, task: Callable[[], None]) -> None:
        """Queue ``task``; waits while ``depth`` tasks are ahead. Raises the error of an earlier task."""
        self.check()
        self._tasks.put(task)

    def check(self) -> None:
        """Raise the error of an earlier task, if there was one."""
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            if self._error is None and not self._drop:
                try:
                    task()
                except BaseException as error:  # handed to the caller by check()
                    self._error = error
