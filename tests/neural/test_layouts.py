"""Readers of surfaces, tables, electrodes and assemblies, on small files of exactly their layout."""

from __future__ import annotations

import contextlib
import pickle
import struct
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import RDM_READERS, RESPONSE_READERS, load_responses, make_responses, to_netcdf

from .conftest import write_matlab73

# Algonauts 2023


@pytest.fixture
def algonauts2023(tmp_path):
    subject = tmp_path / "subj03"
    fmri, images, masks = (
        subject / p for p in ("training_split/training_fmri", "training_split/training_images", "roi_masks")
    )
    for folder in (fmri, images, masks):
        folder.mkdir(parents=True)
    for number, nsd in enumerate((12, 0, 72999, 40), start=1):
        (images / f"train-{number:04d}_nsd-{nsd:05d}.png").touch()
    for side, base, vertices in (("lh", 0, 6), ("rh", 1000, 5)):
        table = base + 100 * np.arange(4)[:, None] + np.arange(vertices)
        np.save(fmri / f"{side}_training_fmri.npy", table.astype(np.float32))
        np.save(masks / f"{side}.prf-visualrois_challenge_space.npy", np.array([0, 1, 2, 7, 0, 0][:vertices]))
        np.save(masks / f"{side}.streams_challenge_space.npy", np.array([1, 1, 1, 5, 5, 0][:vertices]))
        np.save(masks / f"{side}.floc-faces_challenge_space.npy", np.array([0, 0, 0, 2, 2, 0][:vertices]))
        every = np.zeros(20, dtype=int)
        every[3 : 3 + vertices] = 1
        np.save(masks / f"{side}.all-vertices_fsaverage_space.npy", every)
        np.save(masks / f"{side}.prf-visualrois_fsaverage_space.npy", np.zeros(20, dtype=int))
    np.save(masks / "mapping_streams.npy", {0: "Unknown", 1: "first", 5: "fifth"}, allow_pickle=True)
    return subject


def test_algonauts2023(algonauts2023):
    responses = load_responses(algonauts2023)
    assert responses.shape == (4, 11)
    base = np.where(responses.hemisphere.values == "rh", 1000, 0)
    np.testing.assert_array_equal(responses.values, base + 100 * np.arange(4)[:, None] + responses.vertex.values)
    assert responses.vertex.values.tolist() == [*range(6), *range(5)]
    assert responses.vertex_fsaverage.values.tolist() == [*range(3, 9), *range(3, 8)]
    # rows are numbered from 1, nsdId from 0
    assert responses.stimulus_id.values.tolist() == ["nsd-00012", "nsd-00000", "nsd-72999", "nsd-00040"]
    assert load_responses(algonauts2023, ids="file").stimulus_id.values[2] == "train-0003_nsd-72999.png"
    assert set(responses.subject.values) == {"subj03"}
    assert responses.roi.values[:6].tolist() == ["early", "V1", "V1", "FFA-1", "FFA-1", ""]
    assert responses.roi_prf_visualrois.values[:4].tolist() == ["", "V1v", "V1d", "hV4"]


def test_algonauts2023_rois(algonauts2023):
    v1 = load_responses(algonauts2023, roi="V1")
    assert v1.vertex.values.tolist() == [1, 2, 1, 2]
    assert load_responses(algonauts2023, roi="V1", hemisphere="rh").values.tolist() == [
        [1001 + n, 1002 + n] for n in (0, 100, 200, 300)
    ]
    assert load_responses(algonauts2023, roi=["V1d", "floc-faces"], hemisphere="lh").vertex.values.tolist() == [2, 3, 4]
    with pytest.raises(SpecError, match=r"unknown roi 'V9'"):
        load_responses(algonauts2023, roi="V9")


def test_algonauts2023_pickled_names_only_when_allowed(algonauts2023):
    assert "early" in load_responses(algonauts2023).roi_streams.values
    named = load_responses(algonauts2023, allow_pickle=True)
    assert named.roi_streams.values[:5].tolist() == ["first"] * 3 + ["fifth"] * 2


def test_algonauts2023_masks_of_one_hemisphere(algonauts2023):
    (algonauts2023 / "roi_masks/rh.streams_challenge_space.npy").unlink()
    with pytest.raises(DataError, match="has masks of one hemisphere only: streams; fetch the others, too"):
        load_responses(algonauts2023)


def test_algonauts2023_problems(algonauts2023):
    image = next(algonauts2023.glob("training_split/training_images/train-0003*"))
    image.rename(image.with_name("train-0005_nsd-72999.png"))
    with pytest.raises(DataError, match=r"train-0001_nsd-\*\.png to train-0004_nsd-\*\.png, one a row; it has 4"):
        load_responses(algonauts2023)
    assert load_responses(algonauts2023, stimuli=list("abcd")).stimulus_id.values.tolist() == list("abcd")
    with pytest.raises(DataError, match=r"3 stimulus ids were given, but there are 4 rows"):
        load_responses(algonauts2023, stimuli=list("abc"))
    np.save(algonauts2023 / "roi_masks/lh.streams_challenge_space.npy", np.zeros(7, int))
    with pytest.raises(DataError, match=r"has shape \(7,\); the responses have 6 vertices"):
        load_responses(algonauts2023, stimuli=list("abcd"))


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


# Brain-Score


@pytest.fixture
def brainscore_files(shared_data):
    folder = shared_data / "formats" / "brainscore_netcdf"
    if not folder.is_dir():
        pytest.skip("the Brain-Score files are not among the test data")
    return folder


def test_brainscore_real_files(brainscore_files):
    responses = load_responses(brainscore_files / "assy_test_TestMe.nc")
    np.testing.assert_array_equal(responses.values, np.arange(1, 19).reshape(6, 3))
    assert responses.stimulus_id.values.tolist() == ["n0", "n1", "n1", "n0", "n4", "n9"]
    assert responses.repetition.values.tolist() == [0, 0, 1, 1, 0, 0]
    assert responses.neuroid_id.values.tolist() == ["alpha", "beta", "gamma"]
    timed = load_responses(brainscore_files / "assy_test_package_assembly.nc")
    assert timed.dims == ("presentation", "neuroid", "time")
    assert timed.time.values.tolist() == pytest.approx([0.005])


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("alexnet-probabilities.nc", r"dims presentation, choice; responses are presentation, neuroid"),
        ("alexnet-rgb-1000.nc", r"dims stimulus_path, neuroid; responses are presentation, neuroid"),
    ],
)
def test_brainscore_files_that_are_no_responses(brainscore_files, file, message):
    with pytest.raises(DataError, match=message):
        load_responses(brainscore_files / file)


@pytest.mark.parametrize("variable", ["data", "__xarray_dataarray_variable__"])
@pytest.mark.parametrize("dims", [("presentation", "neuroid", "time_bin"), ("neuroid", "time_bin", "presentation")])
def test_brainscore_time_and_labels(tmp_path, variable, dims):
    p, n, t = np.meshgrid(np.arange(4), np.arange(3), np.arange(2), indexing="ij")
    array = xr.DataArray(
        (p * 100 + n * 10 + t).astype(np.float32),
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "image_id": ("presentation", ["x", "y", "x", "y"]),
            "object_name": ("presentation", ["car", "dog", "car", "dog"]),
            "repetition": ("presentation", [1, 1, 2, 2]),
            "region": ("neuroid", ["V4", "IT", "IT"]),
            "animal": ("neuroid", ["Chabo", "Tito", "Chabo"]),
            "time_bin_start": ("time_bin", [50, 70]),
            "time_bin_end": ("time_bin", [100, 170]),
        },
        attrs={"identifier": "lab"},
    ).transpose(*dims)
    array.to_dataset(name=variable).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    responses = load_responses(tmp_path / "x.nc")
    np.testing.assert_array_equal(responses.values, p * 100 + n * 10 + t)
    assert responses.time.values == pytest.approx([0.075, 0.120])
    assert responses.time_bin_end.values == pytest.approx([0.1, 0.17])
    assert responses.repetition.values.tolist() == [0, 0, 1, 1]  # was counted from 1
    assert responses.object_name.values.tolist() == ["car", "dog", "car", "dog"]
    assert responses.attrs["identifier"] == "lab"
    it = load_responses(tmp_path / "x.nc", roi="IT", subject="Chabo")
    np.testing.assert_array_equal(it.values[:, 0], responses.values[:, 2])


def test_brainscore_written_by_brainio(tmp_path):
    assemblies = pytest.importorskip("brainscore_core.supported_data_standards.brainio.assemblies")
    array = assemblies.NeuroidAssembly(
        np.arange(6.0).reshape(3, 2),
        coords={
            "stimulus_id": ("presentation", ["c", "a", "b"]),
            "object_name": ("presentation", ["x", "y", "z"]),
            "neuroid_id": ("neuroid", [5, 6]),
            "region": ("neuroid", ["IT", "IT"]),
        },
        dims=["presentation", "neuroid"],
    )
    plain = xr.DataArray(array).reset_index(["presentation", "neuroid"])
    plain.to_dataset(name="data").to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    responses = load_responses(tmp_path / "x.nc")
    np.testing.assert_array_equal(responses.values, array.values)
    assert responses.stimulus_id.values.tolist() == ["c", "a", "b"]
    assert responses.roi.values.tolist() == ["IT", "IT"]


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
    assert all(f"\n  {name}: " in str(caught.value) for name in RESPONSE_READERS)
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
