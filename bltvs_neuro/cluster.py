"""The same function on many items: here, one after the other, or on the workers of a Dask cluster."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import BltvsError, SpecError

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
Cluster = Any
"""``"tcp://host:8786"`` or another address of a scheduler, ``"local:4"`` for four processes on this machine, or a
``distributed.Client``; None for this process."""

log = logging.getLogger(__name__)
_alone = threading.Lock()
CONNECT_SECONDS = 30


def map_tasks(
    function: Callable[..., Result], items: Sequence[Item], *, shared: tuple[Any, ...] = (),
    cluster: Cluster | None = None, done: Callable[[int, Result], None] | None = None,
) -> list[Result]:  # fmt: skip
    """``[function(item, *shared) for item in items]``.

    On a cluster each item is a task. A task whose worker dies is done again by another one; an error ends the others and is
    raised here. Warnings and log messages of a task are repeated here. A worker process runs one task at a time, however
    many threads it has: give workers one thread each.

    Parameters
    ----------
    function : callable
        Defined at the top of a module that the workers can import.
    items : sequence
    shared : tuple
        Further arguments; each worker receives them once.
    cluster : str, distributed.Client or None
        See :data:`Cluster`.
    done : callable, optional
        Receives position and result of each item as it is finished, in any order.
    """
    if cluster is None:
        results = []
        for index, item in enumerate(items):
            results.append(function(item, *shared))
            if done is not None:
                done(index, results[-1])
        return results
    with connected(cluster) as client:
        return _map(client, function, items, shared, done)


@contextmanager
def connected(cluster: Cluster) -> Iterator[Client]:
    """A client of the cluster that ``cluster`` names, closed at the end unless it was handed in."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise SpecError("a cluster needs the package distributed: pip install 'bltvs_neuro[cluster]'") from None
    if isinstance(cluster, Client):
        yield cluster
        return
    kind, _, rest = str(cluster).partition(":")
    if kind == "local":
        if not rest.isdigit() or not int(rest):
            raise SpecError(f"a local cluster is written local:N, for example local:4; got {cluster!r}")
        try:
            here = LocalCluster(n_workers=int(rest), threads_per_worker=1, dashboard_address=None)
        except RuntimeError as error:
            raise SpecError(
                f"the processes of a local cluster did not start ({error}); in a script they start it again: put what it "
                "does under `if __name__ == '__main__':`"
            ) from None
        with here, Client(here) as client:
            yield client
        return
    if "://" not in str(cluster):
        raise SpecError(f"a cluster is an address such as tcp://host:8786, or local:4; got {cluster!r}")
    try:
        client = Client(str(cluster), timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:  # a timeout is an OSError
        raise SpecError(f"no Dask scheduler answers at {cluster}: {error}") from None
    with client:
        yield client


def n_workers(client: Client) -> int:
    """Worker processes that the scheduler knows now, at least 1."""
    return max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def everywhere(client: Client, function: Callable[..., Result], *arguments: Any) -> list[Result]:
    """``function(*arguments)`` on each worker that there is now; its error is a SpecError that names the worker."""
    answers = client.run(function, *arguments, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, BaseException):
            raise SpecError(f"the worker {address} cannot do this: {answer}")
    return list(answers.values())


def _map(
    client: Client, function: Callable[..., Result], items: Sequence[Item], shared: tuple[Any, ...],
    done: Callable[[int, Result], None] | None,
) -> list[Result]:  # fmt: skip
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    with warnings.catch_warnings():
        # A task, not scattered data: what a worker held can be had again when that worker is gone.
        warnings.filterwarnings("ignore", message="Sending large graph")
        common = client.submit(_itself, _Packed.of(shared), pure=False)
        futures = [client.submit(_task, function, item, common, pure=False) for item in items]
    place = {future.key: index for index, future in enumerate(futures)}
    results: list[Any] = [None] * len(futures)
    try:
        for future in as_completed(futures):
            try:
                value, messages = future.result()
            except KilledWorker as error:
                raise BltvsError(
                    f"a task killed one worker after another, the last at {error.last_worker.address}; is there "
                    "enough memory for each worker?"
                ) from None
            except FutureCancelledError as error:
                raise BltvsError(f"the cluster lost or cancelled a task: {error}") from None
            for message in messages:
                _repeat(message)
            index = place[future.key]
            results[index] = value
            if done is not None:
                done(index, value)
    finally:
        client.cancel([*futures, common])
    return results


def _itself(value: Any) -> Any:
    return value


class _Packed:
    """Shared arguments as bytes, opened once by each worker, and handed on as they were packed, whatever a task did to them."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._opened: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, shared: tuple[Any, ...]) -> _Packed:
        from distributed.protocol.pickle import dumps

        return cls(dumps(shared))

    def open(self) -> tuple[Any, ...]:
        from distributed.protocol.pickle import loads

        if self._opened is None:
            self._opened = loads(self.content)
        return self._opened

    def __reduce__(self) -> tuple[Any, ...]:
        return _Packed, (self.content,)


def _task(function: Callable[..., Any], item: Any, shared: _Packed) -> tuple[Any, list[Any]]:
    """Run one item on a worker; returns its result, and its warnings and log messages."""
    handler = _Kept()
    logger = logging.getLogger("bltvs_neuro")
    with _alone, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        logger.addHandler(handler)
        try:
            value = function(item, *shared.open())
        finally:
            logger.removeHandler(handler)
    return value, [*handler.messages, *((w.category, str(w.message)) for w in caught)]


class _Kept(logging.Handler):
    """Warnings and errors of a task, which travel with its result.

    ``Client.forward_logging`` brings no Python warnings, does not say when the last message has come, and where workers are
    threads of this process it sends a message round without end.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append((record.name, record.levelno, record.getMessage()))


def _repeat(message: tuple[Any, ...]) -> None:
    if len(message) == 3:
        logging.getLogger(message[0]).log(message[1], "%s", message[2])
    elif issubclass(message[0], UserWarning):  # not the libraries' own complaints
        warnings.warn(message[1], message[0], stacklevel=4)
