"""Joining and publishing: copies and virtual stores agree, shards share a store, failures leave the parts alone."""

from __future__ import annotations

import errno
import gc
import os
import signal
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

import bltvs_neuro.store.parts.lock as lock
import bltvs_neuro.store.parts.sink as sink
from bltvs_neuro.errors import OutputError, SpecError, StoreError, spelled_as
from bltvs_neuro.store import SiteLayout, StoreSpec, describe, join_store, open_store, open_writer, verify
from bltvs_neuro.store.parts.sink import Sink

from . import made


def write_blocks(path: Path, blocks: range) -> None:
    spec = made.spec()
    with open_writer(path, spec, share=blocks) as writer:
        for block in writer.pending():
            with writer.part(block) as part:
                fill(part, spec, range(block.start, block.stop))


def fill(part, spec: StoreSpec, rows: range) -> None:
    for layout in spec.sites:
        for t in layout.timesteps:
            part.write(layout.site, t, np.stack([made.values(layout.site, t, r, layout.shape) for r in rows]))
    part.stimuli([spec.stimulus_ids[r] for r in rows], [f"{r:064x}" for r in rows])


@pytest.mark.parametrize("keep_bits", [None, 10, 7])
@pytest.mark.parametrize("skip", [(), (3, 17)])
def test_virtual_and_copied_stores_hold_the_same_bytes(tmp_path, keep_bits, skip):
    spec = made.spec(keep_bits=keep_bits)
    copied = made.write(tmp_path / "copied.h5", spec, skip=skip, join="copy")
    virtual = made.write(tmp_path / "virtual.h5", spec, skip=skip, join="virtual")
    assert not Path(f"{copied}.parts").exists()
    with open_store(copied) as a, open_store(virtual) as b:
        for site in a:
            assert a[site].values.tobytes() == b[site].values.tobytes()
            assert a[site].identical(b[site])
    assert [describe(p)["joined"] for p in (copied, virtual)] == ["copy", "virtual"]


def test_a_virtual_store_can_be_moved(tmp_path, monkeypatch):
    path = made.write(tmp_path / "acts.h5", made.spec(), join="virtual")
    (tmp_path / "elsewhere").mkdir()
    os.rename(f"{path}.parts", tmp_path / "elsewhere" / "acts.h5.parts")
    moved = path.rename(tmp_path / "elsewhere" / "other-name.h5")
    monkeypatch.chdir("/")
    with open_store(moved) as store:
        np.testing.assert_array_equal(store["V1/bu"].values, made.expected(made.spec(), "V1/bu"))


def test_shards_share_a_store_and_the_last_one_joins(tmp_path):
    path = tmp_path / "acts.h5"
    write_blocks(path, range(3, 6))
    with (
        open_writer(path, made.spec(), share=range(3, 6)) as writer,
        pytest.raises(StoreError, match="3 of 6 blocks .* are not written yet"),
    ):
        writer.finish()
    write_blocks(path, range(0, 3))
    with open_writer(path, made.spec()) as writer:
        assert list(writer.pending()) == []
        assert list(writer.recorded()) == list(made.spec().stimulus_ids)
        writer.finish()
    with open_store(path) as store:
        np.testing.assert_array_equal(store["V4/td"].values, made.expected(made.spec(), "V4/td"))


def test_a_complete_store_has_nothing_pending_and_finishes_at_once(tmp_path):
    path = made.write(tmp_path / "acts.h5", made.spec())
    before = path.stat()
    with open_writer(path, made.spec()) as writer:
        assert writer.complete
        assert list(writer.pending()) == []
        assert writer.recorded()["stimulus.3.png"] == f"{3:064x}"
        assert writer.finish() == path
    assert path.stat() == before


def test_a_block_that_is_not_whole_is_no_part(tmp_path):
    spec = made.spec()
    with open_writer(tmp_path / "acts.h5", spec) as writer:
        block = next(writer.pending())
        rows = range(8)
        with pytest.raises(SpecError, match="V4/td at timestep 3 has 0 of 8 rows"), writer.part(block) as part:  # noqa: PT012
            part.stimuli([spec.stimulus_ids[r] for r in rows], ["0" * 64] * 8)
            for site, t in (("V1/bu", 1), ("V1/bu", 2), ("V1/bu", 3), ("V4/td", 2)):
                part.write(site, t, np.zeros((8, *spec.layouts[site].shape), np.float32))
        with (
            pytest.raises(SpecError, match="'stimulus.1.png' where 'stimulus.0.png' is due"),
            writer.part(block) as part,
        ):
            part.stimuli(["stimulus.1.png"], ["0" * 64])
        for site, t, count, message in (
            ("V1/td", 1, 1, "site 'V1/td' is not in the spec; it has V1/bu, V4/td"),
            ("V1/bu", 0, 1, "V1/bu has the timesteps 1, 2, 3, not 0"),
            ("V1/bu", 1, 9, "9 rows for a block of 8 stimuli"),
        ):
            with pytest.raises(SpecError, match=message), writer.part(block) as part:
                part.write(site, t, np.zeros((count, 5, 3, 3), np.float32))
        with pytest.raises(SpecError, match=r"rows must have shape \(k, 5, 3, 3\)"), writer.part(block) as part:
            part.write("V1/bu", 1, np.zeros((1, 5, 3), np.float32))
        assert [p.name for p in Path(f"{tmp_path}/acts.h5.parts").iterdir() if p.suffix != ".json"] == ["lock"]


def test_a_disk_that_fills_up_at_any_write_is_one_sentence_and_no_crash(tmp_path, monkeypatch):
    """The n-th write of the process fails, for every 13th n until one run has no failure."""
    real = os.pwrite
    spec = made.spec(n=16)
    failures = 0
    for n in range(0, 400, 13):
        left = [n]

        def failing(fd, data, offset, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(fd, data, offset)

        path = tmp_path / f"{n}.h5"
        monkeypatch.setattr(sink.os, "pwrite", failing)
        said = ""
        try:
            made.write(path, spec)
        except (OutputError, StoreError) as error:
            said = str(error)
        finally:
            monkeypatch.setattr(sink.os, "pwrite", real)
        if not said:
            break
        failures += 1
        assert "No space left on device" in said
        gc.collect()
        assert not path.exists()
        assert not list(tmp_path.rglob("*.tmp"))
        made.write(path, spec)
        assert verify(path).ok
    assert failures > 3


def test_the_caller_s_own_errors_pass_through(tmp_path):
    with open_writer(tmp_path / "acts.h5", made.spec()) as writer:
        block = next(writer.pending())
        with pytest.raises(FileNotFoundError, match="image.png"), writer.part(block):
            (tmp_path / "image.png").read_bytes()
        assert next(writer.pending()) == block


def test_ctrl_c_inside_a_write_leaves_a_resumable_store(tmp_path, monkeypatch):
    real = os.pwrite
    left = [40]

    def interrupted(fd, data, offset):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return real(fd, data, offset)

    monkeypatch.setattr(sink.os, "pwrite", interrupted)
    path = tmp_path / "acts.h5"
    with pytest.raises(KeyboardInterrupt):
        made.write(path, made.spec())
    made.write(path, made.spec())
    assert verify(path).ok


def test_nothing_is_published_before_it_is_synced(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(sink.os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1])
    made.write(tmp_path / "acts.h5", made.spec(n=8))
    # the folder of parts; then the spec, the part, the finished file
    assert calls == ["fsync"] + ["fsync", "replace", "fsync"] * 3


def test_a_sink_gives_back_what_it_could_not_write(tmp_path):
    file = Sink(tmp_path / "x")
    file.error = OSError("full")
    file.seek(10)
    file.write(memoryview(b"metadata"))
    file.seek(8)
    buffer = bytearray(12)
    file.readinto(memoryview(buffer))
    assert bytes(buffer) == b"\0\0metadata\0\0"
    with pytest.raises(OSError, match="full"):
        file.check()
    file.close()


def test_values_that_are_not_finite_are_recorded(tmp_path):
    layout = SiteLayout("V1/bu", (0,), ("component",), (4,))
    spec = StoreSpec((layout,), 1, tuple(f"s{i}" for i in range(8)), {}, {"model": "m"})
    rows = np.zeros((8, 4), np.float32)
    rows[2, 1], rows[3] = np.nan, np.inf
    with open_writer(tmp_path / "acts.h5", spec) as writer:
        for block in writer.pending():
            with writer.part(block) as part:
                part.write("V1/bu", 0, rows)
                part.stimuli(spec.stimulus_ids, ["0" * 64] * 8)
        path = writer.finish()
    with open_store(path) as store:
        np.testing.assert_array_equal(store.at("V1/bu", 0).values, rows)
        assert store.provenance["nonfinite"] == {"V1/bu@0": 5}
    assert verify(path).ok


def test_memory_does_not_grow_with_the_block(tmp_path):
    """Batches of whole chunks pass through; what is buffered is no more than a chunk of rows for each timestep."""
    layout = SiteLayout("V1/bu", (0, 1), ("channel", "y", "x"), (64, 16, 16))  # 64 KiB a row
    peaks = []
    for n in (64, 256):
        spec = StoreSpec((layout,), 2, tuple(map(str, range(n))), {}, {}, block=n)
        rows = np.ones((4, 64, 16, 16), np.float32)
        with open_writer(tmp_path / f"{n}.h5", spec) as writer:
            tracemalloc.start()
            for block in writer.pending():
                with writer.part(block) as part:
                    for start in range(0, n, 4):
                        for t in (0, 1):
                            part.write("V1/bu", t, rows)
                        part.stimuli(spec.stimulus_ids[start : start + 4], ["0" * 64] * 4)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    # two columns gather a chunk each, one chunk is encoded, and the checksum has its tiles
    assert max(peaks) < 5 * 8 * rows[0].nbytes
    assert peaks[1] < 1.2 * peaks[0]


def test_more_parts_than_open_files_are_read(tmp_path):
    import resource

    path = made.write(tmp_path / "acts.h5", made.spec(), join="virtual")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, hard))
    try:
        with open_store(path) as store:
            np.testing.assert_array_equal(store["V1/bu"].values, made.expected(made.spec(), "V1/bu"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_flipped_bit_in_a_part_of_a_virtual_store_is_an_error(tmp_path):
    path = made.write(tmp_path / "acts.h5", made.spec(), join="virtual")
    part = sorted(Path(f"{path}.parts").glob("part-*.h5"))[1]
    with h5py.File(part) as file:
        at = file["V4/td/activations"].id.get_chunk_info(0).byte_offset
    data = bytearray(part.read_bytes())
    data[at] ^= 1
    part.write_bytes(data)
    with (
        open_store(path) as store,
        pytest.raises(StoreError, match="part-0000008-0000016.h5 is damaged: activations are not"),
    ):
        store["V4/td"].load()
    assert "V4/td at timestep 2, stimuli 8 to 15 (stimulus.8.png to stimulus.15.png)" in str(verify(path))


def test_a_part_of_another_extraction_is_found_out(tmp_path):
    path = made.write(tmp_path / "acts.h5", made.spec(), join="virtual")
    other = made.write(tmp_path / "other.h5", made.spec(weights_sha256="1" * 64), join="virtual")
    name = sorted(Path(f"{path}.parts").glob("part-*.h5"))[1].name
    (Path(f"{path}.parts") / name).write_bytes((Path(f"{other}.parts") / name).read_bytes())
    assert f"{name}: it is no part of this store" in str(verify(path))


def test_starting_anew_leaves_what_is_not_ours(tmp_path):
    path = tmp_path / "acts.h5"
    write_blocks(path, range(0, 2))
    folder = Path(f"{path}.parts")
    (folder / "notes.txt").write_text("mine")
    made.write(path, made.spec(model="other"), resume=False)
    assert [p.name for p in folder.iterdir()] == ["notes.txt"]
    path.write_text("mine as well")
    with pytest.raises(StoreError, match="is not an activation store; choose another path"):
        made.write(path, made.spec(), resume=False)
    assert path.read_text() == "mine as well"
    with pytest.raises(StoreError, match="is a folder"):
        made.write(tmp_path, made.spec())


def test_a_damaged_part_is_done_again(tmp_path, caplog):
    path = tmp_path / "acts.h5"
    write_blocks(path, range(0, 2))
    part = sorted(Path(f"{path}.parts").glob("part-*.h5"))[0]
    part.write_bytes(part.read_bytes()[:1000])
    assert made.write(path, made.spec()) == path
    assert f"{part} is damaged: the seal at its end is missing" in caplog.text
    assert "stimuli 0 to 7 are done again" in caplog.text
    with open_store(path) as store:
        np.testing.assert_array_equal(store["V1/bu"].values, made.expected(made.spec(), "V1/bu"))


def test_one_writer_after_another_in_one_process(tmp_path):
    """The folder of parts goes away at the end of the first; the second must not wait for a lock that is gone."""
    path = tmp_path / "acts.h5"
    spec = made.spec(n=8)
    with open_writer(path, spec) as first:
        with first.part(next(first.pending())) as part:
            fill(part, spec, range(8))
        first.finish()
        with open_writer(path, spec, resume=False) as second:
            assert len(list(second.pending())) == 1


def test_an_earlier_store_stays_until_the_new_one_is_whole(tmp_path):
    path = made.write(tmp_path / "acts.h5", made.spec())
    before, other = path.read_bytes(), made.spec(model="other")
    with open_writer(path, other, resume=False) as writer:
        blocks = list(writer.pending())
        with writer.part(blocks[0]) as part:
            fill(part, other, range(8))
    assert path.read_bytes() == before
    assert describe(path)["finished"] and verify(path).ok
    with pytest.raises(StoreError, match="5 of 6 blocks"):
        join_store(path)
    with open_writer(path, other) as writer:  # another process, or the same command after a kill, goes on
        assert list(writer.pending()) == blocks[1:]
    assert made.write(path, other) == path
    assert describe(path)["identity"]["model"] == "other"
    assert made.write(path, other) == path  # now it is finished
    assert sorted(file.name for file in tmp_path.iterdir()) == ["acts.h5"]


def test_a_damaged_store_is_replaced_by_a_sound_one(tmp_path):
    path = made.write(tmp_path / "acts.h5", made.spec())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StoreError, match="is damaged"):
        made.write(path, made.spec())
    assert verify(made.write(path, made.spec(), resume=False)).ok


def test_a_virtual_store_that_is_replaced_goes_with_its_parts(tmp_path):
    path = made.write(tmp_path / "acts.h5", made.spec(), join="virtual")
    with open_writer(path, made.spec(model="other"), resume=False) as writer:
        assert len(list(writer.pending())) == 6
    assert not path.exists()


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "acts.h5"
    with open_writer(path, made.spec(n=8)) as writer:
        with writer.part(next(writer.pending())) as part:
            fill(part, made.spec(n=8), range(8))
        path.write_text("somebody else's")
        with pytest.raises(StoreError, match="is not an activation store"):
            writer.finish()
    assert path.read_text() == "somebody else's"


def test_blocks_are_claimed_before_another_writer_sets_up(tmp_path, monkeypatch):
    """Between discarding what is there and claiming blocks nobody else can begin."""
    held = []
    real = lock.Claim.acquire

    def noted(claim, *, wait=False):
        held.append((claim.start, sorted(start for shared in lock._table.values() for start, _ in shared.claims)))
        return real(claim, wait=wait)

    monkeypatch.setattr(lock.Claim, "acquire", noted)
    for resume in (True, False):
        with open_writer(tmp_path / "acts.h5", made.spec(), resume=resume):
            pass
    assert [(start, lock.SETUP in already) for start, already in held if start != lock.SETUP] == [
        (lock.FIRST_BLOCK, True)
    ] * 3


def test_a_pipe_in_place_of_the_spec_is_not_waited_for(tmp_path):
    folder = tmp_path / "acts.h5.parts"
    folder.mkdir()
    os.mkfifo(folder / "spec.json")
    path = tmp_path / "acts.h5"
    for use in (describe, verify, open_store, join_store, lambda path: made.write(path, made.spec())):
        with pytest.raises(StoreError, match="is a named pipe and no file"):
            use(path)
    for use in (describe, verify, open_store, join_store):
        with (
            spelled_as({"*": "--{name}"}),
            pytest.raises(StoreError, match="start anew with `bltvs extract --overwrite`"),
        ):
            use(path)
