"""Names of stimuli that differ in writing only are proposed, applied when asked for, and never guessed."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError, SpecError, spelled_as
from bltvs_neuro.neural import align_rdms, make_rdms, make_responses, match_stimuli, rdm_stimulus_ids
from bltvs_neuro.neural.matching import check_same_stimuli, propose, stem

STORE = ["faces/img_01.png", "faces/img_02.png", "houses/img_10.png"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["img_01.png", "img_02.png", "img_10.png"], 3),  # folder
        (["faces/img_01", "faces/img_02", "houses/img_10"], 3),  # ending
        (["faces/img_01.JPG", "FACES/IMG_02.png", "Houses/img_10.png"], 3),  # ending and case
        (["img_1", "img_2", "img_010"], 3),  # zeros
        (["faces\\IMG_1.BMP", "./faces/img_2", "img_10"], 3),
        (["img_01.png", "other", "img_10"], 2),
        (["a", "b"], 0),
        (STORE, 0),
    ],
)
def test_what_names_alone_tell(names, found):
    proposal = propose(names, STORE)
    assert (len(proposal.names), proposal.ambiguous) == (found, [])
    assert all(stem(old) == stem(new) for old, new in proposal.names.items())


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a.1.png", "a.2.png"),
        ("x1.05", "x1.5"),
        ("img_10", "img_1"),
        ("cat.mat", "cat"),
        ("a.b/c", "a.b/d"),
        ("0", "1"),
    ],
)
def test_names_that_are_two(a, b):
    assert propose([a], [b]).names == {}


def test_folders_tell_apart_what_is_called_the_same():
    store = ["faces/1.png", "houses/1.png"]
    assert propose(["faces/01", "houses/01"], store).names == {"faces/01": store[0], "houses/01": store[1]}
    for names in (["1", "2"], ["faces/1", "1"], ["other/1", "faces/1"]):
        proposal = propose(names, store)
        assert proposal.ambiguous and not proposal.useful, names


def test_what_is_ambiguous_is_refused():
    responses = make_responses(np.ones((2, 1)), ["1", "2"], neuroid_coords={"voxel": [0]})
    with pytest.raises(DataError, match=r"1 may be faces/1\.png, houses/1\.png; rename them by a dict"):
        match_stimuli(responses, ["faces/1.png", "houses/1.png", "2"])
    twice = make_responses(np.ones((2, 1)), ["cat", "CAT"], neuroid_coords={"voxel": [0]})
    with pytest.raises(DataError, match="cat, CAT may be cat.png"):
        match_stimuli(twice, ["cat.png"])
    with pytest.raises(SpecError, match="unknown match 'sounds'"):
        match_stimuli(twice, ["cat.png"], match="sounds")


def test_data_are_renamed_and_nothing_else():
    responses = make_responses(
        np.arange(4.0)[:, None], ["IMG_1", "img_10", "IMG_1", "img_2"], neuroid_coords={"voxel": [0]}
    )
    found = match_stimuli(responses, STORE)
    assert found["stimulus_id"].values.tolist() == [STORE[0], STORE[2], STORE[0], STORE[1]]
    np.testing.assert_array_equal(found.values, responses.values)
    assert found.attrs["matched"] == "3 of 3 stimuli by stem" and "matched" not in responses.attrs
    rdms = make_rdms([[1, 2, 3]], ["img_10", "img_1", "img_2"], metric="m")
    assert rdm_stimulus_ids(match_stimuli(rdms, STORE)) == (STORE[2], STORE[0], STORE[1])
    assert match_stimuli(rdms, ["x", "y"]) is rdms


def test_sets_without_anything_in_common_get_an_example_and_the_proposal_not_intersect():
    with pytest.raises(DataError) as caught:
        check_same_stimuli(STORE, ["IMG_1", "IMG_2"], "the store", "the neural data", "intersect")
    said = str(caught.value)
    assert "no stimulus of the store is in the neural data" in said
    assert "in the store is faces/img_01.png" in said and "in the neural data is IMG_1" in said
    assert "match_stimuli (match='stem') would match 2 by name, such as IMG_1 with faces/img_01.png" in said
    assert "intersect" not in said
    with spelled_as({"match": "--match"}), pytest.raises(DataError, match="--match stem would match 2 by name"):
        check_same_stimuli(STORE, ["IMG_1", "IMG_2"], "the store", "the neural data", "raise")
    with pytest.raises(DataError, match=r"say which is which by a dict or \.json file \(stimuli=NAMES\)$"):
        check_same_stimuli(STORE, ["a", "b"], "the store", "the neural data", "raise")


def test_sets_with_some_in_common_are_told_how_many_and_what_names_say():
    a, b = (
        make_rdms(np.ones((1, 6)), ["a", "b", "c", "d"], metric="m"),
        make_rdms(np.ones((1, 6)), ["a", "b", "c", "D.png"], metric="m"),
    )
    with pytest.raises(DataError) as caught:
        align_rdms(a, b, names=("one", "two"))
    said = str(caught.value)
    assert "1 stimulus is in one but not in two: d" in said
    assert "would match 1 by name, such as D.png with d; on_mismatch='intersect' keeps the 3 common stimuli" in said
