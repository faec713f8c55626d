"""Readers of volumes. Values encode (i, j, k, trial), so that a transposition or an offset shows."""

from __future__ import annotations

import gzip
import shutil

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import load_responses, to_netcdf, to_volume
from bltvs_neuro.neural.reading import nifti

from .conftest import AFFINE, code, coded, save_nifti, write_matlab73

SHAPE = (4, 5, 6)
TRIALS = 750


def expected(responses, trials=None):
    i, j, k = (responses[axis].values.astype(int) for axis in "ijk")
    t = np.arange(responses.sizes["presentation"]) if trials is None else np.asarray(trials)
    return coded(i[None], j[None], k[None], t[:, None])


# NSD


def labels():
    """prf-visualrois: V1v in the plane i=1, V1d in i=2, hV4 at one voxel; -1 outside of cortex as in NSD."""
    roi = np.zeros(SHAPE, dtype=np.int16)
    roi[0] = -1
    roi[1], roi[2] = 1, 2
    roi[3, 4, 5] = 7
    return roi


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    root = tmp_path_factory.mktemp("nsd")
    betas = root / "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    rois = root / "nsddata/ppdata/subj02/func1pt8mm/roi"
    design = root / "nsddata/experiments/nsd"
    design.mkdir(parents=True)
    volumes = code(SHAPE, 2 * TRIALS)
    save_nifti(betas / "betas_session02.nii.gz", volumes[..., TRIALS:])
    with h5py.File(betas / "betas_session01.hdf5", "w") as file:  # (trial, k, j, i)
        file.create_dataset("betas", data=volumes[..., :TRIALS].T, chunks=(50, 6, 5, 4), compression="gzip")
    save_nifti(betas / "ncsnr.nii.gz", (np.arange(120).reshape(SHAPE) / 100).astype(np.float32))
    save_nifti(rois / "prf-visualrois.nii.gz", labels())
    save_nifti(rois / "lh.prf-visualrois.nii.gz", np.where(np.arange(6) < 3, labels(), 0).astype(np.int16))
    general = np.zeros(SHAPE, dtype=np.int16)
    general[1:, 1:] = 1
    save_nifti(rois / "nsdgeneral.nii.gz", general)
    faces = np.zeros(SHAPE, dtype=np.int16)
    faces[3, 4, 5], faces[3, 0, 0] = 2, 1
    save_nifti(rois / "floc-faces.nii.gz", faces)
    rng = np.random.default_rng(0)
    order = rng.integers(1, 10001, 30000)
    subjectim = np.stack([rng.permutation(73000)[:10000] + 1 for _ in range(8)])
    subjectim[1, order[0] - 1] = 73000
    scipy.io.savemat(design / "nsd_expdesign.mat", {"masterordering": order[None], "subjectim": subjectim})
    return root, order, subjectim


def test_nsd_betas_of_both_containers(nsd):
    root, order, subjectim = nsd
    responses = load_responses(root, roi=["V1", "hV4"])
    assert responses.dims == ("presentation", "neuroid")
    assert responses.dtype == np.float32
    assert responses.shape == (1500, 61)
    np.testing.assert_allclose(responses.values, expected(responses) / 300, rtol=1e-6)
    np.testing.assert_array_equal(responses.session.values, np.repeat([1, 2], TRIALS))
    np.testing.assert_array_equal(responses.trial.values, np.arange(1500))
    # 1-based in the design, 0-based in the ids: the largest of 73000 is nsd-72999
    assert responses.stimulus_id.values[0] == "nsd-72999"
    ids = [f"nsd-{subjectim[1, order[t] - 1] - 1:05d}" for t in range(1500)]
    assert responses.stimulus_id.values.tolist() == ids
    assert set(responses.subject.values) == {"subj02"}


def test_nsd_rois(nsd):
    responses = load_responses(nsd[0], roi=["V1", "hV4"], session=2)
    roi = labels()[responses.i, responses.j, responses.k]
    assert responses.roi_prf_visualrois.values.tolist() == [{1: "V1v", 2: "V1d", 7: "hV4"}[n] for n in roi]
    at = np.flatnonzero((responses.i == 3).values)
    # the atlas that comes first names the region; every atlas keeps its own
    assert responses.roi_floc_faces.values[at].tolist() == ["FFA-1"]
    assert set(responses.roi.values) == {"V1", "FFA-1"}
    np.testing.assert_allclose(
        responses.ncsnr.values, (responses.i * 30 + responses.j * 6 + responses.k) / 100, rtol=1e-6
    )
    assert set(load_responses(nsd[0], roi="V1v", session=1).i.values) == {1}
    assert load_responses(nsd[0], session=1).sizes["neuroid"] == 3 * 4 * 6  # nsdgeneral
    assert load_responses(nsd[0], roi="all", session=1).sizes["neuroid"] == 120
    with pytest.raises(SpecError, match=r"unknown roi 'V4'.* valid: .*V1.*nsdgeneral"):
        load_responses(nsd[0], roi="V4")


def test_nsd_session_subset_keeps_its_trials(nsd):
    responses = load_responses(nsd[0], roi="hV4", session=2)
    np.testing.assert_allclose(responses.values, expected(responses, np.arange(750, 1500)) / 300, rtol=1e-6)
    both = load_responses(nsd[0], roi="hV4")
    assert responses.stimulus_id.values.tolist() == both.stimulus_id.values[750:].tolist()
    with pytest.raises(SpecError, match=r"unknown session 3; valid: 1, 2"):
        load_responses(nsd[0], session=3)


def test_nsd_zscored_sessions(nsd):
    responses = load_responses(nsd[0], roi="V1", normalise="session")
    for session in (1, 2):
        part = responses.values[responses.session.values == session]
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(part.std(axis=0), 1, rtol=1e-5)


def test_nsd_reads_only_the_box_of_the_roi(nsd, monkeypatch):
    read = []
    getitem = h5py.Dataset.__getitem__

    def spy(self, selection, *args, **kwargs):
        out = getitem(self, selection, *args, **kwargs)
        if self.name == "/betas":
            read.append(np.size(out))
        return out

    monkeypatch.setattr(h5py.Dataset, "__getitem__", spy)
    load_responses(nsd[0], roi="hV4", session=1)
    assert read == [TRIALS]


def test_nsd_problems(nsd, tmp_path):
    root = tmp_path / "nsd"
    shutil.copytree(nsd[0], root)
    with pytest.raises(SpecError, match=r"unknown subject 'subj01' .*valid: subj02"):
        load_responses(root, subject="subj01")
    design = root / "nsddata/experiments/nsd/nsd_expdesign.mat"
    design.rename(design.with_name("away.mat"))
    with pytest.raises(DataError, match=r"without it the stimuli of the trials are not known"):
        load_responses(root)
    design.with_name("away.mat").rename(design)
    betas = root / "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR/betas_session01.hdf5"
    with h5py.File(betas, "w") as file:
        file["betas"] = np.zeros((TRIALS, *SHAPE), dtype=np.int16)
    with pytest.raises(DataError, match=r"betas of shape \(750, 4, 5, 6\); expected \(750, 6, 5, 4\)"):
        load_responses(root, session=1)
    (root / "nsddata_betas/ppdata/subj01").mkdir()
    with pytest.raises(DataError, match=r"has subj01, subj02: choose one with subject="):
        load_responses(root)


# maps


def test_to_volume_puts_each_value_back(nsd, tmp_path):
    responses = load_responses(nsd[0], roi=["V1", "hV4"], session=1)
    image = to_volume(responses.values[3], responses)
    np.testing.assert_allclose(image.affine, AFFINE, rtol=1e-6)
    inside = np.isin(labels(), [1, 2, 7])
    got = image.get_fdata()
    np.testing.assert_allclose(got[inside], (code(SHAPE, 4)[..., 3] / 300)[inside], rtol=1e-6)
    assert np.isnan(got[~inside]).all()
    assert to_volume(responses.values[:2].T, responses).shape == (*SHAPE, 2)
    # also after a round trip through a file
    again = load_responses(to_netcdf(responses, tmp_path / "r.nc"))
    np.testing.assert_array_equal(to_volume(again.values[3], again).get_fdata(), got)
    with pytest.raises(DataError, match=r"one value per neuroid, 61; got shape \(60,\)"):
        to_volume(np.zeros(60), responses)
    with pytest.raises(DataError, match=r"lack i$"):
        to_volume(np.zeros(61), responses.drop_vars("i"))
    two = responses.assign_coords(subject=("neuroid", ["a"] * 60 + ["b"]))
    with pytest.raises(DataError, match=r"several subjects"):
        to_volume(np.zeros(61), two)


def test_blocks_do_not_change_what_is_read(tmp_path, monkeypatch):
    path = save_nifti(tmp_path / "x.nii.gz", code(SHAPE, 11))
    voxels = np.argwhere(labels() > 0)
    whole = nifti.read_voxels(nifti.open_nifti(path), voxels, "x")
    monkeypatch.setattr(nifti, "BLOCK_BYTES", 3 * 8 * 120)
    np.testing.assert_array_equal(nifti.read_voxels(nifti.open_nifti(path), voxels, "x"), whole)
    np.testing.assert_array_equal(whole, coded(*voxels.T[:, None], np.arange(11)[:, None]))


def test_zscore_of_constant_voxels_is_zero():
    values = np.ones((6, 2), dtype=np.float32)
    values[:, 1] = [0, 2, 0, 2, 5, 5]
    got = nifti.zscore_sessions(values, [1, 1, 1, 1, 2, 2])
    np.testing.assert_allclose(got, [[0, -1], [0, 1], [0, -1], [0, 1], [0, 0], [0, 0]])


# BIDS-style


@pytest.fixture
def bids(tmp_path):
    volumes = code(SHAPE, 9).astype(np.float32)
    start = 0
    # run 10 comes after run 2
    for session, run, count in (("01", "2", 3), ("01", "10", 2), ("02", "1", 4)):
        stem = f"sub-07_ses-{session}_task-x_run-{run}"
        folder = tmp_path / f"ses-{session}"
        save_nifti(folder / f"{stem}_space-T1w_desc-single_betas.nii.gz", volumes[..., start : start + count])
        rows = "".join(f"{n}\t1\tim{n % 4}\n" for n in range(start, start + count))
        (folder / f"{stem}_events.tsv").write_text("onset\tduration\ttrial_type\n" + rows)
        start += count
    save_nifti(tmp_path / "ses-01" / "sub-07_desc-brain_mask.nii.gz", (labels() > 0).astype(np.uint8))
    return tmp_path


def test_bids_folder(bids):
    responses = load_responses(bids)
    assert responses.shape == (9, 61)
    np.testing.assert_array_equal(responses.values, expected(responses))
    assert responses.stimulus_id.values.tolist() == [f"im{n % 4}" for n in range(9)]
    assert responses.repetition.values.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert responses.session.values.tolist() == ["01"] * 5 + ["02"] * 4
    assert responses.run.values.tolist() == ["2"] * 3 + ["10"] * 2 + ["1"] * 4
    assert set(responses.subject.values) == {"sub-07"}
    assert len(responses.attrs["sha256"]) == 64
    assert set(load_responses(bids, session="02").session.values) == {"02"}
    assert set(load_responses(bids, session=2).session.values) == {"02"}


def test_bids_file_with_labelled_mask(bids, tmp_path):
    file = bids / "ses-01" / "sub-07_ses-01_task-x_run-2_space-T1w_desc-single_betas.nii.gz"
    names = {1: "V1v", 2: "V1d", 7: "hV4"}
    whole = load_responses(file, mask=labels(), labels=names, stimuli=["p", "q", "p"])
    assert set(whole.roi.values) == {"V1v", "V1d", "hV4"}
    one = load_responses(file, mask=labels(), labels=names, stimuli=["p", "q", "p"], roi="V1")
    assert set(one.i.values) == {1, 2}
    np.testing.assert_array_equal(one.values, expected(one))
    assert one.repetition.values.tolist() == [0, 0, 1]


def test_bids_problems(bids, tmp_path):
    file = bids / "ses-01" / "sub-07_ses-01_task-x_run-2_space-T1w_desc-single_betas.nii.gz"
    with pytest.raises(DataError, match=r"mask has shape \(5, 4, 6\), but .* has volumes of shape \(4, 5, 6\)"):
        load_responses(file, mask=np.ones((5, 4, 6)))
    with pytest.raises(DataError, match=r"not whole numbers"):
        load_responses(file, mask=np.full(SHAPE, 0.5))
    with pytest.raises(DataError, match=r"the mask is empty"):
        load_responses(file, mask=np.zeros(SHAPE))
    with pytest.raises(DataError, match=r"2 stimulus ids were given, but the images have 3 volumes"):
        load_responses(file, stimuli=["a", "b"])
    with pytest.raises(DataError, match=r"no column 'image'; its columns: onset, duration, trial_type"):
        load_responses(file, column="image")
    shifted = tmp_path / "m.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE + np.eye(4)), shifted)
    with pytest.raises(DataError, match=r"another affine than the data"):
        load_responses(file, mask=shifted)
    next((bids / "ses-01").glob("*run-2_events.tsv")).unlink()
    with pytest.raises(
        DataError, match=r"no _events.tsv with its entities \(sub-07, ses-01, task-x, run-2, .*\); pass stimuli="
    ):
        load_responses(file)
    next((bids / "ses-01").glob("*mask.nii.gz")).unlink()
    with pytest.raises(DataError, match=r"0 masks lie beside"):
        load_responses(file)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_nifti(tmp_path, suffix):
    noise = np.random.default_rng(0).normal(size=(*SHAPE, 40)).astype(np.float32)
    path = save_nifti(tmp_path / f"x{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"truncated"):
        load_responses(path, mask=np.ones(SHAPE), stimuli=[str(n) for n in range(40)])


def test_nifti_header_that_declares_too_much(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2, 2), np.float32), AFFINE)
    header = bytearray(image.to_bytes())
    header[40:50] = np.array([4, 2000, 2000, 2000, 2000], dtype="<i2").tobytes()
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(DataError, match=r"declares 64000000000000 bytes"):
        load_responses(tmp_path / "x.nii.gz", mask=np.ones((2, 2, 2)), stimuli=["a"])


# BOLD5000


@pytest.fixture
def bold5000(tmp_path):
    volumes = code(SHAPE, 12).astype(np.float32)
    names = [f"im_{n:02d}.jpg" for n in range(12)]
    names[7] = names[2]
    for session, (start, stop) in {1: (0, 5), 2: (5, 8), 3: (8, 12)}.items():
        save_nifti(
            tmp_path / f"CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-{session:02d}.nii.gz", volumes[..., start:stop]
        )
    (tmp_path / "CSI1_imgnames.txt").write_text("\n".join(names) + "\n")
    save_nifti(tmp_path / "CSI1_brainmask.nii.gz", (labels() > 0).astype(np.uint8))
    return tmp_path, names


def test_bold5000(bold5000):
    path, names = bold5000
    responses = load_responses(path, normalise="none")
    np.testing.assert_array_equal(responses.values, expected(responses))
    assert responses.stimulus_id.values.tolist() == names
    assert responses.repetition.values[7] == 1
    # the list of images runs over all sessions
    second = load_responses(path, normalise="none", session=[3, 2])
    assert second.session.values.tolist() == [3] * 4 + [2] * 3
    assert second.stimulus_id.values.tolist() == names[8:] + names[5:8]
    np.testing.assert_array_equal(second.values, expected(second, [8, 9, 10, 11, 5, 6, 7]))
    np.testing.assert_allclose(load_responses(path, session=2).values.mean(axis=0), 0, atol=1e-6)


def test_bold5000_problems(bold5000):
    path, _ = bold5000
    with pytest.raises(SpecError, match=r"unknown subject 'CSI2' .*valid: CSI1"):
        load_responses(path, subject="CSI2")
    (path / "CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-02.nii.gz").unlink()
    assert load_responses(path, session=1).shape == (5, 61)
    with pytest.raises(DataError, match=r"lacks sessions 2 of CSI1"):
        load_responses(path, session=3)
    (path / "CSI1_imgnames.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"has 2 names, the images 9 volumes"):
        load_responses(path, session=1)


# GLMsingle


def glmsingle_file(tmp_path, form, betas):
    name = tmp_path / "TYPED_FITHRF_GLMDENOISE_RR"
    if form == "npy":
        path = name.with_suffix(".npy")
        np.save(path, {"betasmd": betas, "R2": np.zeros(3)}, allow_pickle=True)  # type: ignore[arg-type]
    elif form == "hdf5":
        path = name.with_suffix(".hdf5")
        with h5py.File(path, "w") as file:
            file["betasmd"] = betas
    elif form == "mat73":
        path = write_matlab73(name.with_suffix(".mat"), modelmd=betas, R2=np.zeros((3, 1)))
    else:
        path = name.with_suffix(".mat")
        scipy.io.savemat(path, {"modelmd": betas})
    return path


@pytest.mark.parametrize("form", ["npy", "hdf5", "mat73", "mat5"])
@pytest.mark.parametrize("masked", [True, False])
def test_glmsingle_volumes(tmp_path, form, masked, caplog):
    betas = code(SHAPE, 7).astype(np.float32)
    betas[0, 0, 0] = np.nan  # outside of the brain
    path = glmsingle_file(tmp_path, form, betas)
    mask = save_nifti(tmp_path / "mask.nii.gz", (labels() > 0).astype(np.uint8)) if masked else None
    responses = load_responses(path, mask=mask, stimuli=list("abcabca"), subject="S1", allow_pickle=True)
    assert responses.shape == (7, 61 if masked else 119)
    np.testing.assert_array_equal(responses.values, expected(responses))
    assert responses.repetition.values.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert not caplog.records
    if masked:
        back = to_volume(responses.values[4], responses)
        np.testing.assert_allclose(back.affine, AFFINE, rtol=1e-6)
        np.testing.assert_array_equal(back.get_fdata()[labels() > 0], betas[labels() > 0][:, 4])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("form", ["npy", "hdf5", "mat73", "mat5"])
def test_glmsingle_voxels_without_a_beta_in_some_trials_are_told(tmp_path, form, value, caplog):
    betas = code(SHAPE, 7).astype(np.float32)
    betas[0, 0, 0], betas[1, 0, 0, 3], betas[2, 1, 0, :6] = np.nan, value, value
    path = glmsingle_file(tmp_path, form, betas)
    responses = load_responses(path, stimuli=list("abcabca"), allow_pickle=True)
    assert responses.shape == (7, 117)
    assert "left out 2 voxels without a finite beta in some trials; mask= keeps" in caplog.text


@pytest.mark.parametrize("form", ["npy", "hdf5", "mat73", "mat5"])
@pytest.mark.parametrize("flat", [True, False])
def test_glmsingle_lists_of_voxels(tmp_path, form, flat):
    betas = code((8, 1, 1), 7).astype(np.float32)
    path = glmsingle_file(tmp_path, form, betas[:, 0, 0] if flat else betas)
    responses = load_responses(path, stimuli=list("abcabca"), allow_pickle=True)
    assert responses.voxel.values.tolist() == list(range(8))
    assert responses.attrs["units"] == "percent signal change"
    np.testing.assert_array_equal(responses.values, betas[:, 0, 0].T)


def test_glmsingle_problems(tmp_path):
    path = glmsingle_file(tmp_path, "npy", code(SHAPE, 7))
    with pytest.raises(DataError, match=r"can run code.*format='glmsingle', allow_pickle=True"):
        load_responses(path, stimuli=list("abcdefg"))
    with pytest.raises(DataError, match=r"does not name its 7 trials: pass stimuli="):
        load_responses(path, allow_pickle=True)
    with pytest.raises(DataError, match=r"2 stimulus ids were given, but .* has 7 trials"):
        load_responses(path, stimuli=["a", "b"], allow_pickle=True)
    np.save(path, {"other": 1}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"has other; expected betasmd or modelmd"):
        load_responses(path, stimuli=["a"], allow_pickle=True)


# what scales values, and where voxels lie


@pytest.mark.parametrize("slope", [None, 1 / 300, 0.5])
def test_nsd_divides_by_300_only_what_no_slope_has_scaled(nsd, tmp_path, slope):
    root = tmp_path / "nsd"
    shutil.copytree(nsd[0], root)
    file = root / "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR/betas_session02.nii.gz"
    content = bytearray(gzip.decompress(file.read_bytes()))
    if slope is not None:
        content[112:120] = np.array([slope, 0], dtype="<f4").tobytes()  # the header's scl_slope and scl_inter
        file.write_bytes(gzip.compress(bytes(content), 1))
    responses = load_responses(root, roi="hV4", session=2)
    want = expected(responses, np.arange(750, 1500)) * (1 / 300 if slope is None else slope)
    np.testing.assert_allclose(responses.values, want, rtol=1e-5)


@pytest.mark.parametrize("kind", ["float32", "int16"])
@pytest.mark.parametrize("container", ["hdf5", "nii.gz"])
def test_nsd_floats_are_percent_already(nsd, tmp_path, kind, container):
    root = tmp_path / "nsd"
    shutil.copytree(nsd[0], root)
    folder = root / "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    for file in folder.glob("betas_session*"):
        file.unlink()
    volumes = code(SHAPE, TRIALS) if kind == "int16" else (code(SHAPE, TRIALS) / 300).astype(np.float32)
    if container == "hdf5":
        with h5py.File(folder / "betas_session01.hdf5", "w") as file:
            file["betas"] = volumes.T
    else:
        save_nifti(folder / "betas_session01.nii.gz", volumes)
    responses = load_responses(root, roi="hV4")
    np.testing.assert_allclose(responses.values, expected(responses) / 300, rtol=1e-5)


FLIPPED = AFFINE @ np.array([[-1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("session", [1, 2], ids=["hdf5", "nifti"])
@pytest.mark.parametrize("affine", [FLIPPED, AFFINE + np.eye(4)[:, [1, 2, 3, 0]]], ids=["flipped", "turned"])
@pytest.mark.parametrize("which", ["roi/nsdgeneral", "roi/floc-faces", "ncsnr", "only"])
def test_nsd_masks_have_to_lie_on_the_grid_of_the_betas(nsd, tmp_path, session, affine, which):
    root = tmp_path / "nsd"
    shutil.copytree(nsd[0], root)
    betas = root / "nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR"
    if which == "only":  # nothing but other masks says where the voxels of the .hdf5 file lie
        (betas / "ncsnr.nii.gz").unlink()
        (betas / "betas_session02.nii.gz").unlink()
        session, which = 1, "roi/nsdgeneral"
    file = (betas if which == "ncsnr" else root / "nsddata/ppdata/subj02/func1pt8mm") / f"{which}.nii.gz"
    save_nifti(file, np.asarray(nibabel.load(file).dataobj), affine)
    with pytest.raises(DataError, match=r"another affine than the data, .*flipped, turned or scaled"):
        load_responses(root, session=session)


def test_bold5000_masks_and_sessions_have_to_lie_on_one_grid(bold5000):
    path, _ = bold5000
    mask = path / "CSI1_brainmask.nii.gz"
    save_nifti(mask, (labels() > 0).astype(np.uint8), FLIPPED)
    with pytest.raises(DataError, match=r"brainmask.nii.gz has another affine than the data"):
        load_responses(path)
    save_nifti(mask, (labels() > 0).astype(np.uint8))
    file = path / "CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_ses-02.nii.gz"
    save_nifti(file, code(SHAPE, 3).astype(np.float32), FLIPPED)
    assert load_responses(path, session=[1, 1]).sizes["presentation"] == 5
    with pytest.raises(DataError, match=r"ses-02.nii.gz has another affine"):
        load_responses(path)
    (path / f"._{file.name}").touch()
    (path / f"{file.name.removesuffix('.gz')}").write_bytes(b"x")
    with pytest.raises(DataError, match=r"session 02 of CSI1 in several files, .*-02.nii and .*-02.nii.gz"):
        load_responses(path)


@pytest.mark.parametrize("values", [np.full(SHAPE, np.inf), np.full(SHAPE, 1e12), np.full(SHAPE, 0.4)])
def test_masks_that_are_no_masks(bold5000, values):
    with pytest.raises(DataError, match=r"not whole numbers"):
        load_responses(bold5000[0], mask=values)


def test_glmsingle_whole_numbers_are_not_called_percent(tmp_path):
    path = glmsingle_file(tmp_path, "hdf5", code((8, 1, 1), 7))
    assert load_responses(path, stimuli=list("abcabca")).attrs["units"] == "as stored (int16)"
