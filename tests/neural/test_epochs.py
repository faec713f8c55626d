"""The reader of MNE's epochs: what becomes a stimulus, a coordinate or a channel."""

from __future__ import annotations

import contextlib
import struct
import sys

import numpy as np
import pandas as pd
import pytest

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import load_responses, to_netcdf

# MNE


class FakeEpochs:
    """What the reader uses of MNE's Epochs."""

    def __init__(self, metadata=None):
        self.metadata, self.times = metadata, np.array([-0.1, 0.0, 0.1])
        self.events = np.array([[0, 0, 7], [9, 0, 3], [12, 0, 7], [20, 0, 5]])
        self.rows = np.arange(4)
        self.event_id, self.ch_names = {"dog": 7, "cat": 3}, ["MEG1", "MEG2"]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, rows):
        part = FakeEpochs(self.metadata)
        part.rows = self.rows[rows]
        return part

    def load_data(self):
        return self

    def pick(self, picks, exclude=()):
        return self

    def get_data(self):
        e, c, t = np.indices((4, 2, 3))
        return (e * 100.0 + c * 10 + t)[self.rows]

    def get_channel_types(self):
        return ["mag", "mag"]


@pytest.fixture
def fake_mne(monkeypatch, tmp_path):
    import types

    module = types.ModuleType("mne")
    module.metadata = None
    module.use_log_level = lambda level: contextlib.nullcontext()
    module.read_epochs = lambda path, **_: FakeEpochs(module.metadata)
    monkeypatch.setitem(sys.modules, "mne", module)
    path = tmp_path / "preprocessed_P2-epo.fif"
    path.write_bytes(struct.pack(">4i", 108, 0, 0, -1))  # the tag that ends a file
    return module, path


@pytest.mark.parametrize("block", [3, 500])
def test_mne_layout(fake_mne, block, monkeypatch):
    monkeypatch.setattr("bltvs_neuro.neural.readers.mne_epochs.BLOCK", block)
    module, path = fake_mne
    responses = load_responses(path)
    e, c, t = np.indices((4, 2, 3))
    np.testing.assert_array_equal(responses.values, e * 100 + c * 10 + t)
    assert responses.stimulus_id.values.tolist() == ["dog", "cat", "dog", "5"]
    assert responses.time.values.tolist() == [-0.1, 0.0, 0.1]
    assert responses.electrode.values.tolist() == ["MEG1", "MEG2"]
    assert set(responses.subject.values) == {"P2"}
    module.metadata = pd.DataFrame({"stimulus": list("wxyz"), "other": list("abcd")})
    assert load_responses(path).stimulus_id.values.tolist() == list("wxyz")
    assert load_responses(path, column="other").stimulus_id.values.tolist() == list("abcd")
    with pytest.raises(DataError, match=r"no column 'image'; they have stimulus, other"):
        load_responses(path, column="image")
    with pytest.raises(DataError, match=r"1 stimulus id was given, but .* has 4 epochs"):
        load_responses(path, stimuli=["a"])


def test_mne_is_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mne", None)
    (tmp_path / "x-epo.fif").write_bytes(b"fif")
    with pytest.raises(DataError, match=r"pip install 'bltvs_neuro\[meg\]'"):
        load_responses(tmp_path / "x-epo.fif")


def test_mne_files(tmp_path):
    mne = pytest.importorskip("mne")
    info = mne.create_info(["O1", "O2", "stim"], 100, ["eeg", "eeg", "stim"])
    data = np.random.default_rng(0).normal(size=(4, 3, 11)) * 1e-6
    events = np.array([[0, 0, 7], [30, 0, 3], [60, 0, 7], [90, 0, 5]])
    epochs = mne.EpochsArray(data, info, events, tmin=-0.02, event_id={"dog": 7, "cat": 3, "ape": 5}, verbose="ERROR")
    path = tmp_path / "sub-09_task-x-epo.fif"
    epochs.save(path, verbose="ERROR")
    responses = load_responses(path)
    np.testing.assert_allclose(responses.values, data[:, :2], rtol=1e-5)
    assert responses.stimulus_id.values.tolist() == ["dog", "cat", "dog", "ape"]
    assert responses.time.values == pytest.approx(epochs.times)
    assert set(responses.subject.values) == {"sub-09"}
    assert load_responses(path, picks=["O2"]).electrode.values.tolist() == ["O2"]
    with pytest.raises(DataError, match=r"picks 'meg' cannot be read"):
        load_responses(path, picks="meg")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"is damaged or no .fif file: the tag at byte"):
        load_responses(path)


def labelled_epochs(path, metadata, types=("eeg", "eeg")):
    mne = pytest.importorskip("mne")
    n = len(metadata)
    info = mne.create_info([f"C{k}" for k in range(len(types))], 100, list(types))
    data = np.arange(n * len(types) * 5.0).reshape(n, len(types), 5)
    events = np.column_stack([np.arange(n) * 10, np.zeros(n, int), np.ones(n, int)])
    epochs = mne.EpochsArray(data, info, events, event_id={"face/1": 1}, metadata=metadata, verbose="ERROR")
    epochs.save(path, verbose="ERROR", overwrite=True)
    return data


def test_mne_integer_ids_with_gaps(tmp_path):
    """A gap turns a column of integers into floats: 11.0 is 11, and a trial without a stimulus is none of another's."""
    path = tmp_path / "x-epo.fif"
    data = labelled_epochs(path, pd.DataFrame({"stimulus_id": [11.0, np.nan, 12, np.nan, 11], "run": [1, 1, 2, 2, 2]}))
    with pytest.raises(DataError, match=r"2 of 5 epochs have no stimulus \(epochs 1, 3, from 0\); unlabelled='drop'"):
        load_responses(path)
    responses = load_responses(path, unlabelled="drop")
    assert responses.stimulus_id.values.tolist() == ["11", "12", "11"]
    assert responses.repetition.values.tolist() == [0, 0, 1]
    assert responses.run.values.tolist() == [1, 2, 2]
    np.testing.assert_allclose(responses.values, data[[0, 2, 4]], rtol=1e-6)
    with pytest.raises(SpecError, match="skip"):
        load_responses(path, unlabelled="skip")


@pytest.mark.parametrize("gap", [None, "", " "])
def test_mne_text_ids_with_gaps(tmp_path, gap):
    labelled_epochs(tmp_path / "x-epo.fif", pd.DataFrame({"stimulus_id": ["a", gap, "b7"]}))
    with pytest.raises(DataError, match=r"1 of 3 epochs have no stimulus \(epochs 1, from 0\)"):
        load_responses(tmp_path / "x-epo.fif")
    assert load_responses(tmp_path / "x-epo.fif", unlabelled="drop").stimulus_id.values.tolist() == ["a", "b7"]


def test_mne_metadata_become_coordinates(tmp_path):
    metadata = pd.DataFrame(
        {
            "stimulus_id": list("abca"), "Run": [1, 1, 2, 2], "block": [0.0, 0, 1, 1], "session": ["s1", "s1", "s2", "s2"],
            "rt": [0.5, np.nan, 0.7, 0.8], "note": ["x", None, "z", "w"], "time": [1, 2, 3, 4], "values": [1, 2, 3, 4],
            "a b/c": [1, 2, 3, 4], "Subject": [3, 3, 3, 3],
        }
    )  # fmt: skip
    labelled_epochs(tmp_path / "sub-09_x-epo.fif", metadata)
    responses = load_responses(tmp_path / "sub-09_x-epo.fif")
    assert responses.run.values.tolist() == [1, 1, 2, 2]
    assert responses.block.values.tolist() == [0, 0, 1, 1] and responses.block.dtype.kind == "i"
    assert responses.session.values.tolist() == ["s1", "s1", "s2", "s2"]
    assert responses.note.values.tolist() == ["x", "", "z", "w"]
    np.testing.assert_array_equal(responses.rt, metadata.rt)
    assert {"metadata_time", "metadata_values", "a_b_c"} <= set(responses.coords)
    assert responses.subject.dims == ("neuroid",) and set(responses.subject.values) == {"3"}
    assert responses.attrs["units"] == "V"
    assert to_netcdf(responses, tmp_path / "x.nc").is_file()


def test_mne_several_subjects(tmp_path):
    metadata = pd.DataFrame({"stimulus_id": list("abab"), "subject": ["S1", "S1", "S2", "S2"]})
    data = labelled_epochs(tmp_path / "x-epo.fif", metadata)
    assert load_responses(tmp_path / "x-epo.fif").subject.values.tolist() == ["S1", "S1", "S2", "S2"]
    second = load_responses(tmp_path / "x-epo.fif", subject="S2")
    np.testing.assert_allclose(second.values, data[2:], rtol=1e-6)
    assert second.subject.dims == ("neuroid",) and set(second.subject.values) == {"S2"}
    with pytest.raises(SpecError, match="unknown subject 'S3'.*valid: S1, S2"):
        load_responses(tmp_path / "x-epo.fif", subject="S3")


def test_mne_channels_of_several_units(tmp_path):
    path = tmp_path / "x-epo.fif"
    labelled_epochs(path, pd.DataFrame({"stimulus_id": list("ab")}), types=("mag", "grad", "grad", "eeg"))
    with pytest.raises(
        DataError, match=r"several units \(1 mag in T, 2 grad in T/m, 1 eeg in V\): choose with picks='mag'"
    ):
        load_responses(path)
    grad = load_responses(path, picks="grad")
    assert grad.channel_type.values.tolist() == ["grad", "grad"] and grad.attrs["units"] == "T/m"
    everything = load_responses(path, picks="data")
    assert everything.sizes["neuroid"] == 4 and "units" not in everything.attrs


def test_mne_ids_stand_once_and_columns_of_one_name_twice(tmp_path):
    path = tmp_path / "x-epo.fif"
    labelled_epochs(path, pd.DataFrame({"stimulus_id": list("ab"), "Run": [1, 2], "run": [3, 4]}))
    responses = load_responses(path)
    assert "metadata_stimulus_id" not in responses.coords
    assert responses.run.values.tolist() == [1, 2] and responses["run_"].values.tolist() == [3, 4]


def test_mne_a_subject_is_chosen_not_renamed(tmp_path):
    path = tmp_path / "x-epo.fif"
    labelled_epochs(path, pd.DataFrame({"stimulus_id": list("ab"), "subject": ["sub-01", "sub-01"]}))
    assert set(load_responses(path, subject="1").subject.values) == {"sub-01"}
    with pytest.raises(SpecError, match="unknown subject 'sub-02'"):
        load_responses(path, subject="sub-02")


def test_mne_names_of_events(tmp_path):
    labelled_epochs(tmp_path / "x-epo.fif", pd.DataFrame({"run": [1, 2]}))
    responses = load_responses(tmp_path / "x-epo.fif")
    assert responses.stimulus_id.values.tolist() == ["face/1", "face/1"] and responses.run.values.tolist() == [1, 2]
