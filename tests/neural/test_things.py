"""Readers of THINGS-fMRI and THINGS-EEG2, on small files of exactly their layout."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import load_responses

# THINGS-fMRI


def things_tables(folder, columns=None):
    voxels = pd.DataFrame(
        {
            "voxel_id": [0, 1, 2, 3, 4],
            "subject_id": 1,
            "voxel_x": [10, 11, 12, 13, 14],
            "voxel_y": [20, 21, 22, 23, 24],
            "voxel_z": [30, 31, 32, 33, 34],
            "nc_testset": [1.5, 2.5, 3.5, 4.5, 5.5],
            "V1": [1, 0, 1, 0, 0],
            "lFFA": [0, 1, 1, 0, 0],
        }
    )
    trials = pd.DataFrame(
        {
            "trial_type": ["train", "test", "train", "test"],
            "session": [1, 1, 2, 2],
            "run": [1, 2, 1, 2],
            "subject_id": 1,
            "trial_id": [0, 1, 2, 3],
            "stimulus": ["dog_12s.jpg", "cat_01b.jpg", "ape_03n.jpg", "cat_01b.jpg"],
            "concept": ["dog", "cat", "ape", "cat"],
        }
    )
    voxels.to_csv(folder / "sub-01_VoxelMetadata.csv", index=False)
    trials.sample(frac=1, random_state=1).to_csv(folder / "sub-01_StimulusMetadata.csv", index=False)
    values = 100.0 * np.arange(5)[:, None] + np.arange(4)
    frame = pd.DataFrame(values, columns=columns or [str(n) for n in range(4)])
    frame.insert(0, "voxel_id", [0, 1, 2, 3, 4])
    return frame.iloc[::-1].reset_index(drop=True)  # voxels are found by id


@pytest.fixture
def things_fmri(tmp_path):
    """Written with h5py in the layout of pandas' fixed format."""
    folder = tmp_path / "betas_csv"
    folder.mkdir()
    frame = things_tables(folder)
    with h5py.File(folder / "sub-01_ResponseData.h5", "w") as file:
        group = file.create_group("ResponseData")
        group["axis0"] = frame.columns.to_numpy().astype("S")
        group["axis1"] = np.arange(5)
        group["block0_items"] = np.array(["voxel_id"], dtype="S")
        group["block0_values"] = frame[["voxel_id"]].to_numpy()
        group["block1_items"] = frame.columns[1:].to_numpy().astype("S")
        group["block1_values"] = frame.iloc[:, 1:].to_numpy()
    return tmp_path


def check_things(responses):
    trial, voxel = responses.trial_id.values, responses.voxel.values
    np.testing.assert_array_equal(responses.values, 100 * voxel[None] + trial[:, None])
    names = {0: "dog_12s.jpg", 1: "cat_01b.jpg", 2: "ape_03n.jpg", 3: "cat_01b.jpg"}
    assert responses.stimulus_id.values.tolist() == [names[t] for t in trial]
    np.testing.assert_array_equal(responses.i, voxel + 10)
    np.testing.assert_array_equal(responses.k, voxel + 30)
    np.testing.assert_array_equal(responses.nc_testset, voxel + 1.5)


def test_things_fmri(things_fmri):
    responses = load_responses(things_fmri)
    assert responses.shape == (4, 5)
    check_things(responses)
    assert sorted(responses.repetition.values.tolist()) == [0, 0, 0, 1]
    test = load_responses(things_fmri / "betas_csv", subject="01", split="test", roi="lFFA")
    check_things(test)
    assert test.voxel.values.tolist() == [1, 2]
    assert test.roi.values.tolist() == ["lFFA", "lFFA"]
    assert set(test.trial_type.values) == {"test"}
    with pytest.raises(SpecError, match=r"unknown roi 'V2'; valid: V1, lFFA"):
        load_responses(things_fmri, roi="V2")
    with pytest.raises(SpecError, match=r"unknown subject '02'; valid: sub-01"):
        load_responses(things_fmri, subject="02")


def test_things_fmri_in_blocks(things_fmri, monkeypatch):
    from bltvs_neuro.neural.readers import things_fmri as module

    monkeypatch.setattr(module, "BLOCK_BYTES", 70)
    check_things(load_responses(things_fmri))


@pytest.mark.parametrize("columns", ["text", "numbers"])
def test_things_fmri_written_by_pandas(tmp_path, columns):
    """Numbers as column names make pandas pickle them; PyTables would run such a pickle, whatever it says."""
    pytest.importorskip("tables")
    frame = things_tables(tmp_path, None if columns == "text" else list(range(4)))
    frame.to_hdf(tmp_path / "sub-01_ResponseData.h5", key="ResponseData")
    if columns == "numbers":
        with pytest.raises(DataError, match=r"can run code.*format='things_fmri', allow_pickle=True"):
            load_responses(tmp_path)
    check_things(load_responses(tmp_path, allow_pickle=True))
    assert load_responses(tmp_path, roi="V1", allow_pickle=True).voxel.values.tolist() == [0, 2]


def test_things_fmri_runs_nothing(things_fmri, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "hacked"), "w"))

    evil = np.frombuffer(pickle.dumps(np.array([Evil()], dtype=object)), np.uint8)
    with h5py.File(things_fmri / "betas_csv/sub-01_ResponseData.h5", "r+") as file:
        del file["ResponseData/block1_items"]
        items = file.create_dataset("ResponseData/block1_items", (1,), h5py.vlen_dtype(np.uint8))
        items[0] = evil
        items.attrs["PSEUDOATOM"], items.attrs["CLASS"] = np.bytes_(b"object"), np.bytes_(b"VLARRAY")
        file["ResponseData"].attrs["pickled"] = np.bytes_(pickle.dumps(Evil(), 0))
    for allowed, message in ((False, "can run code"), (True, "would create .*open; it was not loaded")):
        with pytest.raises(DataError, match=message):
            load_responses(things_fmri, allow_pickle=allowed)
    assert not (tmp_path / "hacked").exists()


def test_things_fmri_other_layout(things_fmri):
    file = things_fmri / "betas_csv/sub-01_ResponseData.h5"
    with h5py.File(file, "w") as opened:
        opened["something"] = np.zeros(3)
    with pytest.raises(DataError, match=r"holds something, not one table of pandas' layout 'fixed'"):
        load_responses(things_fmri)


@pytest.mark.parametrize(
    ("table", "column", "cell", "message"),
    [
        (
            "Stimulus",
            "trial_id",
            "12a",
            r"trial_id in line 3 of .*StimulusMetadata.csv should be a whole number; got '12a'",
        ),
        ("Stimulus", "trial_id", "", r"trial_id in line 3 .* got ''"),
        ("Stimulus", "trial_id", "1e400", r"trial_id in line 3 .* got '1e400'"),
        ("Voxel", "voxel_id", "٣", r"voxel_id in line 3 .* got '٣'"),
        ("Voxel", "voxel_x", "x", r"voxel_x in line 3 .* got 'x'"),
        ("Voxel", "nc_testset", "x", "nc_testset holds text, not percent"),
        ("Stimulus", "stimulus", " ", r"stimulus is empty in line 3"),
    ],
)
def test_things_fmri_tables_with_strange_cells(things_fmri, table, column, cell, message):
    path = things_fmri / f"betas_csv/sub-01_{table}Metadata.csv"
    frame = pd.read_csv(path, dtype=str)
    frame.loc[1, column] = cell
    frame.to_csv(path, index=False)
    with pytest.raises(DataError, match=message):
        load_responses(things_fmri)


def test_things_fmri_tables_that_are_no_utf8(things_fmri):
    path = things_fmri / "betas_csv/sub-01_StimulusMetadata.csv"
    path.write_bytes(path.read_bytes().replace(b"dog_12s", "dög_12s".encode("latin1")))
    with pytest.raises(DataError, match=r"StimulusMetadata.csv is no UTF-8 text: byte \d+ \(0xf6, line \d\)"):
        load_responses(things_fmri)


def test_things_fmri_stimuli_called_like_missing_values(things_fmri):
    path = things_fmri / "betas_csv/sub-01_StimulusMetadata.csv"
    path.write_text(path.read_text().replace("dog_12s.jpg", "None").replace("ape_03n.jpg", "007"))
    assert {"None", "007"} <= set(load_responses(things_fmri).stimulus_id.values)


def test_things_fmri_lacking_rows(things_fmri):
    folder = things_fmri / "betas_csv"
    voxels = pd.read_csv(folder / "sub-01_VoxelMetadata.csv")
    voxels.loc[4, "voxel_id"] = 9
    voxels.to_csv(folder / "sub-01_VoxelMetadata.csv", index=False)
    with pytest.raises(DataError, match=r"lacks 1 voxels of VoxelMetadata: 9"):
        load_responses(things_fmri)
    (folder / "sub-01_VoxelMetadata.csv").unlink()
    with pytest.raises(DataError, match=r"VoxelMetadata.csv is missing beside ResponseData.h5"):
        load_responses(things_fmri)


# THINGS-EEG2


@pytest.fixture
def things_eeg2(tmp_path):
    folder = tmp_path / "preprocessed" / "sub-04"
    folder.mkdir(parents=True)
    for split, images, repetitions in (("training", 5, 2), ("test", 3, 4)):
        i, r, c, t = np.indices((images, repetitions, 6, 7))
        data = {
            "preprocessed_eeg_data": i * 1000.0 + r * 100 + c * 10 + t,
            "ch_names": ["Pz", "P3", "P7", "O1", "Oz", "O2"],
            "times": np.linspace(-0.2, 0.4, 7),
        }
        np.save(folder / f"preprocessed_eeg_{split}.npy", data, allow_pickle=True)  # type: ignore[arg-type]
    images = {"train_img_files": [f"tr{n}.jpg" for n in range(5)], "test_img_files": [f"te{n}.jpg" for n in range(3)]}
    np.save(tmp_path / "image_metadata.npy", images, allow_pickle=True)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize(("split", "images", "repetitions"), [("training", 5, 2), ("test", 3, 4)])
def test_things_eeg2(things_eeg2, split, images, repetitions):
    responses = load_responses(things_eeg2, split=split, allow_pickle=True)
    assert responses.shape == (images * repetitions, 6, 7)
    image = [int(s[2]) for s in responses.stimulus_id.values]
    expected = (
        np.array(image)[:, None, None] * 1000
        + responses.repetition.values[:, None, None] * 100
        + np.arange(6)[:, None] * 10
        + np.arange(7)
    )
    np.testing.assert_array_equal(responses.values, expected)
    assert responses.electrode.values.tolist() == ["Pz", "P3", "P7", "O1", "Oz", "O2"]
    assert responses.time.values[[0, -1]] == pytest.approx([-0.2, 0.4])
    assert set(responses.subject.values) == {"sub-04"}
    file = load_responses(things_eeg2 / f"preprocessed_eeg_{split}.npy", allow_pickle=True)
    xr.testing.assert_equal(file, responses)


def test_things_eeg2_problems(things_eeg2):
    with pytest.raises(DataError, match=r"can run code.*format='things_eeg2', allow_pickle=True"):
        load_responses(things_eeg2)
    with pytest.raises(DataError, match=r"2 images are named, but .* has 3"):
        load_responses(things_eeg2, stimuli=["a", "b"], allow_pickle=True)
    (things_eeg2.parents[1] / "image_metadata.npy").unlink()
    with pytest.raises(DataError, match=r"image_metadata.npy, which names the images, was not found"):
        load_responses(things_eeg2, allow_pickle=True)
    np.save(things_eeg2 / "preprocessed_eeg_test.npy", {"x": 1}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"holds a dict of x; expected preprocessed_eeg_data"):
        load_responses(things_eeg2, allow_pickle=True)
