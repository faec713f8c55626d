"""Readers of surfaces and of Brain-Score's assemblies, on small files of exactly their layout."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import load_responses

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
