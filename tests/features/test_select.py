"""The grammar of selections, against sets written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bltvs_neuro.errors import SpecError, StoreError
from bltvs_neuro.features.select import Moment, Select, at_moment, by_site, select, statuses_of

KNOWN = {
    "LGN/bu": {0: "active", 1: "active", 2: "active"},
    "V1/bu": {1: "active", 2: "active"},
    "V1/td": {1: "constant", 2: "active"},
    "V4/bu": {2: "active"},
    "V4/td": {2: "constant"},
}


def asked(areas, constant=True, **options):
    return select(Select(areas, **options) if options else areas, KNOWN, constant=constant)


@pytest.mark.parametrize(
    ("sites", "options", "expected"),
    [
        ("V1", {}, ["V1/bu@1", "V1/bu@2", "V1/td@1", "V1/td@2"]),
        ("V1/td", {}, ["V1/td@1", "V1/td@2"]),
        ("V1/td@2", {}, ["V1/td@2"]),
        ("V1@2", {}, ["V1/bu@2", "V1/td@2"]),
        ("LGN:V1/bu", {}, ["LGN/bu@0", "LGN/bu@1", "LGN/bu@2", "V1/bu@1", "V1/bu@2"]),
        ("V1:", {"streams": "bu"}, ["V1/bu@1", "V1/bu@2", "V4/bu@2"]),
        ("V4,V1/bu@1", {}, ["V1/bu@1", "V4/bu@2", "V4/td@2"]),
        (["V4/bu", "LGN"], {"timesteps": "2"}, ["LGN/bu@2", "V4/bu@2"]),
        ("all", {"timesteps": "0:2"}, ["LGN/bu@0", "LGN/bu@1", "V1/bu@1", "V1/td@1"]),
        ("LGN@0:2,V4/bu", {"timesteps": 2}, ["LGN/bu@0", "LGN/bu@1", "V4/bu@2"]),
        ("all", {"timesteps": 0}, ["LGN/bu@0"]),
        ("V1", {"constant": False}, ["V1/bu@1", "V1/bu@2", "V1/td@2"]),
    ],
)
def test_what_a_selection_means(sites, options, expected):
    assert [str(one) for one in asked(sites, **options).moments] == expected


@pytest.mark.parametrize(
    ("sites", "options", "message"),
    [
        ("V7", {}, "unknown area 'V7'; valid: LGN, V1, V4"),
        ("V1/up", {}, "unknown stream 'up'; valid: bu, td"),
        ("LGN/td", {}, "there is no 'LGN/td'; sites: LGN/bu, V1/bu"),
        ("V1@7", {}, "timestep 7 does not exist"),
        ("V4:V1", {}, "runs backwards"),
        ("V4/bu@0", {}, "'V4/bu@0' is not active at timesteps 0; active are V4/bu at 2"),
        ("LGN,V4", {"timesteps": 1}, "'V4' is not active at timesteps 1"),
        ("V4/td", {"constant": False}, "'V4/td' is the same for every stimulus at timesteps"),
        ("V1/td@1:3", {"constant": False}, "'V1/td@1:3' is the same for every stimulus at timesteps 1;"),
        ("V1/td", {"timesteps": "1,2", "constant": False}, "is the same for every stimulus at timesteps 1;"),
        ("V1,,V4", {}, "a name is missing between the commas"),
        ("", {}, "no site was chosen"),
        ("V1/bu", {"streams": "td"}, "'V1/bu' has no stream td"),
        (
            "LGN:V4",
            {"timesteps": "0,1", "streams": "td"},
            "nothing that was chosen has timestep 0; active are V1/td at 2",
        ),
        ("LGN@0:2", {"timesteps": 2}, "nothing that was chosen has timestep 2"),
        ("V4:/td", {"constant": False}, "V4/td@2 are the same for every stimulus"),
    ],
)
def test_what_cannot_be_chosen_is_said(sites, options, message):
    with pytest.raises(SpecError, match=message):
        asked(sites, **options)


def test_ranges_leave_constant_states_out_and_name_them():
    found = select("all", KNOWN, constant=False)
    assert found.left_out == (Moment("V1/td", 1), Moment("V4/td", 2))
    assert by_site(found.moments) == {"LGN/bu": (0, 1, 2), "V1/bu": (1, 2), "V1/td": (2,), "V4/bu": (2,)}


def test_layers_without_streams():
    known = {"layer1": {0: "active"}, "fc": {0: "active"}}
    assert [one.site for one in select("layer1,fc", known).moments] == ["layer1", "fc"]
    with pytest.raises(SpecError, match="these sites have no streams"):
        select("fc/bu", known)


@given(st.sets(st.sampled_from([Moment(s, t) for s, steps in KNOWN.items() for t in steps]), min_size=1))
def test_written_out_one_by_one_is_what_comes_back(moments):
    assert set(select([str(one) for one in moments], KNOWN).moments) == moments


def array(**coords) -> xr.DataArray:
    values = np.arange(12.0).reshape(2, 3, 2)
    return xr.DataArray(values, dims=("stimulus", "timestep", "unit"), coords={**coords})


def test_statuses_and_activations_of_arrays():
    ids = ("stimulus", ["a", "b"])
    acts = {"V1/bu": array(stimulus_id=ids, timestep=[1, 2, 4], status=("timestep", ["constant", "active", "active"]))}
    assert statuses_of(acts) == {"V1/bu": {1: "constant", 2: "active", 4: "active"}}
    np.testing.assert_array_equal(at_moment(acts, Moment("V1/bu", 4)).values, [[4, 5], [10, 11]])
    assert statuses_of({"x": array(stimulus_id=ids)}) == {"x": {0: "active", 1: "active", 2: "active"}}
    with pytest.raises(StoreError, match=r"x should have dims \(stimulus, timestep, unit ...\) with stimulus_id"):
        statuses_of({"x": array()})
    with pytest.raises(StoreError, match="x has the statuses off; expected"):
        statuses_of({"x": array(stimulus_id=ids, status=("timestep", ["off"] * 3))})


@pytest.mark.parametrize("text", ["V1@", "V1/bu@", "V1:V1@", "V1@,V1/td"])
def test_a_timestep_that_is_missing_behind_its_sign_is_not_all_of_them(text):
    known = {"V1/bu": {0: "active", 1: "active"}, "V1/td": {0: "active"}}
    with pytest.raises(SpecError, match="timesteps are written"):
        select(text, known)
