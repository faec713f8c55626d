"""HDF5 of others: nothing outside of the file, nothing that was never written, nothing larger than what is stored."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError
from bltvs_neuro.foreign import hdf5
from bltvs_neuro.foreign.hdf5 import check_dataset, datasets, open_hdf5, read_dataset, unwritten_rows
from bltvs_neuro.foreign.netcdf import load_netcdf


def read(path, name="x"):
    with open_hdf5(path) as file:
        return read_dataset(file[name])


def test_what_is_in_a_file(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(6.0).reshape(2, 3)
        file["g/text"] = np.array([["a", "größe"]], dtype=object)
        file["fixed"] = np.array([b"ab", "猫".encode()])
        file["scalar"], file["word"], file["empty"] = 3, "hello", h5py.Empty("f8")
        file["g/loop"], file["soft"], file["nowhere"] = file["g"], h5py.SoftLink("/x"), h5py.SoftLink("/none")
        file["type"] = np.dtype("f8")
    assert list(datasets(path)) == ["empty", "fixed", "g/text", "scalar", "word", "x"]
    assert datasets(path)["x"][:2] == ((2, 3), "float64")
    np.testing.assert_array_equal(read(path), np.arange(6.0).reshape(2, 3))
    assert read(path, "g/text").tolist() == [["a", "größe"]] and read(path, "fixed").tolist() == ["ab", "猫"]
    assert read(path, "scalar") == 3 and read(path, "word")[()] == "hello"
    np.testing.assert_array_equal(read(path, "soft"), read(path))
    with pytest.raises(DataError, match=r"x\.h5 is damaged or truncated \(HDF5\): "):
        read(path, "nowhere")


@pytest.fixture
def secret(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(4)
    (tmp_path / "secret.txt").write_bytes(bytes(range(64)))
    return tmp_path


def test_external_storage_is_refused(secret):
    path = secret / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (64,), np.uint8, external=[(str(secret / "secret.txt"), 0, 64)])
        file["own"] = np.arange(3)
    with pytest.raises(DataError, match=r"x\.h5: /x: its values lie in another file \('.*secret.txt'\)"):
        read(path)
    assert read(path, "own").tolist() == [0, 1, 2]


def test_views_of_other_files_are_refused(secret):
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(str(secret / "secret.h5"), "x", (4,))
    with h5py.File(secret / "x.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
    with pytest.raises(DataError, match="it is a view of datasets of other files; copy it into one file"):
        read(secret / "x.h5")


@pytest.mark.parametrize("where", ["x", "g/deep/x"])
def test_links_to_other_files_are_refused(secret, where):
    with h5py.File(secret / "x.h5", "w") as file:
        file["own"] = np.arange(3)
        file[where] = h5py.ExternalLink(str(secret / "secret.h5"), "/x")
    with pytest.raises(DataError, match=rf"is not one file: '{where}' leads to '/x' in another file, '.*secret.h5'"):
        read(secret / "x.h5", "own")


def test_groups_in_groups(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("/".join("a" * 200))
    with pytest.raises(DataError, match="holds groups in groups, more than 64 deep"):
        datasets(tmp_path / "x.h5")


@pytest.mark.parametrize("chunks", [None, (2, 3)])
def test_what_was_never_written(tmp_path, chunks):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (6, 3), "f4", chunks=chunks)
        file.create_dataset("nan", (6, 3), "f4", chunks=chunks, fillvalue=np.nan)
        if chunks:
            file["x"][:2] = file["nan"][:2] = 1
    gone = "2 of its 3" if chunks else "1 of its 1"
    with pytest.raises(DataError, match=rf"/x: {gone} chunks were never written and would read as .*0.0"):
        read(tmp_path / "x.h5")
    assert np.isnan(read(tmp_path / "x.h5", "nan")).sum() == (12 if chunks else 18)
    with open_hdf5(tmp_path / "x.h5") as file:
        check_dataset(file["x"], unwritten=True)
        assert unwritten_rows(file["x"]).tolist() == ([2, 3, 4, 5] if chunks else [0, 1, 2, 3, 4, 5])


def test_rows_whose_parts_were_never_written(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        pictures = file.create_dataset("x", (5, 4, 4), "u1", chunks=(2, 2, 4))
        pictures[0:2] = pictures[4] = 1
        pictures[2:4, :2] = 1
        file.flush()
        assert unwritten_rows(pictures).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("shape", "chunks", "options"),
    [
        ((2**40,), (2**20,), {}),
        ((200_000, 200_000), (1000, 1000), {"compression": "gzip"}),
        ((1,), (2**28,), {"maxshape": (None,), "compression": "gzip"}),
    ],
)
def test_declared_sizes(tmp_path, shape, chunks, options):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", shape, "f8", chunks=chunks, **options)
    with pytest.raises(DataError, match=r"declares \d+ bytes.*BLTVS_UNFOLD_GIB="):
        read(tmp_path / "x.h5")


def test_compressed_zeros(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.zeros(2**22, "u1"), chunks=(2**20,), compression="gzip")
    assert read(tmp_path / "x.h5").size == 2**22
    monkeypatch.setenv("BLTVS_UNFOLD_GIB", "0.001")
    with pytest.raises(DataError, match="/x declares 4194304 bytes"):
        read(tmp_path / "x.h5")


def test_references_are_no_text(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = np.arange(3)
        file.create_dataset("x", data=np.array([file["a"].ref], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
        file.create_dataset("lists", (1,), h5py.vlen_dtype("i4"))[0] = [1, 2]
    for name in ("x", "lists"):
        with pytest.raises(DataError, match=r"holds references or lists \(a MATLAB cell array, for example\)"):
            read(tmp_path / "x.h5", name)


def test_text_that_is_no_utf8(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.array([b"ab", "größe".encode("latin1")])
    with pytest.raises(DataError, match="/x: 1 of 2 names are no UTF-8 text"):
        read(tmp_path / "x.h5")


def test_a_file_that_changed_is_walked_again(tmp_path):
    for name, values in (("one", np.arange(3)), ("two", np.arange(900))):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file[name] = values
        assert list(datasets(tmp_path / "x.h5")) == [name]


@pytest.mark.parametrize("code", ["import os; os.abort()", "while True: pass", "print('nonsense')"])
def test_a_library_that_crashes_or_hangs_is_one_sentence(tmp_path, monkeypatch, code):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = 1
    (tmp_path / "walk.py").write_text(code)
    monkeypatch.setattr(hdf5.hdf5_walk, "__file__", str(tmp_path / "walk.py"))
    monkeypatch.setattr(hdf5, "SECONDS", 0.1)
    with pytest.raises(DataError, match=r"x\.h5 is damaged: the HDF5 library cannot read it through"):
        datasets(tmp_path / "x.h5")


def test_netcdf_of_others(secret):
    path = secret / "x.nc"
    data = xr.Dataset({"a": (("p", "n"), np.ones((2, 3))), "name": ("p", np.array(["u", "v"], dtype=object))})
    data.to_netcdf(path, engine="h5netcdf")
    assert load_netcdf(path)["name"].values.tolist() == ["u", "v"]
    with h5py.File(path, "r+") as file:
        del file["a"]
        file.create_dataset("a", (64,), np.uint8, external=[(str(secret / "secret.txt"), 0, 64)])
    with pytest.raises(DataError, match="its values lie in another file"):
        load_netcdf(path)
    with h5py.File(path, "r+") as file:
        del file["a"]
        file["a"] = h5py.ExternalLink(str(secret / "secret.h5"), "x")
    with pytest.raises(DataError, match="leads to 'x' in another file"):
        load_netcdf(path)
