"""Text and cells of MATLAB 7.3, laid out as MATLAB does: axes in reverse, characters as numbers, cells as references."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.neural import load_rdms, load_responses, rdm_stimulus_ids

SQUARE = np.array([[0, 1, 2], [1, 0, 3], [2, 3, 0.0]])


def add(file, name, value):
    """One variable; text is an array of characters, a list is a cell array."""
    if isinstance(value, list):
        inner = [add(file, f"#refs#/{name}{number}", item).ref for number, item in enumerate(value)]
        made, kind = file.create_dataset(name, data=np.array([inner], h5py.ref_dtype)), "cell"
    elif isinstance(value, str):
        codes = np.array([[ord(sign) for sign in row] for row in value.split("\n")], "u2")  # (row, character)
        made, kind = file.create_dataset(name, data=codes.T), "char"
    else:
        made, kind = file.create_dataset(name, data=value.T), "logical" if value.dtype == np.uint8 else "double"
    made.attrs["MATLAB_class"] = np.bytes_(kind)
    return made


def save(path, **variables):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            add(file, name, value)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + path.read_bytes()[19:])
    return path


@pytest.mark.parametrize("stimuli", [["cat", "größe", "猫"], "A\nB\nC", "cat\ndog\ncow", [np.array([[7.0]]), "b", "c"]])
def test_ids(tmp_path, stimuli):
    path = save(tmp_path / "x.mat", rdm=SQUARE, stimuli=stimuli)
    wanted = (
        stimuli.split("\n") if isinstance(stimuli, str) else ["7" if not isinstance(s, str) else s for s in stimuli]
    )
    assert list(rdm_stimulus_ids(load_rdms(path))) == wanted
    assert list(rdm_stimulus_ids(load_rdms(path, stimuli=["x", "y", "z"]))) == ["x", "y", "z"]


def test_labels_of_responses(tmp_path):
    values, mask = np.arange(8.0).reshape(4, 2), np.ones((4, 2), np.uint8)
    path = save(tmp_path / "x.mat", betas=values, mask=mask, roi=["V1", "V2"], stimuli=["a", "b", "a", "b"])
    responses = load_responses(path)
    np.testing.assert_array_equal(responses.values, values)
    assert responses.roi.values.tolist() == ["V1", "V2"] and responses.stimulus_id.values.tolist() == [
        "a",
        "b",
        "a",
        "b",
    ]


def test_cells_of_other_things(tmp_path):
    path = save(tmp_path / "x.mat", rdm=SQUARE, stimuli=["a", "b", np.eye(2)])
    with pytest.raises(DataError, match="/stimuli is a cell array of other things than texts and numbers"):
        load_rdms(path)
    assert list(rdm_stimulus_ids(load_rdms(path, stimuli=["x", "y", "z"]))) == ["x", "y", "z"]


def test_many_cells_of_one_text(tmp_path, monkeypatch):
    monkeypatch.setenv("BLTVS_UNFOLD_GIB", "0.0001")
    path = tmp_path / "x.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        long = add(file, "#refs#/a", "x" * 10000)
        made = file.create_dataset("stimuli", data=np.array([[long.ref] * 2000], h5py.ref_dtype))
        made.attrs["MATLAB_class"] = np.bytes_("cell")
        add(file, "rdm", SQUARE)
    path.write_bytes(b"MATLAB 7.3 MAT-file" + path.read_bytes()[19:])
    with pytest.raises(DataError, match=r"/stimuli declares \d+ bytes"):
        load_rdms(path)
