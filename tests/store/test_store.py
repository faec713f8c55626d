"""The store: what is written is read, by everybody; killed, cut, flipped or full, nothing is lost or wrong in silence."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.errors import SpecError, StoreError
from bltvs_neuro.store import describe, open_store, open_writer, verify
from bltvs_neuro.store.format.encode import round_mantissa

from . import made

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return made.write(tmp_path_factory.mktemp("store") / "acts.h5", made.spec())


def child(path: Path, wait: float, *limit: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.store.made", str(path), str(wait), *map(str, limit)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def same_arrays(a: Path, b: Path) -> bool:
    with open_store(a) as one, open_store(b) as two:
        return one.sites == two.sites and all(one[s].values.tobytes() == two[s].values.tobytes() for s in one)


def test_what_is_written_is_read(finished):
    spec = made.spec()
    with open_store(finished) as store:
        assert store.sites == ("V1/bu", "V4/td")
        for site in store:
            data = store[site]
            np.testing.assert_array_equal(data.values, made.expected(spec, site))
            assert data["stimulus_id"].values.tolist() == list(spec.stimulus_ids)
        assert store["V1/bu"].dims == ("stimulus", "timestep", "channel", "y", "x")
        assert store["V1/bu"]["y"].values.tolist() == [0, 8, 16]
        assert store["V4/td"]["timestep"].values.tolist() == [2, 3]
        assert store["V4/td"]["status"].values.tolist() == ["constant", "active"]
        assert [store.status("V4/td", t) for t in range(4)] == ["absent", "absent", "constant", "active"]
        assert store.stimuli["category"].tolist() == ["a", "b"] * 22
        assert store.provenance["model"] == "test"
        np.testing.assert_array_equal(store.at("V4/td", 3).values, made.expected(spec, "V4/td")[:, 1])
        with pytest.raises(
            SpecError, match=r"absent at timestep 0 \(its onset is 1\); the store has timesteps 1, 2, 3"
        ):
            store.at("V1/bu", 0)
        with pytest.raises(SpecError, match=r"unknown site 'V4/bu' \(did you mean 'V1/bu'\?\)"):
            store["V4/bu"]


def test_reading_is_lazy(finished):
    with open_store(finished) as store:
        data = store["V1/bu"]
        some = data.isel(stimulus=[40, 3, 3], timestep=-1, channel=slice(1, 4, 2))
        whole = made.expected(made.spec(), "V1/bu")
        np.testing.assert_array_equal(some.values, whole[[40, 3, 3], -1, 1:4:2])
    with pytest.raises(StoreError, match="was closed"):
        data.values  # noqa: B018


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_every_netcdf_reader_reads_it(finished, engine):
    root = xr.open_dataset(finished, engine=engine)
    assert root["stimulus_id"].values.tolist() == list(made.spec().stimulus_ids)
    assert root["size"].values.tolist() == [i / 2 for i in range(made.N)]
    assert root["status"].values.tolist() == [[0, 1, 1, 1], [0, 0, 2, 1]]
    assert root["status"].attrs["flag_meanings"] == "absent active constant"
    site = xr.open_dataset(finished, engine=engine, group="V4/td")
    np.testing.assert_array_equal(site["activations"].values, made.expected(made.spec(), "V4/td"))
    assert site["activations"].dims == ("stimulus", "timestep", "component")
    assert site["stimulus_id"].values.tolist() == list(made.spec().stimulus_ids)
    if hasattr(xr, "open_datatree"):
        tree = xr.open_datatree(finished, engine=engine)
        assert tree["V1/bu"]["activations"].shape == (made.N, 3, 5, 3, 3)


def test_h5py_and_netcdf4_read_it(finished):
    import netCDF4

    with h5py.File(finished) as file:
        np.testing.assert_array_equal(file["V1/bu/activations"][()], made.expected(made.spec(), "V1/bu"))
    with netCDF4.Dataset(finished) as file:
        np.testing.assert_array_equal(file["V1/bu/activations"][:].data, made.expected(made.spec(), "V1/bu"))


def test_killed_again_and_again_the_result_is_the_same(tmp_path, finished):
    rng = random.Random(0)
    path = tmp_path / "acts.h5"
    folder = Path(f"{path}.parts")
    done = unfinished = 0
    for _ in range(10):
        if path.exists():  # a kill came too late: compare, and begin anew
            assert same_arrays(path, finished)
            path.unlink()
            done = 0
        writer = child(path, 0.02)
        before = seen(folder)
        deadline = time.monotonic() + 20
        while seen(folder) == before and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.25))
        writer.kill()
        writer.wait()
        if not path.exists():
            state = describe(path)
            assert state["n_stimuli"] >= done, "finished stimuli were lost"
            assert verify(path).ok
            done = state["n_stimuli"]
            unfinished += 1
            with pytest.raises(StoreError, match=rf"not finished: {done} of {made.N} stimuli are done; run the same"):
                open_store(path)
    assert unfinished >= 3
    assert child(path, 0).wait() == 0
    assert same_arrays(path, finished)
    assert verify(path).ok
    assert not folder.exists()


def seen(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_a_full_disk_loses_nothing(tmp_path, finished):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=72k", "tmpfs", str(disk)], capture_output=True).returncode
        == 0
    )
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    try:
        path = disk / "acts.h5"
        writer = child(path, 0)
        _, said = writer.communicate()
        assert writer.returncode == 3, said
        assert "StoreError: No space left on device" in said
        assert "stimuli are finished and safe" in said
        assert verify(path).ok
        assert describe(path)["n_stimuli"] > 0
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert child(path, 0).wait() == 0
        assert same_arrays(path, finished)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_file_size_limit_is_an_error_and_no_crash(tmp_path, finished):
    path = tmp_path / "acts.h5"
    writer = child(path, 0, 4096)
    _, said = writer.communicate()
    assert writer.returncode == 3, said
    assert "StoreError: File too large" in said
    assert child(path, 0).wait() == 0
    assert same_arrays(path, finished)


def test_every_flipped_bit_is_found(tmp_path, finished):
    rng = random.Random(1)
    data = finished.read_bytes()
    broken = tmp_path / "broken.h5"
    missed = []
    for _ in range(120):
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        broken.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
        try:
            if verify(broken).ok:
                missed.append((at, bit))
        except StoreError:
            pass
    assert not missed


def test_a_flipped_bit_in_a_chunk_is_named_and_refused(tmp_path, finished):
    broken = tmp_path / "broken.h5"
    shutil.copy(finished, broken)
    with h5py.File(finished) as file:
        chunk = file["V4/td/activations"].id.get_chunk_info_by_coord((8, 1, 0))
    with open(broken, "r+b") as file:
        file.seek(chunk.byte_offset + 3)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 16]))
    assert verify(broken).damage == [
        "broken.h5: V4/td at timestep 3, stimuli 8 to 15 (stimulus.8.png to stimulus.15.png): checksum does not fit"
    ]
    with open_store(broken) as store, pytest.raises(StoreError, match="bltvs verify"):
        store["V4/td"].isel(timestep=1).values  # noqa: B018


def test_a_truncated_file_is_refused(tmp_path, finished):
    data = finished.read_bytes()
    for keep in (0, 100, len(data) // 2, len(data) - 100):
        cut = tmp_path / "cut.h5"
        cut.write_bytes(data[:keep])
        assert not verify(cut).ok


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "acts.h5"
    with open_writer(path, made.spec()):
        with (
            pytest.raises(StoreError, match="another process is writing these stimuli"),
            open_writer(path, made.spec()),
        ):
            pass
        writer = child(path, 0)
        _, said = writer.communicate()
        assert writer.returncode == 3
        assert "another process is writing" in said
    first, second = range(0, 3), range(3, 6)
    with open_writer(path, made.spec(), share=first), open_writer(path, made.spec(), share=second):
        pass


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (made.spec(weights_sha256="1" * 64), "weights_sha256 is 0000.* there and 1111"),
        (made.spec(model="other"), "model is 'test' there and 'other' now"),
        (made.spec(n=40), "stimul"),
        (made.spec(keep_bits=10), "keep_bits"),
    ],
)
def test_another_extraction_is_refused_by_name(tmp_path, finished, other, message):
    path = tmp_path / "acts.h5"
    shutil.copy(finished, path)
    with pytest.raises(StoreError, match=message), open_writer(path, other):
        pass
    path.unlink()
    with open_writer(path, made.spec()):
        pass
    with pytest.raises(StoreError, match=message), open_writer(path, other):
        pass
    assert made.write(path, other, resume=False) == path


def test_reordered_stimuli_are_refused(tmp_path):
    path = tmp_path / "acts.h5"
    with open_writer(path, made.spec()):
        pass
    ids = made.spec().stimulus_ids
    swapped = replace(made.spec(), stimulus_ids=(ids[1], ids[0], *ids[2:]))
    with pytest.raises(StoreError, match="order"), open_writer(path, swapped):
        pass


def test_skipped_stimuli_are_recorded_and_in_no_array(tmp_path):
    path = made.write(tmp_path / "acts.h5", made.spec(), skip=(0, 11, 12))
    rows = [r for r in range(made.N) if r not in (0, 11, 12)]
    with open_store(path) as store:
        assert store.skipped == {f"stimulus.{i}.png": "unreadable" for i in (0, 11, 12)}
        np.testing.assert_array_equal(store["V1/bu"].values, made.expected(made.spec(), "V1/bu", rows))
        assert store.stimulus_ids.tolist() == [f"stimulus.{i}.png" for i in rows]
        assert store.stimuli["size"].tolist() == [r / 2 for r in rows]
    assert verify(path).ok


def test_a_virtual_store_is_the_same_until_a_part_is_missing(tmp_path, finished):
    path = made.write(tmp_path / "acts.h5", made.spec(), join="virtual")
    assert same_arrays(path, finished)
    assert verify(path).ok
    np.testing.assert_array_equal(
        xr.open_dataset(path, engine="h5netcdf", group="V1/bu")["activations"].values,
        made.expected(made.spec(), "V1/bu"),
    )
    part = sorted(Path(f"{path}.parts").glob("part-*.h5"))[2]
    part.rename(part.with_suffix(".away"))
    with pytest.raises(StoreError, match="1 of 6 parts of .* are missing"):
        open_store(path)
    assert not verify(path).ok


def test_rounding_keeps_float16_s_or_bfloat16_s_precision(tmp_path):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(20000) * np.exp(rng.uniform(-8, 8, 20000))).astype(np.float32)
    for bits in (10, 7):
        fraction, exponent = np.frexp(x.astype(np.float64))
        want = np.ldexp(np.rint(np.ldexp(fraction, bits + 1)), exponent - bits - 1).astype(np.float32)  # half to even
        np.testing.assert_array_equal(round_mantissa(x, bits), want)
    path = made.write(tmp_path / "acts.h5", made.spec(keep_bits=10))
    with open_store(path) as store:
        whole = made.expected(made.spec(), "V1/bu")
        np.testing.assert_array_equal(store["V1/bu"].values, round_mantissa(whole, 10))


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n", None])
def test_what_is_no_store_is_refused(tmp_path, content):
    path = tmp_path / "x.h5"
    if content is None:
        with h5py.File(path, "w") as file:
            file["a"] = 1
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match="not an activation store|damaged|cut off"):
        open_store(path)
    with pytest.raises(StoreError, match="not an activation store"), open_writer(path, made.spec()):
        pass
    with pytest.raises(StoreError, match="there is no store"):
        open_store(tmp_path / "nothing.h5")
