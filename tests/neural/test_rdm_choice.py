"""Which reader takes a file of RDMs, renaming, and files that are damaged."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.io
import xarray as xr

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import RDM_READERS, load_rdms, make_rdms, rdm_stimulus_ids, to_netcdf

from .conftest import random_rdms
from .test_rdm_arrays import save

IDS = ["d", "a", "c", "b", "e"]
SQUARE = random_rdms(1, 5)[0]
STACK = random_rdms(3, 5, seed=1)


# choosing, renaming, damage


def test_netcdf_is_recognised(tmp_path):
    rdms = make_rdms(STACK, IDS, metric="x", attrs={"source": "lab", "sha256": "0"}, subject=["x", "y", "z"])
    path = to_netcdf(rdms, tmp_path / "x.nc")
    back = load_rdms(path, subject="y")
    np.testing.assert_allclose(back.values, rdms.values[1:2])
    assert back.attrs["source"] == "lab"
    assert back.attrs["file"] == str(path)


def test_renaming_is_by_id(tmp_path):
    np.savez(tmp_path / "x.npz", rdm=SQUARE, stimuli=IDS)
    rdms = load_rdms(tmp_path / "x.npz", stimuli={"c": "cat", "a": "ape"})
    assert rdm_stimulus_ids(rdms) == ("d", "ape", "cat", "b", "e")
    with pytest.raises(DataError, match=r"renames z, which the file does not have"):
        load_rdms(tmp_path / "x.npz", stimuli={"z": "y"})
    with pytest.raises(DataError, match=r"these repeat: b"):
        load_rdms(tmp_path / "x.npz", stimuli={"a": "b"})


def test_names_cannot_be_replaced_by_position(shared_data):
    path = shared_data / "formats/meadows118/Meadows_twoMaTasks_v_v1_informed-mole_tree.json"
    with pytest.raises(SpecError, match=r"carry their own stimulus ids \(beach, .*pass a dict"):
        load_rdms(path, stimuli=["a", "b", "c"])


def test_unknown_file_lists_what_is_there_and_every_reader(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"hello world")
    with pytest.raises(DataError, match=r"unknown file of 11 bytes that begins b'hello world'") as caught:
        load_rdms(tmp_path / "x.bin")
    assert all(name in str(caught.value) for name in RDM_READERS)
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    with pytest.raises(DataError, match=r"a folder with sub/: no reader recognises it"):
        load_rdms(tmp_path / "folder")
    scipy.io.savemat(tmp_path / "x.mat", {"foo": np.zeros((4, 7))})
    with pytest.raises(DataError, match=r"matlab5 with foo \(4×7 double\)\): .*load_responses"):
        load_rdms(tmp_path / "x.mat")
    with pytest.raises(DataError, match=r"does not exist; data sets known by name: kriegeskorte92,"):
        load_rdms(tmp_path / "none.npy")


def test_ambiguous_file_names_the_readers(tmp_path, monkeypatch):
    from dataclasses import replace

    from bltvs_neuro.neural import registry

    monkeypatch.setitem(registry.RDM_READERS, "twin", replace(RDM_READERS["rdm_array"], name="twin"))
    np.save(tmp_path / "x.npy", SQUARE)
    with pytest.raises(DataError, match=r"5×5 float64: rdm_array \(RDMs\), twin \(RDMs\) would all read it"):
        load_rdms(tmp_path / "x.npy", stimuli=IDS)
    assert load_rdms(tmp_path / "x.npy", stimuli=IDS, format="twin").shape == (1, 10)


def test_wrong_format_or_option_named(tmp_path):
    np.save(tmp_path / "x.npy", SQUARE)
    with pytest.raises(SpecError, match=r"unknown format 'meadow' .did you mean 'meadows'"):
        load_rdms(tmp_path / "x.npy", format="meadow")
    with pytest.raises(SpecError, match=r"rdm_array has no option task; its options: key, metric, asymmetric"):
        load_rdms(tmp_path / "x.npy", stimuli=IDS, task="x")


@pytest.mark.parametrize("name", [n for n in RDM_READERS if n != "netcdf"])
def test_every_reader_refuses_a_file_of_another_format(tmp_path, name):
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(DataError):
        load_rdms(tmp_path / "x.json", format=name, allow_pickle=True)


@pytest.mark.parametrize("file", ["x.npy", "x.npz", "x5.mat", "x73.mat", "x.h5"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_truncated_files(tmp_path, file, keep):
    path = tmp_path / file
    save(path, random_rdms(4, 40))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DataError):
        load_rdms(path, stimuli=[str(i) for i in range(40)])


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([SQUARE, None], dtype=object), allow_pickle=True)
    for allowed in (False, True):
        with pytest.raises(DataError, match=r"holds pickled Python objects|no reader"):
            load_rdms(tmp_path / "x.npy", stimuli=IDS, format="rdm_array", allow_pickle=allowed)
    np.savez(tmp_path / "x.npz", rdm=np.array([SQUARE, None], dtype=object))
    with pytest.raises(DataError, match=r"never loaded from .npz"):
        load_rdms(tmp_path / "x.npz", stimuli=IDS, format="rdm_array", key="rdm")


def test_declared_size_is_checked_before_allocation(tmp_path):
    with open(tmp_path / "x.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    with pytest.raises(DataError, match=r"truncated: its header declares 8000000000000 bytes"):
        load_rdms(tmp_path / "x.npy", stimuli=IDS)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("rdm", (10**5, 10**5), "f8", chunks=(10, 10))
    with pytest.raises(DataError, match=r"declares 80000000000 bytes .* only 0 are stored"):
        load_rdms(tmp_path / "x.h5", stimuli=IDS)


def test_loading_changes_nothing(tmp_path):
    """A second load is identical, and what is returned can be changed."""
    np.save(tmp_path / "x.npy", SQUARE)
    first = load_rdms(tmp_path / "x.npy", stimuli=IDS)
    first[:] = 0
    xr.testing.assert_identical(load_rdms(tmp_path / "x.npy", stimuli=IDS), load_rdms(tmp_path / "x.npy", stimuli=IDS))
    assert float(load_rdms(tmp_path / "x.npy", stimuli=IDS).max()) > 0
