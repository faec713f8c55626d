"""Responses as plain arrays, and how a reader is chosen."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import RDM_READERS, RESPONSE_READERS, load_responses, make_responses, to_netcdf

from .conftest import write_matlab73

# plain arrays, and how a reader is chosen

VALUES = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("suffix", ["npy", "npz", "mat", "h5", "csv"])
def test_plain_responses(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    ids = ["p", "q", "p", "r"]
    if suffix == "npy":
        np.save(path, VALUES)
    elif suffix == "npz":
        np.savez(path, betas=VALUES, stimulus_id=ids, roi=["V1", "V2", "V2"])
    elif suffix == "mat":
        write_matlab73(path, betas=VALUES)
    elif suffix == "h5":
        with h5py.File(path, "w") as file:
            file["betas"], file["stimuli"], file["roi"] = VALUES, ids, ["V1", "V2", "V2"]
    else:
        path.write_text("".join(f"{i},{','.join(map(str, row))}\n" for i, row in zip(ids, VALUES, strict=True)))
    responses = load_responses(path, stimuli=ids if suffix in ("npy", "mat") else None)
    np.testing.assert_array_equal(responses.values, VALUES)
    assert responses.stimulus_id.values.tolist() == ids
    assert responses.repetition.values.tolist() == [0, 0, 1, 0]
    if suffix in ("npz", "h5"):
        np.testing.assert_array_equal(load_responses(path, roi="V2").values, VALUES[:, 1:])


def test_plain_responses_over_time(tmp_path):
    cube = np.arange(24.0).reshape(4, 3, 2)
    np.savez(tmp_path / "x.npz", data=cube, time=[0.1, 0.2], stimuli=list("abcd"), electrode=["O1", "Oz", "O2"])
    responses = load_responses(tmp_path / "x.npz")
    np.testing.assert_array_equal(responses.values, cube)
    assert responses.time.values.tolist() == [0.1, 0.2]
    np.save(tmp_path / "x.npy", cube)
    with pytest.raises(DataError, match=r"time axis \(4, 3, 2\) but no array 'time'"):
        load_responses(tmp_path / "x.npy", stimuli=list("abcd"))


def test_responses_without_stimuli(tmp_path):
    np.save(tmp_path / "x.npy", VALUES)
    with pytest.raises(DataError, match=r"does not say which stimuli its 4 presentations are"):
        load_responses(tmp_path / "x.npy")
    (tmp_path / "x.stimuli.txt").write_text("a\nb\na\nb\n")
    responses = load_responses(tmp_path / "x.npy")
    assert responses.repetition.values.tolist() == [0, 0, 1, 1]
    renamed = load_responses(tmp_path / "x.npy", stimuli={"b": "z"})
    assert renamed.stimulus_id.values.tolist() == ["a", "z", "a", "z"]


def test_ambiguous_responses(tmp_path):
    np.savez(tmp_path / "x.npz", one=VALUES, two=VALUES, stimuli=list("abcd"))
    with pytest.raises(DataError, match=r"has one \(4×3 float64\).*choose the responses with key='one'"):
        load_responses(tmp_path / "x.npz")
    assert load_responses(tmp_path / "x.npz", format="response_array", key="two").shape == (4, 3)
    with pytest.raises(DataError, match=r"choose the responses with key="):
        load_responses(tmp_path / "x.npz", format="response_array")


def test_unknown_responses_list_every_reader(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"unknown file of 5 bytes") as caught:
        load_responses(tmp_path / "x.bin")
    assert str(caught.value).endswith(f"Readers: {', '.join(RESPONSE_READERS)}")
    with pytest.raises(DataError, match=r"none.nc does not exist$"):
        load_responses(tmp_path / "none.nc")


@pytest.mark.parametrize("name", RESPONSE_READERS)
@pytest.mark.parametrize("what", ["file", "folder"])
def test_every_reader_refuses_what_it_cannot_read(tmp_path, name, what):
    path = tmp_path / "x"
    if what == "file":
        path.write_text('{"a": 1}')
    else:
        path.mkdir()
    with pytest.raises((DataError, SpecError)):
        load_responses(path, format=name, allow_pickle=True)


def test_registry_is_complete_and_worded():
    for readers, kind in ((RDM_READERS, "rdms"), (RESPONSE_READERS, "responses")):
        for name, reader in readers.items():
            assert reader.name == name
            assert reader.kind == kind
            assert reader.description
            assert reader.options is not None


def test_saved_responses_are_recognised(tmp_path):
    responses = make_responses(VALUES, list("abab"), neuroid_coords={"roi": ["V1v", "V1d", "V2"]})
    back = load_responses(to_netcdf(responses, tmp_path / "r.nc"), roi="V1")
    np.testing.assert_array_equal(back.values, VALUES[:, :2])
