"""Stores under any name that the system allows, behind links, and where nothing can be written."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from bltvs_neuro import durable
from bltvs_neuro.errors import OutputError, StoreError
from bltvs_neuro.store import describe, join_store, open_store, open_writer, verify
from bltvs_neuro.store.parts import lock
from tests.running import bltvs as run_bltvs

from . import made

ODD_NAMES = [
    "a b.h5", "a%b.h5", "%s%%d%n.h5", "%20b.h5", "é→.h5", "a\nb.h5", "-a.h5", "a#b?c.h5", "..a.h5", ".hidden", "[a]*.h5",
    "[red].h5", "http:b.h5", "a" * 210,
]  # fmt: skip


@pytest.mark.parametrize("join", ["copy", "virtual"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_store_of_any_name_is_written_joined_opened_and_verified(tmp_path, name, join):
    spec = made.spec(n=16)
    path = made.write(tmp_path / f"folder {name}"[:220] / name, spec, join=join)
    assert verify(path).ok
    assert describe(path)["finished"]
    with open_store(path) as store:
        np.testing.assert_array_equal(store["V4/td"].values, made.expected(spec, "V4/td"))
    assert made.write(path, spec) == path
    assert sorted(os.listdir(path.parent)) == sorted([name] + ([f"{name}.parts"] if join == "virtual" else []))


@pytest.mark.parametrize("name", ["[/red] [b] %s.h5", "-a.h5"])
def test_the_commands_print_any_name(tmp_path, name):
    path = made.write(tmp_path / name, made.spec(n=16))  # a folder called "[", in the first
    for command in ("info", "verify", "join"):
        done = run_bltvs(command, str(path), columns=500)
        assert done.exit_code == 0, done.output
        assert command == "info" or name in done.output  # a title is wrapped
    failed = run_bltvs("info", str(path) + ".none", columns=500)
    assert f"{name}.none" in failed.stderr


def test_a_name_that_leaves_no_room_for_what_lies_beside_it(tmp_path):
    for name in ("a" * 240, "a" * 252):
        with pytest.raises(StoreError, match="has a name too long for the files beside it|File name too long"):
            made.write(tmp_path / name, made.spec(n=8))
    with pytest.raises(OutputError, match="File name too long; choose a shorter name"):
        made.write(tmp_path / ("a" * 256), made.spec(n=8))
    with pytest.raises(OutputError, match="File name too long"):
        join_store(tmp_path / ("a" * 256))
    assert os.listdir(tmp_path) == []


def test_a_link_to_a_store_and_to_nothing(tmp_path):
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "acts.h5", tmp_path / "far" / "acts.h5"
    link.symlink_to(target)
    with pytest.raises(OutputError, match=r"acts\.h5 is a link to .*far/acts\.h5, which does not exist"):
        made.write(link, made.spec(n=8))
    assert link.is_symlink()
    made.write(target, made.spec(n=8))
    assert made.write(link, made.spec(n=8)) == target
    made.write(link, made.spec(n=8, model="other"), resume=False)
    assert link.is_symlink()
    with open_store(target) as store:
        assert store.spec.identity["model"] == "other"


def test_a_folder_of_parts_that_is_a_link_or_no_folder(tmp_path):
    parts = tmp_path / "acts.h5.parts"
    parts.touch()
    with pytest.raises(
        OutputError, match=r"acts\.h5\.parts cannot be written: .*no folder stands where a folder should be"
    ):
        made.write(tmp_path / "acts.h5", made.spec(n=8))
    parts.unlink()
    parts.symlink_to(tmp_path / "scratch")
    with pytest.raises(OutputError, match=r"acts\.h5\.parts cannot be written"):
        made.write(tmp_path / "acts.h5", made.spec(n=8))
    (tmp_path / "scratch").mkdir()
    assert verify(made.write(tmp_path / "acts.h5", made.spec(n=8), join="copy")).ok
    assert os.listdir(tmp_path / "scratch") == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("where", ["mkdir", "lock", "sink", "fsync"])
def test_what_stops_a_store_from_being_begun_is_one_sentence(tmp_path, monkeypatch, number, where):
    real = os.open

    def fail(path, *arguments, **options):
        if where == "mkdir" or (where == "fsync") or os.fspath(path).endswith("lock" if where == "lock" else ".tmp"):
            raise OSError(number, os.strerror(number), path)
        return real(path, *arguments, **options)

    target = {"mkdir": (os, "mkdir"), "lock": (lock.os, "open"), "sink": (os, "open"), "fsync": (os, "fsync")}[where]
    monkeypatch.setattr(*target, fail)
    with pytest.raises((StoreError, OutputError)) as told, open_writer(tmp_path / "acts.h5", made.spec(n=8)):
        pass
    monkeypatch.undo()
    assert os.strerror(number) in str(told.value)
    assert "\n" not in str(told.value)
    assert verify(made.write(tmp_path / "acts.h5", made.spec(n=8))).ok


def test_the_new_folder_of_parts_is_synced_into_the_one_above(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    with open_writer(tmp_path / "new" / "acts.h5", made.spec(n=8)):
        pass
    assert synced == [tmp_path, tmp_path / "new"]
