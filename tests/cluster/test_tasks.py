"""Tasks on a cluster: order, errors, warnings, and workers that die."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from bltvs_neuro.cluster import map_tasks
from bltvs_neuro.errors import BltvsError, SpecError


def square(item: int, offset: int) -> int:
    if item == 13:
        raise SpecError("thirteen")
    if item == 14:
        import logging
        import warnings

        logging.getLogger("bltvs_neuro.somewhere").warning("fourteen")
        warnings.warn("a grid's edge", UserWarning, stacklevel=1)
    return item * item + offset


def die_once(item: int, marker: Path) -> int:
    if item == 2 and not marker.exists():
        marker.write_text("dead")
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def always_die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


class Box:
    """Something that a task changes while it works on it."""


def change(item: int, box: Box) -> tuple[int, bool]:
    fresh = not hasattr(box, "lock")
    box.lock = threading.Lock()  # cannot be sent to another process, as hooks on a model cannot
    time.sleep(0.3)
    return os.getpid(), fresh


def test_a_worker_that_comes_later_gets_what_is_shared_as_it_was():
    distributed = pytest.importorskip("distributed")
    options = dict(threads_per_worker=1, host="127.0.0.1", dashboard_address=None, protocol="tcp")
    with distributed.LocalCluster(n_workers=1, **options) as cluster, distributed.Client(cluster) as one:
        more = []

        def scale(index: int, result: tuple[int, bool]) -> None:
            if not more:
                more.append(index)
                cluster.scale(2)
                one.wait_for_workers(2, timeout=60)

        found = map_tasks(change, range(30), shared=(Box(),), cluster=one, done=scale)
    workers = {pid for pid, _ in found}
    assert len(workers) == 2
    assert sorted(pid for pid, fresh in found if fresh) == sorted(workers)  # opened once by each


def test_tasks_are_in_order_and_their_warnings_arrive(client, caplog):
    seen = []
    assert map_tasks(square, [3, 1, 2], shared=(10,), cluster=client, done=lambda i, r: seen.append((i, r))) == [
        19,
        11,
        14,
    ]
    assert sorted(seen) == [(0, 19), (1, 11), (2, 14)]
    assert map_tasks(square, [3, 1, 2], shared=(10,)) == [19, 11, 14]
    with pytest.raises(SpecError, match="thirteen"):
        map_tasks(square, [1, 13], shared=(0,), cluster=client)
    with pytest.warns(UserWarning, match="a grid's edge"):
        map_tasks(square, [14], shared=(0,), cluster=client)
    assert "fourteen" in caplog.text


def test_a_task_whose_worker_dies_is_done_again(client, tmp_path):
    assert map_tasks(die_once, [1, 2, 3], shared=(tmp_path / "marker",), cluster=client) == [1, 2, 3]
    assert (tmp_path / "marker").exists()


def test_a_task_that_kills_every_worker_is_an_error(client, monkeypatch):
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 1))
    try:
        with pytest.raises(BltvsError, match="a task killed one worker after another"):
            map_tasks(always_die, [1], cluster=client)
    finally:
        client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3))


def test_a_cluster_that_is_not_there_is_an_error(monkeypatch):
    with pytest.raises(SpecError, match="local:N"):
        map_tasks(square, [1], shared=(1,), cluster="local:none")
    with pytest.raises(SpecError, match="a cluster is an address such as tcp"):
        map_tasks(square, [1], shared=(1,), cluster="somewhere")
    monkeypatch.setattr("bltvs_neuro.cluster.CONNECT_SECONDS", 0.3)
    with pytest.raises(SpecError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        map_tasks(square, [1], shared=(1,), cluster="tcp://127.0.0.1:1")
