"""RDMs of published data sets and toolboxes, on their files or files of exactly their layout."""

from __future__ import annotations

import json
import pickle

import h5py
import numpy as np
import pytest
import scipy.io
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import load_rdms, rdm_stimulus_ids, select_stimuli, to_square

from .conftest import random_rdms, write_matlab73

IDS = ["d", "a", "c", "b", "e"]
SQUARE = random_rdms(1, 5)[0]
STACK = random_rdms(3, 5, seed=1)


# the 92 objects


def test_92_objects_human(objects92):
    rdms = load_rdms("kriegeskorte92")
    assert rdms.shape == (8, 4186)
    assert list(zip(rdms.subject.values, rdms.session.values, strict=True)) == [
        (subject, session) for subject in ("BE", "KO", "SN", "TI") for session in (1, 2)
    ]
    assert rdm_stimulus_ids(rdms)[::91] == ("object_01", "object_92")
    raw = scipy.io.loadmat(objects92 / "92_brainRDMs.mat")["RDMs"]
    np.testing.assert_allclose(to_square(rdms)[5], raw[0, 2, 1]["RDM"], rtol=1e-6, atol=1e-7)
    assert rdms.attrs["sha256"].startswith("1743f90a15e8")
    assert rdms.attrs["source"] == "kriegeskorte92/92_brainRDMs.mat"


def test_92_objects_share_one_order(objects92):
    """Figure 1's human IT is the mean of the eight, which it could not be in another order."""
    figure = scipy.io.loadmat(objects92 / "Kriegeskorte_Neuron2008_supplementalData.mat")["RDMs_mIT_hIT_fig1"][0, 1][
        "RDM"
    ]
    np.testing.assert_allclose(load_rdms("kriegeskorte92").mean("rdm"), figure.ravel(), rtol=1e-5)


def test_92_objects_published_correlations(objects92):
    human = load_rdms("kriegeskorte92").mean("rdm").values
    monkey = load_rdms("kriegeskorte92:monkey").values[0]
    assert np.corrcoef(human, monkey)[0, 1] == pytest.approx(0.4912, abs=5e-5)
    assert spearmanr(human, monkey)[0] == pytest.approx(0.4389, abs=5e-5)
    models = load_rdms("kriegeskorte92:models")
    got = {name: spearmanr(human, values)[0] for name, values in zip(models["name"].values, models.values, strict=True)}
    expected = {"animacy": 0.5882, "FaceBodyManmadeNatobj": 0.4053, "HMAX": 0.2217, "V1": 0.0393, "Silhouette": 0.1247}
    assert {name: got[name] for name in expected} == pytest.approx(expected, abs=5e-5)
    behaviour = load_rdms("kriegeskorte92:behaviour")
    assert list(behaviour.subject.values) == [f"subject{i}" for i in range(1, 17)]
    assert spearmanr(human, behaviour.mean("rdm"))[0] == pytest.approx(0.3924, abs=5e-5)


def test_92_objects_session_reliability(objects92):
    got = [np.corrcoef(load_rdms("kriegeskorte92", subject=subject))[0, 1] for subject in ("BE", "KO", "SN", "TI")]
    assert got == pytest.approx([0.2906, 0.0985, 0.3981, 0.1185], abs=5e-5)


def test_92_objects_by_subject_and_session(objects92):
    rdms = load_rdms("kriegeskorte92", subject=["KO", "TI"], session=2)
    assert list(rdms.subject.values) == ["KO", "TI"]
    with pytest.raises(SpecError, match=r"unknown subject 'XX'; valid: BE, KO, SN, TI"):
        load_rdms("kriegeskorte92", subject="XX")
    with pytest.raises(SpecError, match=r"kriegeskorte92 has no option area; choose by"):
        load_rdms("kriegeskorte92", area="V1")
    with pytest.raises(SpecError, match=r"have no session to choose by"):
        load_rdms("kriegeskorte92:behaviour", session=1)
    with pytest.raises(
        SpecError, match=r"unknown data set 'kriegeskorte92:monky' .did you mean 'kriegeskorte92:monkey'"
    ):
        load_rdms("kriegeskorte92:monky")


# rsatoolbox


@pytest.fixture(params=["hdf5", "pkl"])
def rsatoolbox_file(request, tmp_path):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    rdms = rsatoolbox.rdm.RDMs(
        STACK,
        dissimilarity_measure="crossnobis",
        descriptors={"session": "s0"},
        rdm_descriptors={"subject": ["x", "y", "z"], "time": [0.1, 0.2, 0.3]},
        pattern_descriptors={"stimulus": IDS, "category": ["p", "p", "q", "q", "q"]},
    )
    path = tmp_path / f"rdms.{request.param}"
    rdms.save(str(path), file_type=request.param)
    return path, rdms


def test_rsatoolbox_files(rsatoolbox_file):
    path, theirs = rsatoolbox_file
    ours = load_rdms(path, allow_pickle=True)
    np.testing.assert_allclose(ours.values, theirs.dissimilarities)
    np.testing.assert_allclose(to_square(ours).values, theirs.get_matrices())
    assert rdm_stimulus_ids(ours) == tuple(IDS)
    assert list(ours.subject.values) == ["x", "y", "z"]
    assert list(ours.time.values) == [0.1, 0.2, 0.3]
    assert set(ours.session.values) == {"s0"}
    assert ours.attrs["metric"] == "crossnobis"


def test_rsatoolbox_without_ids(tmp_path):
    rsatoolbox = pytest.importorskip("rsatoolbox")
    path = tmp_path / "rdms.hdf5"
    rsatoolbox.rdm.RDMs(STACK).save(str(path), file_type="hdf5")
    with pytest.raises(DataError, match=r"does not name its stimuli.*pattern_descriptor=.index."):
        load_rdms(path)
    assert rdm_stimulus_ids(load_rdms(path, pattern_descriptor="index")) == ("0", "1", "2", "3", "4")
    assert rdm_stimulus_ids(load_rdms(path, stimuli=IDS)) == tuple(IDS)
    with pytest.raises(SpecError, match=r"unknown pattern_descriptor 'stim'"):
        load_rdms(path, pattern_descriptor="stim")


def test_rsatoolbox_ambiguous_ids(tmp_path):
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["dissimilarities"] = np.ones((1, 3))
        for name in ("first", "second"):
            file[f"pattern_descriptors/{name}"] = np.array(["a", "b", "c"], dtype="S")
    with pytest.raises(DataError, match=r"any of first, second could be the stimulus ids"):
        load_rdms(tmp_path / "x.hdf5")


def test_pickle_needs_permission_and_runs_nothing(tmp_path):
    path = tmp_path / "rdms.pkl"
    path.write_bytes(
        pickle.dumps({"dissimilarities": np.ones((1, 3)), "pattern_descriptors": {"stimulus": ["a", "b", "c"]}})
    )
    with pytest.raises(DataError, match=r"can run code.*allow_pickle=True"):
        load_rdms(path)
    assert load_rdms(path, allow_pickle=True).shape == (1, 3)

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "hacked"), "w"))

    path.write_bytes(pickle.dumps({"dissimilarities": Evil()}))
    with pytest.raises(DataError, match=r"would create .*open; it was not loaded"):
        load_rdms(path, allow_pickle=True)
    assert not (tmp_path / "hacked").exists()
    path.write_bytes(pickle.dumps({"x": np.ones(100)})[:-60])
    with pytest.raises(DataError, match=r"damaged|truncated|plain"):
        load_rdms(path, allow_pickle=True)


def test_pickle_cannot_walk_through_dotted_names(tmp_path):
    path = tmp_path / "rdms.pkl"
    # protocol 4: STACK_GLOBAL numpy.dtypes "sys.exit", called with ()
    path.write_bytes(b"\x80\x04\x8c\x0cnumpy.dtypes\x8c\x0bnumpy.DType\x93)R.")
    with pytest.raises(DataError, match=r"would create numpy.dtypes.numpy.DType"):
        load_rdms(path, allow_pickle=True)


# Meadows


@pytest.mark.parametrize(
    "name",
    [
        "Meadows_myExp_v_v1_arrangement_1D.mat",
        "Meadows_myExp_v_v1_cuddly-bunny_3_1D.mat",
        "Meadows_twoMaTasks_v_v1_informed-mole_tree.json",
    ],
)
def test_meadows_against_rsatoolbox(shared_data, name):
    meadows = pytest.importorskip("rsatoolbox.io.meadows")
    path = shared_data / "formats" / "meadows118" / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the test data")
    ours, theirs = load_rdms(path), meadows.load_rdms(str(path))
    # rsatoolbox sorts the stimuli and cuts their names at the first dot
    names = {stimulus.removesuffix(".png"): stimulus for stimulus in rdm_stimulus_ids(ours)}
    order = [names[condition] for condition in theirs.pattern_descriptors["conds"]]
    assert len(order) == len(names)
    np.testing.assert_allclose(select_stimuli(ours, order).values, theirs.dissimilarities)
    assert len(set(ours.subject.values)) == (3 if "arrangement" in name else 1)
    if "tree" in name:
        assert list(ours["task"].values) == ["ma1", "ma2"]
        assert load_rdms(path, task="ma2").shape == (1, 3)
        with pytest.raises(SpecError, match=r"unknown task 'ma3'"):
            load_rdms(path, task="ma3")


def test_meadows_participants_are_aligned_by_id(tmp_path):
    order = [3, 0, 4, 2, 1]
    scipy.io.savemat(
        tmp_path / "m.mat",
        {
            "rdmutv_able_fly": squareform(SQUARE)[None],
            "stimuli_able_fly": np.array(IDS),
            "rdmutv_clean_koi": squareform(SQUARE[np.ix_(order, order)])[None],
            "stimuli_clean_koi": np.array([IDS[i] for i in order]),
        },
    )
    rdms = load_rdms(tmp_path / "m.mat")
    np.testing.assert_allclose(rdms[0], rdms[1])
    assert list(rdms.subject.values) == ["able-fly", "clean-koi"]


def test_meadows_wrong_number_of_stimuli(tmp_path):
    scipy.io.savemat(tmp_path / "m.mat", {"rdmutv": squareform(SQUARE)[None], "stimuli": np.array(IDS[:4])})
    with pytest.raises(DataError, match=r"4 stimuli have RDMs of shape \(4, 4\)"):
        load_rdms(tmp_path / "m.mat")


# Algonauts 2019


@pytest.fixture
def algonauts2019(tmp_path):
    fmri = {name: random_rdms(15, 6, seed) for seed, name in enumerate(("EVC_RDMs", "IT_RDMs"))}
    meg = {
        name: random_rdms(15 * 4, 6, seed).reshape(15, 4, 6, 6)
        for seed, name in enumerate(("MEG_RDMs_early", "MEG_RDMs_late"), start=5)
    }
    write_matlab73(tmp_path / "target_fmri.mat", **fmri)
    write_matlab73(tmp_path / "target_meg.mat", **meg)
    return tmp_path, fmri, meg


def test_algonauts2019_fmri(algonauts2019):
    folder, fmri, _ = algonauts2019
    with h5py.File(folder / "target_fmri.mat") as file:
        assert file["IT_RDMs"].shape == (6, 6, 15)  # as h5py shows the real file
    rdms = load_rdms(folder / "target_fmri.mat")
    assert rdms.shape == (30, 15)
    one = rdms.isel(rdm=np.flatnonzero((rdms.roi == "IT") & (rdms.subject == "3")))
    np.testing.assert_allclose(to_square(one).values[0], fmri["IT_RDMs"][2])
    assert rdm_stimulus_ids(rdms)[0] == "image_1"
    assert set(load_rdms(folder / "target_fmri.mat", roi="EVC").roi.values) == {"EVC"}


def test_algonauts2019_meg(algonauts2019):
    folder, _, meg = algonauts2019
    time = {"early": [0.1, 0.11, 0.12, 0.13], "late": [0.2, 0.21, 0.22, 0.23]}
    rdms = load_rdms(folder / "target_meg.mat", time=time, stimuli=list("abcdef"))
    assert rdms.shape == (120, 15)
    one = rdms.isel(rdm=np.flatnonzero((rdms.interval == "late") & (rdms.subject == "15") & (rdms["sample"] == 2)))
    np.testing.assert_allclose(to_square(one).values[0], meg["MEG_RDMs_late"][14, 2])
    assert float(one.time[0]) == 0.22
    assert "time" not in load_rdms(folder / "target_meg.mat").coords
    with pytest.raises(DataError, match=r"MEG_RDMs_early has 4 samples, time= has 2 for early"):
        load_rdms(folder / "target_meg.mat", time={"early": [0.1, 0.2], "late": [0.2, 0.3]})


def test_algonauts2019_wrong_shape(tmp_path):
    write_matlab73(tmp_path / "target_fmri.mat", EVC_RDMs=np.zeros((15, 6, 7)))
    with pytest.raises(DataError, match=r"EVC_RDMs has shape \(15, 6, 7\); expected \(15, n, n\)"):
        load_rdms(tmp_path / "target_fmri.mat")


def test_a_name_goes_before_a_folder_of_that_name(objects92, tmp_path, monkeypatch):
    monkeypatch.chdir(objects92.parent)
    assert load_rdms("kriegeskorte92").shape == (8, 4186)
    with pytest.raises(DataError, match=r"its files \(92_behavRDMs.mat, .* are read one by one: name one"):
        load_rdms(objects92)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"tasks": 3}, "tasks should be a list; got a int"),
        (
            {"tasks": [{"rdm": ["a", "b", "c"], "stimuli": ["x", "y", "z"]}]},
            "the rdm of task 0 should be a list of numbers",
        ),
        ({"tasks": [{"rdm": [1, 2, 3], "stimuli": ["x", {"id": 1}, None]}]}, "2 of 3 stimulus ids are missing"),
        ({"tasks": [{"rdm": [1, 2, 3], "stimuli": "xyz", "task": 3}]}, "an RDM needs at least 2 stimuli"),
    ],
)
def test_meadows_trees_that_are_none(tmp_path, content, message):
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        load_rdms(tmp_path / "x.json", format="meadows")
