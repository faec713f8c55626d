"""Lazy reading: the same values as numpy indexing, only what was asked for, from threads, forks and pickles."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bltvs_neuro.store.lazy as lazy
from bltvs_neuro.errors import StoreError
from bltvs_neuro.store import open_store

from . import made

SHAPE, CHUNKS = (21, 3, 7), (8, 1, 3)
DATA = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


@pytest.fixture(scope="module")
def dataset():
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        yield file.create_dataset("a", data=DATA, chunks=CHUNKS)


def keys(size: int):
    ends = st.one_of(st.none(), st.integers(-size - 2, size + 2))
    return st.one_of(
        st.integers(-size, size - 1),
        st.builds(slice, ends, ends, st.sampled_from([None, 1, 2, 5, 11, -1, -3])),
        st.lists(st.integers(-size, size - 1), max_size=12).map(lambda x: np.array(x, dtype=np.intp)),
    )


@settings(max_examples=300, deadline=None)
@given(key=st.tuples(*(keys(n) for n in SHAPE)))
def test_reading_is_outer_indexing(dataset, key):
    want = DATA
    for axis in reversed(range(3)):
        want = want[(slice(None),) * axis + (key[axis],)]
    got = lazy.read_outer(dataset, key, CHUNKS)
    assert got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("index", [21, -22])
def test_an_index_outside_is_an_error(dataset, index):
    with pytest.raises(IndexError, match="size 21"):
        lazy.read_outer(dataset, (index, slice(None), slice(None)), CHUNKS)


@pytest.fixture(scope="module", params=["copy", "virtual"])
def store(tmp_path_factory, request):
    path = made.write(tmp_path_factory.mktemp("lazy") / "acts.h5", made.spec(), join=request.param)
    with open_store(path) as opened:
        yield opened


def test_only_what_is_asked_for_is_read(store, monkeypatch):
    read = []

    def counting(dataset, key, chunks):
        values = lazy_read(dataset, key, chunks)
        read.append(values.size)
        return values

    lazy_read = lazy.read_outer
    monkeypatch.setattr(lazy, "read_outer", counting)
    data = store["V1/bu"]
    part = data.isel(stimulus=slice(3, 20, 2)).sel(timestep=2, channel=[0, 4]).transpose("x", ...)
    assert read == []
    assert part.shape == (3, 9, 2, 3)
    want = made.expected(made.spec(), "V1/bu")[3:20:2, 1][:, [0, 4]]
    np.testing.assert_array_equal(part.values, np.moveaxis(want, -1, 0))
    assert read == [9 * 2 * 3 * 3]


def test_threads_read_at_once(store):
    want = made.expected(made.spec(), "V1/bu")
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda i: store["V1/bu"].isel(stimulus=i).values, range(made.N)))
    np.testing.assert_array_equal(np.stack(rows), want)


def test_a_pickled_array_reads_from_its_own_handle(store):
    copy = pickle.loads(pickle.dumps(store["V4/td"]))
    np.testing.assert_array_equal(copy.values, made.expected(made.spec(), "V4/td"))


def _sum(data, out) -> None:
    out.put(float(data.isel(stimulus=40).values.sum()))


def test_a_forked_process_reads(store):
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    store["V4/td"].isel(stimulus=0).load()
    child = context.Process(target=_sum, args=(store["V4/td"], out))
    child.start()
    assert out.get(timeout=20) == pytest.approx(made.expected(made.spec(), "V4/td")[40].sum(), abs=1e-4)
    child.join(20)
    assert child.exitcode == 0
    np.testing.assert_array_equal(store["V4/td"].values, made.expected(made.spec(), "V4/td"))


def test_a_part_that_vanishes_while_the_store_is_open_is_an_error(tmp_path: Path):
    path = made.write(tmp_path / "acts.h5", made.spec(), join="virtual")
    with open_store(path) as store:
        sorted(Path(f"{path}.parts").glob("part-*.h5"))[-1].unlink()
        with pytest.raises(StoreError, match="1 of 6 parts of .* are missing"):
            store["V1/bu"].isel(stimulus=-1).load()
