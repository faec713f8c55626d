"""Labelled activations in memory: the numbers and labels of a store, from whatever pictures come as."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError, StimulusError
from bltvs_neuro.extraction import memory, record_tensors
from bltvs_neuro.model.transform import symmetric


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = bn.BLT_VS(timesteps=3, num_classes=4, bio_unroll=True, image_size=128, width=0.0625).eval()
    made.transform = symmetric(128)
    return made


PICTURES = np.random.default_rng(0).integers(0, 255, (9, 30, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("reduce", [None, "mean", bn.project(5, seed=1)])
def test_it_is_what_a_store_holds(model, tmp_path, reduce):
    stimuli = bn.StimulusSet.from_arrays(PICTURES, ids=[f"p{i}.png" for i in range(9)])
    acts = bn.record(model, stimuli, "LGN:V1", reduce)
    bn.extract(model, stimuli, tmp_path / "acts.h5", "LGN:V1", reduce, run=bn.ExtractRun(batch_size=8, workers=0))
    with bn.open_store(tmp_path / "acts.h5") as store:
        assert list(acts) == list(store)
        for site, array in acts.items():
            xr.testing.assert_identical(array, store[site].load())
        assert acts.stimulus_sha256.tolist() == store.stimulus_sha256.tolist()
        assert acts.stimuli["stimulus_id"].tolist() == store.stimuli["stimulus_id"].tolist()
        same = ("model", "config", "weights_sha256", "schedule", "transform", "reduction", "stimuli", "checkpoint")
        assert all(acts.provenance[name] == store.provenance[name] for name in same)


def test_pictures_come_in_many_ways(model, tmp_path):
    paths = []
    for i, picture in enumerate(PICTURES[:3]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(picture).save(paths[-1])
    expected = bn.record(model, bn.StimulusSet.from_arrays(PICTURES[:3]), "V1/bu@2")["V1/bu"]
    pixels = np.stack([model.transform.crop(picture) for picture in PICTURES[:3]])
    tensor = model.transform.scale(torch.from_numpy(pixels))
    for given in (
        tmp_path,
        str(tmp_path),
        paths,
        [str(path) for path in paths],
        PICTURES[:3],
        list(PICTURES[:3]),
        tensor,
    ):
        got = bn.record(model, given, "V1/bu@2")["V1/bu"]
        np.testing.assert_array_equal(got.values, expected.values)
    assert bn.record(model, paths, "V1/bu@2")["V1/bu"].stimulus_id.values.tolist() == ["0.png", "1.png", "2.png"]
    assert torch.equal(record_tensors(model, tensor, "V1/bu@2")["V1", "bu", 2], torch.from_numpy(expected.values[:, 0]))


def test_analyses_take_it_and_a_stimulus_is_selected_by_its_name(model, tmp_path):
    acts = bn.record(model, bn.StimulusSet.shapes(8), "V1", "mean")
    bn.extract(model, bn.StimulusSet.shapes(8), tmp_path / "acts.h5", "V1", "mean", run=bn.ExtractRun(workers=0))
    expected = bn.compute_rdms(tmp_path / "acts.h5")
    rdms = bn.compute_rdms(acts)
    np.testing.assert_array_equal(rdms.values, expected.values)
    assert (rdms.attrs["model"], rdms.attrs["weights"], "store" in rdms.attrs) == ("BLT_VS", "as constructed", False)
    assert expected.attrs["store"] == "acts.h5" and expected.attrs["weights_sha256"] == rdms.attrs["weights_sha256"]
    assert repr(acts) == "<Recorded: 8 stimuli, sites V1/bu, V1/td, model BLT_VS, weights as constructed>"
    labels = ["a", "b"] * 4
    got = bn.decode(acts, labels, folds=2)
    np.testing.assert_array_equal(got["accuracy"], bn.decode(tmp_path / "acts.h5", labels, folds=2)["accuracy"])
    assert got.provenance["store"]["weights_sha256"] == rdms.attrs["weights_sha256"]
    with bn.open_store(tmp_path / "acts.h5") as store:
        for array in (store["V1/bu"], acts["V1/bu"]):
            one = array.sel(stimulus="shapes_test_000003", timestep=2)
            np.testing.assert_array_equal(one.values, array.values[3, 0])
            two = array.sel(stimulus=["shapes_test_000005", "shapes_test_000001"])
            assert two.stimulus_id.values.tolist() == ["shapes_test_000005", "shapes_test_000001"]
            with pytest.raises(KeyError):
                array.sel(stimulus="nothing")


def test_what_cannot_be_recorded(model, tmp_path, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(StimulusError, match="broken.png"):
        bn.record(model, [tmp_path / "broken.png"], "V1")
    with pytest.raises(SpecError, match=r"images must be \(batch, 3, 128, 128\); got \(1, 3, 64, 64\)"):
        bn.record(model, torch.zeros(1, 3, 64, 64), "V1")
    with pytest.raises(SpecError, match="pca is fitted over all stimuli"):
        bn.record(model, PICTURES, "V1", bn.pca(2))
    monkeypatch.setattr(memory, "MOST", 1000)
    with pytest.raises(SpecError, match=r"these activations take .* of which 1.0 kB are granted: reduce them"):
        bn.record(model, PICTURES, "V1")
