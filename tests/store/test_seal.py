"""The seal: whatever happens to the bytes of a file is found out and named, mended where it can be, and nobody waits."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bltvs_neuro.errors import StoreError, spelled_as
from bltvs_neuro.report.inputs import kind_of
from bltvs_neuro.store import describe, join_store, open_store, open_writer, verify
from bltvs_neuro.store.seal import is_ours, read_seal

from . import damage, made


@pytest.fixture(scope="module", params=["copy", "virtual"])
def finished(tmp_path_factory, request) -> Path:
    return made.write(tmp_path_factory.mktemp("seal") / "acts.h5", made.spec(), join=request.param)


def copy_of(path: Path, folder: Path) -> Path:
    shutil.copytree(path.parent, folder, dirs_exist_ok=True)
    return folder / path.name


def parts_of(path: Path) -> list[Path]:
    return sorted(Path(f"{path}.parts").glob("part-*.h5"))


def data_file(path: Path) -> Path:
    """The file with the activations of stimuli 8 to 15."""
    return parts_of(path)[1] if parts_of(path) else path


def patch(path: Path, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def chunks(path: Path, site: str) -> list:
    with h5py.File(path, "r") as file:
        dataset = file[f"{site}/activations"]
        return [dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks())]


def swap(path: Path, one, two) -> None:
    raw = path.read_bytes()
    a, b = (raw[c.byte_offset : c.byte_offset + c.size] for c in (one, two))
    patch(path, one.byte_offset, b)
    patch(path, two.byte_offset, a)


def zero(path: Path, chunk) -> None:
    patch(path, chunk.byte_offset, bytes(chunk.size))


def ones(path: Path, chunk) -> None:
    """NaN everywhere; the fletcher32 of ones is ones."""
    patch(path, chunk.byte_offset, b"\xff" * chunk.size)


CHANGES = {
    "emptied with its checksum": lambda path, found: zero(path, found[1]),
    "all ones": lambda path, found: ones(path, found[1]),
    "exchanged with their checksums": lambda path, found: swap(path, found[1], found[0]),
    "doubled": lambda path, found: patch(
        path, found[1].byte_offset, path.read_bytes()[found[0].byte_offset :][: found[0].size]
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_chunk_that_hdf5_holds_for_sound_is_named_and_never_read(tmp_path, finished, change):
    path = copy_of(finished, tmp_path)
    file = data_file(path)
    CHANGES[change](file, chunks(file, "V4/td"))
    report = verify(path)
    assert not report.ok
    assert all(f"{file.name}: V4/td at timestep" in text and "checksum does not fit" in text for text in report.damage)
    with open_store(path) as store:
        np.testing.assert_array_equal(store["V1/bu"].values, made.expected(made.spec(), "V1/bu"))
        with pytest.raises(StoreError, match="activations are not what was written; `bltvs verify` says of which"):
            store["V4/td"].load()


def test_verify_names_sites_stimuli_and_timesteps(tmp_path, finished):
    path = copy_of(finished, tmp_path)
    file = data_file(path)
    first = 8 if file == path else 0
    for chunk in chunks(file, "V1/bu"):
        if chunk.chunk_offset[0] == first and chunk.chunk_offset[1] in (0, 2):
            zero(file, chunk)
    assert verify(path).damage == [
        f"{file.name}: V1/bu at timesteps 1, 3, stimuli 8 to 15 (stimulus.8.png to stimulus.15.png): checksum does not fit"
    ]


def test_an_index_that_points_elsewhere_is_refused(tmp_path, finished):
    """Two entries of HDF5's index exchanged, or a filter mask that leaves the checksum out: every chunk is sound."""
    path = copy_of(finished, tmp_path)
    file = data_file(path)
    raw = file.read_bytes()
    one, two = (struct.pack("<Q", chunk.byte_offset) for chunk in chunks(file, "V4/td")[:2])
    end = len(raw) - 96 - read_seal(file).rows.nbytes
    at, other = raw.index(one, 0, end), raw.index(two, 0, end)
    patch(file, at, two)
    patch(file, other, one)
    assert not verify(path).ok
    if file == path:
        with pytest.raises(StoreError, match="the file's own index were changed"):
            open_store(path)
    else:  # not asked for where a chunk lies
        with open_store(path) as store:
            np.testing.assert_array_equal(store["V4/td"].values, made.expected(made.spec(), "V4/td"))


@pytest.mark.parametrize("how", ["attribute", "appended", "cut", "seal removed", "seal zeroed"])
def test_other_changes_of_a_finished_file_are_refused(tmp_path, finished, how):
    path = copy_of(finished, tmp_path)
    raw = path.read_bytes()
    if how == "attribute":
        with h5py.File(path, "r+") as file:
            file.attrs["note"] = 1
    else:
        path.write_bytes(
            {"appended": raw + b"\0", "cut": raw[:-1], "seal removed": raw[:-96], "seal zeroed": raw[:-96] + bytes(96)}[
                how
            ]
        )
    for use in (open_store, describe):
        with pytest.raises(StoreError, match="the seal at its end is missing: it was cut off, extended or changed"):
            use(path)
    assert "the seal at its end is missing" in str(verify(path))
    assert is_ours(path)
    assert kind_of(path) == "store"
    assert made.write(path, made.spec(), resume=False) == path  # what is known to be ours may be replaced


def test_a_store_of_an_earlier_version_says_what_to_do(tmp_path, finished):
    path = copy_of(finished, tmp_path)
    raw = path.read_bytes()[:-96]
    path.write_bytes(raw + struct.pack("<16sQ32s", b"bltvs-seal-1", len(raw), bytes(32)))
    with pytest.raises(StoreError, match="an earlier bltvs_neuro wrote it, .* run its extraction again"):
        open_store(path)


def test_emptied_label_heaps_end_in_an_error(tmp_path):
    """HDF5 looks through a heap of zeros for ever; a child process, as that cannot be interrupted."""
    path = made.write(tmp_path / "acts.h5", made.spec())
    raw = path.read_bytes()
    at = raw.index(b"GCOL")
    patch(path, at + 16, bytes(4080))
    child = "import sys; from tests.store.made import every_use; every_use(sys.argv[1])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", child, str(path)], cwd=root, timeout=30, capture_output=True, text=True
    )
    assert done.stdout.split() == ["refused"] * 5, done.stderr


def other_run(path: Path, like: Path) -> Path:
    """A store of the same spec and size with other numbers."""
    with pytest.MonkeyPatch.context() as context:
        real = made.values
        context.setattr(made, "values", lambda *key: real(*key) + 1)
        other = made.write(path, made.spec(), join="virtual")
    assert [p.stat().st_size for p in parts_of(other)] == [p.stat().st_size for p in parts_of(like)]
    return other


@pytest.mark.parametrize("how", ["another run's", "exchanged", "written anew"])
def test_parts_that_are_not_those_of_the_store_are_refused(tmp_path, how):
    path = made.write(tmp_path / "a" / "acts.h5", made.spec(), join="virtual")
    part, next_one = parts_of(path)[1:3]
    if how == "exchanged":
        part.rename(tmp_path / "x")
        next_one.rename(part)
        (tmp_path / "x").rename(next_one)
    else:
        shutil.copy(parts_of(other_run(tmp_path / "b" / "acts.h5", path))[1], part)
    with pytest.raises(StoreError, match=f"{part.name} is damaged: it is not the part that .*acts.h5 was made of"):
        open_store(path)
    assert f"{part.name}: it is no part of this store, or damaged" in str(verify(path))


def test_a_part_that_is_exchanged_while_the_store_is_open_is_refused(tmp_path):
    path = made.write(tmp_path / "a" / "acts.h5", made.spec(), join="virtual")
    other = other_run(tmp_path / "b" / "acts.h5", path)
    with open_store(path) as store:
        shutil.copy(parts_of(other)[1], parts_of(path)[1])
        with pytest.raises(StoreError, match="activations are not what was written"):
            store["V1/bu"].load()


def part_with_damage(path: Path, what: str) -> Path:
    """An unfinished store all of whose parts are there, one of them damaged."""
    shutil.copytree(
        made.write(path.parent / "whole" / path.name, made.spec(), join="virtual").parent,
        path.parent,
        dirs_exist_ok=True,
    )
    path.unlink()
    part = parts_of(path)[1]
    raw = part.read_bytes()
    at = {
        "sha256": lambda: raw.index(f"{9:064x}".encode()) + 63,
        "id": lambda: raw.index(b"stimulus.9.png"),
        "header": lambda: raw.index(b'"start"') + 2,
        "chunk": lambda: chunks(part, "V1/bu")[1].byte_offset + 5,
        "emptied chunk": lambda: None,
    }[what]()
    if at is None:
        zero(part, chunks(part, "V1/bu")[1])
    else:
        patch(part, at, bytes([raw[at] ^ 1]))
    return part


WHAT = ["sha256", "id", "header", "chunk", "emptied chunk"]


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("join", ["copy", "virtual"])
def test_a_damaged_part_is_not_joined(tmp_path, what, join):
    path = tmp_path / "acts.h5"
    part = part_with_damage(path, what)
    before = {p.name: p.read_bytes() for p in parts_of(path)}
    with pytest.raises(
        StoreError, match=rf"not joined, and all parts are kept: .*{part.name} \(.*run the same `bltvs ex"
    ):
        join_store(path, join=join)
    assert not path.exists()
    assert {p.name: p.read_bytes() for p in parts_of(path)} == before


@pytest.mark.parametrize("what", WHAT)
def test_a_damaged_part_is_done_again_by_who_has_the_model(tmp_path, caplog, what):
    path = tmp_path / "acts.h5"
    part = part_with_damage(path, what)
    assert not verify(path).ok
    caplog.clear()
    with open_writer(path, made.spec()) as writer:
        assert [block.start for block in writer.pending()] == [8]
    assert f"{part} is damaged: " in caplog.text
    assert "stimuli 8 to 15 are done again" in caplog.text
    made.write(path, made.spec())
    assert verify(path).ok
    with open_store(path) as store:
        np.testing.assert_array_equal(store["V1/bu"].values, made.expected(made.spec(), "V1/bu"))
        assert store.stimulus_sha256.tolist() == [f"{i:064x}" for i in range(made.N)]


def test_the_shard_of_a_damaged_part_is_named(tmp_path):
    path = tmp_path / "acts.h5"
    spec = replace(made.spec(), shards=3)
    for shard in (0, 1, 2):
        with open_writer(path, spec, share=range(2 * shard, 2 * shard + 2)) as writer:
            for block in writer.pending():
                with writer.part(block) as part:
                    rows = range(block.start, block.stop)
                    for layout in spec.sites:
                        for t in layout.timesteps:
                            part.write(layout.site, t, np.zeros((len(rows), *layout.shape), np.float32))
                    part.stimuli([spec.stimulus_ids[r] for r in rows], ["0" * 64] * len(rows))
    patch(parts_of(path)[2], chunks(parts_of(path)[2], "V1/bu")[0].byte_offset, b"\1")
    with pytest.raises(StoreError, match="run the same `bltvs extract` of shard 2/3 again"):
        join_store(path)


def test_info_says_which_parts_will_be_done_again(tmp_path):
    path = tmp_path / "acts.h5"
    part = part_with_damage(path, "id")
    described = describe(path)
    assert described["n_stimuli"] == made.N - 8
    assert described["damaged"] == [
        f"{part} is damaged: labels, attributes or the file's own index were changed after they were written"
    ]


def test_a_part_in_the_place_of_another_is_refused(tmp_path):
    path = tmp_path / "acts.h5"
    part_with_damage(path, "chunk")
    one, two = parts_of(path)[2:4]
    shutil.copy(one, two)
    with (
        pytest.raises(StoreError, match=f"{two.name} holds stimuli 16 to 23, not 24 to 31"),
        open_writer(path, made.spec()) as writer,
    ):
        list(writer.pending())


def test_a_part_that_may_not_be_read_is_not_thrown_away(tmp_path, monkeypatch):
    path = tmp_path / "acts.h5"
    part = part_with_damage(path, "chunk")
    real = os.open

    def refusing(name, *rest, **options):
        if name == part:
            raise PermissionError(13, "Permission denied")
        return real(name, *rest, **options)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(StoreError, match="cannot be read: Permission denied"), open_writer(path, made.spec()) as writer:
        list(writer.pending())


def test_a_disk_that_cannot_read_is_damage(tmp_path, monkeypatch):
    path = made.write(tmp_path / "acts.h5", made.spec())

    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", failing)
    assert "V1/bu at timesteps 1, 2, 3, stimuli 0 to 7" in str(verify(path))


def test_spec_file_messages_name_the_option_of_the_asker(tmp_path):
    path = tmp_path / "acts.h5"
    with open_writer(path, made.spec()):
        pass
    spec = Path(f"{path}.parts") / "spec.json"
    data = json.loads(spec.read_text())
    data["spec"]["n_timesteps"] = 99
    spec.write_text(json.dumps(data))
    with pytest.raises(StoreError, match="start anew with resume=False$"):
        describe(path)
    with spelled_as({"resume=False": "--fresh"}), pytest.raises(StoreError, match="start anew with --fresh$"):
        describe(path)


@pytest.mark.parametrize("keep_bits", [None, 10])
def test_no_damage_deceives_anybody(tmp_path, keep_bits):
    """A short series; `python -m tests.store.damage 6000 0` is a long one."""
    stores = damage.make(tmp_path, keep_bits)
    whole = damage.contents(stores["copied"] / "acts.h5")
    for seed in range(20):
        found = damage.damage_once(seed, stores, keep_bits, whole)
        assert not any(word.isupper() for word in found), (seed, found)
