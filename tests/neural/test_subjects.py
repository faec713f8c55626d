"""Files of several subjects become one labelled set, of RDMs or of responses."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural import concat, kind_of, load_rdms, load_responses, make_rdms, make_responses, to_netcdf
from bltvs_neuro.neural.subjects import subject_of
from bltvs_neuro.rsa import brain_rdms, compute_rdms

IDS = [f"s{i}" for i in range(6)]


@pytest.fixture
def betas(tmp_path):
    """Three files of responses, the second in another order of stimuli."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 6, 5))
    for k, name in enumerate(("sub-01_betas", "sub-02_betas", "anna")):
        order = [3, 1, 5, 0, 4, 2] if k == 1 else range(6)
        np.save(tmp_path / f"{name}.npy", values[k][list(order)])
        (tmp_path / f"{name}.stimuli.txt").write_text("\n".join(IDS[i] for i in order))
    return values, [tmp_path / f"{name}.npy" for name in ("sub-01_betas", "sub-02_betas", "anna")]


def test_each_subject_keeps_its_numbers_in_one_order(betas):
    values, paths = betas
    rdms = brain_rdms(paths)
    assert rdms["subject"].values.tolist() == ["sub-01", "sub-02", "anna"]
    for k in range(3):
        own = compute_rdms(values[k], stimulus_ids=IDS)
        np.testing.assert_allclose(rdms.values[k], own.values[0], atol=1e-12)
    assert rdms["stimulus_a"].values[0] == "s0" and len(rdms.attrs["sha256"]) == 3


def test_what_does_not_belong_together_is_named(betas, tmp_path):
    _, paths = betas
    twin = tmp_path / "x" / "sub-01_betas.npy"
    twin.parent.mkdir()
    twin.write_bytes(paths[0].read_bytes())
    twin.with_name("sub-01_betas.stimuli.txt").write_text("\n".join(IDS))
    with pytest.raises(DataError, match=r"sub-01_betas\.npy.*both hold subject sub-01"):
        brain_rdms([paths[0], twin])
    other = to_netcdf(make_rdms(np.ones((1, 15)), IDS, metric="m", roi=["IT"]), tmp_path / "r.nc")
    with pytest.raises(DataError, match="do not both have roi"):
        brain_rdms([paths[0], other])
    np.save(tmp_path / "sub-03.npy", np.random.default_rng(1).standard_normal((5, 7)))
    (tmp_path / "sub-03.stimuli.txt").write_text("\n".join(IDS[:5]))
    with pytest.raises(DataError, match="s5"):
        brain_rdms([paths[0], tmp_path / "sub-03.npy"])


def test_responses_of_several_subjects_stand_side_by_side(betas):
    values, paths = betas
    both = load_responses(paths)
    assert both["stimulus_id"].values.tolist() == IDS
    assert both["subject"].values.tolist() == ["sub-01"] * 5 + ["sub-02"] * 5 + ["anna"] * 5
    assert both["neuroid_id"].values[[0, 5, 14]].tolist() == ["sub-01/0", "sub-02/0", "anna/4"]
    np.testing.assert_array_equal(both.values, np.concatenate(list(values), axis=1))
    assert len(both.attrs["source"]) == len(both.attrs["sha256"]) == 3
    again = concat([load_responses(path) for path in paths])
    assert again.identical(both)
    assert kind_of(paths) == "responses"
    stored = load_responses(to_netcdf(both, paths[0].with_name("both.nc")))
    np.testing.assert_array_equal(stored.values, both.values)
    assert stored["neuroid_id"].values.tolist() == both["neuroid_id"].values.tolist()


def test_a_folder_with_a_file_for_each_subject_is_one_set(betas, tmp_path):
    values, paths = betas
    (tmp_path / "README.txt").write_text("12 voxels")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t20\n")
    both = load_responses(tmp_path)  # anna's file does not say that it is a subject's
    np.testing.assert_array_equal(both.values, np.concatenate(list(values[:2]), axis=1))
    assert set(load_responses(tmp_path, subject="2")["subject"].values) == {"sub-02"}
    with pytest.raises(SpecError, match="unknown subject '7'; valid: sub-01, sub-02"):
        load_responses(tmp_path, subject=["1", "7"])
    assert brain_rdms(tmp_path)["subject"].values.tolist() == ["sub-01", "sub-02"]
    (tmp_path / "sub-03").mkdir()
    paths[2].rename(tmp_path / "sub-03" / "betas.npy")
    (tmp_path / "anna.stimuli.txt").rename(tmp_path / "sub-03" / "betas.stimuli.txt")
    assert load_responses(tmp_path).sizes["neuroid"] == 15
    np.save(tmp_path / "sub-01_psc.npy", values[0])
    with pytest.raises(
        DataError, match=r"several files of subject sub-01, sub-01_betas\.npy, sub-01_psc\.npy: name the one"
    ):
        load_responses(tmp_path)


def test_subjects_are_named_where_the_files_do_not(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "trials.txt").write_text("\n".join(IDS))
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", rng.standard_normal((6, 5)))
    files = [tmp_path / "a.npy", tmp_path / "b.npy"]
    given = dict(stimuli=str(tmp_path / "trials.txt"))
    assert load_responses(files, **given, subject=["anna", "bob"])["subject"].values[[0, 9]].tolist() == ["anna", "bob"]
    with pytest.raises(SpecError, match="names each of the 2 files in their order; got anna"):
        load_responses(files, **given, subject="anna")
    for name in ("anna", "bob"):
        (tmp_path / f"{name}.txt").write_text("\n".join(reversed(IDS)))
    both = load_responses(files, stimuli=str(tmp_path / "{subject}.txt"), subject=["anna", "bob"])
    assert both["stimulus_id"].values[0] == IDS[-1]


def test_the_same_repetition_of_a_stimulus_stands_in_a_row():
    def made(ids, values, **more):
        return make_responses(np.array(values)[:, None], ids, neuroid_coords={"electrode": ["E1"]}, **more)

    one = made(["x", "y", "x", "y"], [1.0, 2.0, 3.0, 4.0], run=[1, 1, 2, 2])
    two = made(["y", "x", "x", "y"], [20.0, 10.0, 30.0, 40.0], run=[1, 1, 2, 2], block=[1, 2, 3, 4])
    both = concat({"anna": one, "bob": two})
    assert both.values.tolist() == [[1, 10], [2, 20], [3, 30], [4, 40]]
    assert both["run"].values.tolist() == [1, 1, 2, 2] and "block" not in both.coords
    assert both["repetition"].values.tolist() == [0, 0, 1, 1]


def test_unequal_repetitions_are_averaged_and_told(caplog):
    one = make_responses([[1.0], [3.0], [5.0]], ["x", "x", "y"], neuroid_coords={"voxel": [0]})
    two = make_responses([[7.0], [8.0]], ["y", "x"], neuroid_coords={"voxel": [0]})
    both = concat({"anna": one, "bob": two})
    assert both.values.tolist() == [[2, 8], [5, 7]]
    assert "unequally often (x 2, 1 times): means over repetitions are joined" in caplog.text


def test_rows_of_several_subjects_in_one_table_are_joined_too():
    rows = make_responses(
        np.arange(8.0).reshape(4, 2), ["x", "y", "y", "x"], neuroid_coords={"neuroid_id": ["v1", "v2"]},
        repetition=[0, 0, 0, 0], subject=["S1", "S1", "S2", "S2"],
    )  # fmt: skip
    both = concat({"table": rows})
    assert both.values.tolist() == [[0, 1, 6, 7], [2, 3, 4, 5]]
    assert both["neuroid_id"].values.tolist() == ["S1/v1", "S1/v2", "S2/v1", "S2/v2"]


def test_parts_that_do_not_fit_say_what_differs(betas):
    one = make_responses([[1.0], [2.0]], ["x", "y"], neuroid_coords={"voxel": [0]})
    other = make_responses([[1.0], [2.0]], ["x", "z"], neuroid_coords={"voxel": [0]})
    with pytest.raises(
        DataError, match=r"1 stimulus is in anna but not in bob: y; 1 stimulus is in bob but not in anna: z"
    ):
        concat({"anna": one, "bob": other})
    assert concat({"anna": one, "bob": other}, on_mismatch="intersect")["stimulus_id"].values.tolist() == ["x"]
    roi = one.assign_coords(roi=("neuroid", ["V1"]))
    timed = make_responses(np.ones((2, 1, 2)), ["x", "y"], neuroid_coords={"voxel": [0]}, time=[0.0, 0.1])
    late = timed.assign_coords(time=[0.0, 0.2])
    rdms = make_rdms([[1, 2, 3]], ["x", "y", "z"], metric="m")
    for second, said in (
        (roi, "anna and bob do not both have roi"),
        (rdms, "RDMs and responses are not joined: anna holds responses, bob holds RDMs"),
        (timed, "not sampled at the same times"),
    ):
        with pytest.raises(DataError, match=said):
            concat({"anna": one, "bob": second})
    with pytest.raises(DataError, match="not sampled at the same times"):
        concat({"anna": timed, "bob": late})
    with pytest.raises(DataError, match=r"array 1 of 2 names no subject: give a dict"):
        concat([one, other])
    with pytest.raises(SpecError, match="nothing to join"):
        concat([])


def test_subjects_of_one_data_set_are_read_one_by_one(tmp_path):
    path = to_netcdf(make_rdms(np.ones((3, 15)), IDS, metric="m", subject=["a", "b", "c"]), tmp_path / "r.nc")
    assert load_rdms(path, subject=["a", "c"])["subject"].values.tolist() == ["a", "c"]


@pytest.mark.parametrize(("path", "subject"), [("sub-01/x.npy", "sub-01"), ("subj03.h5", "subj03"), ("a.1.npy", "a")])
def test_whose_a_file_is(path, subject):
    assert subject_of(path) == subject
