"""Lazy reading: the same values as numpy indexing, only what was asked for, from threads, forks and pickles."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bltvs_neuro.store.format.encode as encode
from bltvs_neuro.errors import StoreError
from bltvs_neuro.store import SiteLayout, StoreSpec, open_store, open_writer
from bltvs_neuro.store.format.frame import finished_frame
from bltvs_neuro.store.lazy import SiteReader
from bltvs_neuro.store.seal import ChunkReader

from . import made

SHAPE = (21, 3, 7)
DATA = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
LAYOUTS = (SiteLayout("V1/td", (1,), ("unit",), (5,)), SiteLayout("V1/bu", (0, 1, 2), ("unit",), (7,)))


@pytest.fixture(scope="module", params=["one file", "parts", "parts with gaps"])
def reader(request, tmp_path_factory):
    """A reader of DATA whose chunks are (8, 1, 3), in one file or in parts, of which some hold no whole chunks."""
    skipped = {3, 8, 9, 10, 11, 12, 13, 14, 15, 23} if request.param == "parts with gaps" else set()
    n = SHAPE[0] + len(skipped)
    spec = StoreSpec(LAYOUTS, 3, tuple(f"s{i}" for i in range(n)), {}, {})
    path = tmp_path_factory.mktemp("reader") / "acts.h5"
    kept = [i for i in range(n) if i not in skipped]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "CHUNK_BYTES", 4 * 8 * 3)
        with open_writer(path, spec) as writer:
            for block in writer.pending():
                with writer.part(block) as part:
                    for i in range(block.start, block.stop):
                        if i in skipped:
                            part.skip(f"s{i}", "unreadable")
                            continue
                        part.stimuli([f"s{i}"], ["0" * 64])
                        part.write("V1/td", 1, np.zeros((1, 5)))
                        for t in range(3):
                            part.write("V1/bu", t, DATA[[kept.index(i)], t])
            writer.finish(join="copy" if request.param == "one file" else "virtual")
        frame = finished_frame(path)
        reader = SiteReader(frame.sources, spec, "V1/bu", frame.n_chunked)
    assert (reader.chunk, reader.shape) == ((8, 1, 3), SHAPE)
    return reader


def keys(size: int):
    ends = st.one_of(st.none(), st.integers(-size - 2, size + 2))
    return st.one_of(
        st.integers(-size, size - 1),
        st.builds(slice, ends, ends, st.sampled_from([None, 1, 2, 5, 11, -1, -3])),
        st.lists(st.integers(-size, size - 1), max_size=12).map(lambda x: np.array(x, dtype=np.intp)),
    )


@settings(max_examples=300, deadline=None)
@given(key=st.tuples(*(keys(n) for n in SHAPE)))
def test_reading_is_outer_indexing(reader, key):
    want = DATA
    for axis in reversed(range(3)):
        want = want[(slice(None),) * axis + (key[axis],)]
    got = reader.read(key)
    assert got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("index", [21, -22])
def test_an_index_outside_is_an_error(reader, index):
    with pytest.raises(IndexError, match="size 21"):
        reader.read((index, slice(None), slice(None)))


@pytest.fixture(scope="module", params=["copy", "virtual"])
def store(tmp_path_factory, request):
    path = made.write(tmp_path_factory.mktemp("lazy") / "acts.h5", made.spec(), join=request.param)
    with open_store(path) as opened:
        yield opened


def test_only_what_is_asked_for_is_read(store, monkeypatch):
    read = []

    def counting(reader, number):
        read.append(number)
        return chunk(reader, number)

    chunk = ChunkReader.chunk
    monkeypatch.setattr(ChunkReader, "chunk", counting)
    data = store["V1/bu"]
    part = data.isel(stimulus=slice(3, 20, 2)).sel(timestep=2, channel=[0, 4]).transpose("x", ...)
    assert read == []
    assert part.shape == (3, 9, 2, 3)
    want = made.expected(made.spec(), "V1/bu")[3:20:2, 1][:, [0, 4]]
    np.testing.assert_array_equal(part.values, np.moveaxis(want, -1, 0))
    assert len(read) == 3  # of six chunks of stimuli at three timesteps
    store["V1/bu"].isel(stimulus=[1], timestep=0).load()
    assert len(read) == 4


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
        with pytest.raises(StoreError, match="part-0000040-0000044.h5 is missing: put it back"):
            store["V1/bu"].isel(stimulus=-1).load()
