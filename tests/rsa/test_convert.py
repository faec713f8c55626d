from __future__ import annotations

import numpy as np
import pytest
import rsatoolbox
import xarray as xr
from rsatoolbox.data import Dataset

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.align import rdm_stimulus_ids
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.rdms.compute import compute_rdms
from bltvs_neuro.rsa.rdms.convert import as_rdms, from_rsatoolbox, to_rsatoolbox

X = np.random.default_rng(0).normal(size=(5, 20))


def test_round_trip_keeps_labels_and_numbers():
    rdms = make_rdms(
        np.arange(20.0).reshape(2, 10), list("abcde"), metric="sqeuclidean", subject=["s", "t"], time=[0.1, 0.2]
    )
    there = to_rsatoolbox(rdms)
    assert isinstance(there, rsatoolbox.rdm.RDMs)
    assert there.dissimilarity_measure == "squared euclidean"
    assert list(there.pattern_descriptors["stimulus_id"]) == list("abcde")
    xr.testing.assert_identical(from_rsatoolbox(there), rdms)


def test_rdms_made_by_rsatoolbox_are_those_made_here():
    theirs = rsatoolbox.rdm.calc_rdm(
        Dataset(X, obs_descriptors={"stim": [f"i{k}" for k in range(5)]}), method="euclidean", descriptor="stim"
    )
    ours = compute_rdms(X, stimulus_ids=[f"i{k}" for k in range(5)], metric="sqeuclidean")
    back = as_rdms(theirs)
    assert back.attrs["metric"] == "sqeuclidean"
    assert rdm_stimulus_ids(back) == rdm_stimulus_ids(ours)
    np.testing.assert_allclose(back.values, ours.values, rtol=1e-12)


def test_objects_that_cannot_be_converted_say_why():
    with pytest.raises(SpecError, match=r"expected rsatoolbox\.rdm\.RDMs; got list"):
        from_rsatoolbox([1])
    rdms = rsatoolbox.rdm.RDMs(np.ones((1, 10)), pattern_descriptors={"stim": list("aabbc"), "index": [0, 0, 1, 2, 3]})
    with pytest.raises(DataError, match="no pattern descriptor holds unique stimulus ids; there are: stim, index"):
        from_rsatoolbox(rdms)
    with pytest.raises(SpecError, match="no pattern descriptor 'name'"):
        from_rsatoolbox(rdms, stimulus_descriptor="name")
