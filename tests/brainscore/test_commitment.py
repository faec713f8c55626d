"""The model as Brain-Score's subject: what is recorded, when, and what the tasks do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("brainscore_vision")

from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet as BrainScoreStimuli
from brainscore_vision import model_registry
from brainscore_vision.model_helpers.brain_transformation.temporal import time_align
from brainscore_vision.model_interface import BrainModel

from bltvs_neuro.brainscore import brain_model, register
from bltvs_neuro.brainscore.subject.timeline import Timeline
from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors as record
from bltvs_neuro.features.select import Select
from bltvs_neuro.schema import Site

from .conftest import narrow

BINS = [(start, start + 10) for start in range(70, 250, 10)]


def reference(model, images, area, stream, timesteps):
    """Mean over space by timestep, from the package's own recording: (stimulus, channel, timestep)."""
    recorded = record(model, images, Select(area, streams=stream, timesteps=timesteps))
    return np.stack([recorded[area, stream, t].mean((2, 3)).numpy() for t in timesteps], axis=-1)


@pytest.fixture(scope="module")
def subject(model):
    return brain_model(model, "subject", reduce="mean", batch_size=4)


def test_taps_by_name_are_what_extraction_records(model, images, paths, subject):
    recorded = subject.activations_model(paths, layers=["taps.V4.td.5", "logits"])  # 5 images in batches of 4
    assert recorded["stimulus_path"].values.tolist() == paths
    tap = recorded.sel(layer="taps.V4.td.5").values
    np.testing.assert_allclose(tap, reference(model, images[:5], "V4", "td", [5])[..., 0], rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(
            recorded.sel(layer="logits").values, model(images[:5])[-1].numpy(), rtol=1e-4, atol=1e-5
        )


def test_both_streams_are_side_by_side_over_time_as_the_timeline_says(model, images, paths, subject):
    subject.start_recording("V4", BINS)
    recorded = subject.look_at(paths).transpose("presentation", "neuroid", "time_bin")
    timesteps = model.timesteps_of("V4/bu")
    align = time_align(subject.activations_model.timeline.bins(timesteps), BINS)
    align = align / align.sum(axis=1, keepdims=True)
    for stream in ("bu", "td"):
        expected = reference(model, images[:5], "V4", stream, timesteps) @ align.T
        mine = recorded[{"neuroid": recorded["stream"].values == stream}]
        np.testing.assert_allclose(mine.values, expected, rtol=1e-4, atol=1e-5)
    assert [tuple(map(int, b)) for b in recorded["time_bin"].values] == BINS


def test_a_single_time_bin_is_the_mean_over_70_to_170_ms(model, images, paths, subject):
    subject.start_recording("IT", [(0, 250)])
    recorded = subject.look_at(paths)
    weights = subject.activations_model.timeline.weights((70, 170), model.timesteps_of("LOC/bu"))
    expected = reference(model, images[:5], "LOC", "bu", list(weights)) @ np.array(list(weights.values()))
    np.testing.assert_allclose(recorded[:, recorded["stream"].values == "bu"].values, expected, rtol=1e-4, atol=1e-5)
    assert set(recorded["region"].values) == {"IT"}
    assert len(set(recorded["neuroid_id"].values)) == recorded.sizes["neuroid"]


def test_one_timestep_and_one_stream(model, images, paths):
    subject = brain_model(model, reduce="mean", streams="td", timestep=6)
    for bins in ([(70, 170)], BINS):
        subject.start_recording("V2", bins)
        recorded = subject.look_at(paths)
        values = recorded.values if recorded.ndim == 2 else recorded.isel(time_bin=7).values
        np.testing.assert_allclose(values, reference(model, images[:5], "V2", "td", [6])[..., 0], rtol=1e-5, atol=1e-6)
    with pytest.raises(SpecError, match="no activity reaches what stands for V2, V4, IT at timestep 2"):
        brain_model(model, timestep=2)
    with pytest.raises(SpecError, match="timestep 8 does not exist"):
        brain_model(model, timestep=8)


@pytest.mark.parametrize(
    ("region", "bins", "said"),
    [
        ("PFC", [(70, 170)], r"unknown recording_target \(region\) 'PFC'; valid: V1, V2, V4, IT"),
        ("IT", [], "time_bins are pairs"),
        ("IT", None, "time_bins are pairs"),
        ("IT", [(170, 70)], "a time bin starts before it ends"),
        ("IT", [70, 170], "a time bin is a pair"),
    ],
)
def test_wrong_recordings(subject, region, bins, said):
    with pytest.raises(SpecError, match=said):
        subject.start_recording(region, bins)


def test_before_and_after_what_is_recorded_the_nearest_timestep_is_held(subject, paths, caplog):
    inside = [(70, 115), (200, 250)]
    subject.start_recording("IT", inside)
    expected = subject.look_at(paths)
    assert not caplog.records
    asked = [(0, 50), (70, 115), (200, 300), (400, 500)]
    subject.start_recording("IT", asked)
    assert "IT is recorded from 70 to 250 ms; in time bin(s) (0, 50), (200, 300), (400, 500)" in caplog.text
    recorded = subject.look_at(paths)
    assert [tuple(bin_) for bin_ in recorded["time_bin"].values] == asked
    np.testing.assert_array_equal(recorded.values[..., 1:3], expected.values)
    first, last = [subject.activations_model.find("LOC/bu+td").bins[i] for i in (0, -1)]
    for position, bin_ in ((0, first), (3, last)):
        subject.start_recording("IT", [bin_, (70, 250)])
        np.testing.assert_array_equal(recorded.values[..., position], subject.look_at(paths).values[..., 0])


def test_a_single_bin_beside_the_static_window_is_its_own_mean(subject, paths, caplog):
    timed = [(205, 250), (70, 250)]
    subject.start_recording("IT", timed)
    expected = subject.look_at(paths).values[..., 0]
    subject.start_recording("IT", [(205, 250)])
    np.testing.assert_allclose(subject.look_at(paths).values, expected, rtol=1e-5, atol=1e-6)
    assert not caplog.records
    subject.start_recording("IT", [(300, 400)])
    assert "in time bin(s) (300, 400) the nearest timestep is held" in caplog.text
    recorded = subject.look_at(paths)
    assert (recorded["time_bin_start"].item(), recorded["time_bin_end"].item()) == (300, 400)
    assert recorded.dims == ("presentation", "neuroid")


def test_regions_may_be_mapped_to_layers(model, paths):
    layers = {"V4": "taps.V3.td.6", "IT": "LOC/td@70-170", "V1": "V1"}
    subject = brain_model(model, reduce="mean", regions=layers)
    assert {r: subject.layer_model.region_layer_map[r] for r in layers} == layers | {"V1": "V1/bu+td"}
    subject.start_recording("V4", BINS)
    by_layer = subject.look_at(paths).values[..., 0]
    other = brain_model(model, reduce="mean", streams="td", timestep=6)
    other.start_recording("V3", [(70, 170)])
    np.testing.assert_array_equal(by_layer, other.look_at(paths).values)
    with pytest.raises(SpecError, match="unknown area 'V9'"):
        brain_model(model, regions={"IT": "V9/td@3"})


def test_every_layer_that_is_offered_is_recorded(paths):
    """Brain-Score maps regions over all of them; the last maps of a 128 px model are smaller than 7 x 7."""
    subject = brain_model(narrow())
    recorded = subject.activations_model(paths[:2], layers=subject.layers)
    sizes = recorded["layer"].to_series().value_counts()
    assert set(sizes.index) == set(subject.layers)
    for area, stream in (("Readout", "td"), ("V1", "bu")):
        channels, height, width = narrow().shape(Site(area, stream))
        assert sizes[f"taps.{area}.{stream}.6"] == channels * min(7, height) * min(7, width)
    assert narrow().shape(Site("Readout", "td"))[1:] == (4, 4)
    assert np.isfinite(recorded.values).all()


def test_options_that_change_numbers_change_the_name(model):
    """Brain-Score keeps scores and maps of single units by it."""
    changes = [
        {}, {"timestep": 4}, {"timestep": 6}, {"streams": "td"}, {"reduce": "mean"}, {"visual_degrees": 8},
        {"timeline": Timeline(0, 20)}, {"regions": {"IT": "V4"}}, {"readout": "LOC/bu@6"},
    ]  # fmt: skip
    names = [brain_model(model, **options).identifier for options in changes]
    assert len(set(names)) == len(changes)
    assert names[0] == brain_model(model, regions="anatomical", streams="all", batch_size=3).identifier
    with model.lesion("td:*"):
        assert brain_model(model).identifier not in names
    assert brain_model(model, "mine", timestep=4).identifier == "mine"


def test_hooks_go_when_the_forward_pass_fails(model, subject):
    wrapper = subject.activations_model
    with pytest.raises(SpecError, match="images must be"):
        wrapper.get_activations([np.zeros((3, 32, 32), np.float32)], ["taps.V1.bu.3", "V4/bu"])
    assert not any(module._forward_hooks for module in model.modules())


def test_what_decides_activations_is_in_the_name_that_they_are_kept_by(model):
    names = {
        brain_model(other, "same", **options).activations_model.identifier
        for other, options in [
            (model, {}), (narrow(seed=1), {}), (model, {"reduce": "mean"}), (model, {"timeline": Timeline(0, 20)}),
        ]
    }  # fmt: skip
    assert len(names) == 4
    assert brain_model(narrow(), "same").activations_model.identifier in names


def test_brain_score_keeps_activations_apart(model, stimuli, monkeypatch):
    """With its cache on: two regions of different onsets, two weights under one name."""
    from bltvs_neuro.brainscore.scores.assemblies import to_stimulus_set

    monkeypatch.setenv("RESULTCACHING_DISABLE", "0")
    shown = to_stimulus_set(stimuli.subset(slice(0, 3)))
    values = {}
    for seed in (0, 1):
        subject = brain_model(narrow(seed=seed), "same", reduce="mean")
        for region in ("V1", "IT", "V1"):  # the second V1 comes from the cache
            subject.start_recording(region, [(70, 110), (110, 150)])
            recorded = subject.look_at(shown)
            assert np.isfinite(recorded.values).all()
            course = subject.activations_model(shown, layers=[subject.layer_model.region_layer_map[region]])
            assert np.isfinite(course.values).all()  # as it would not be if courses of two onsets were kept as one
            before = values.setdefault((seed, region), recorded.values)
            np.testing.assert_array_equal(before, recorded.values)
    assert not np.allclose(values[0, "V1"], values[1, "V1"])


def test_recording_ends_a_task(subject, paths):
    subject.start_task(BrainModel.Task.label, "imagenet")
    subject.start_recording("V4", [(70, 170)])
    assert "neuroid" in subject.look_at(paths).dims


def test_labels_are_in_the_order_of_the_logits(model, paths, monkeypatch):
    """The class names of the checkpoint and Brain-Score's synsets are one order."""
    from bltvs_neuro.model.released.checkpoints import class_names

    subject = brain_model(model, reduce="mean")
    known = {0: ("tench", "n01440764"), 281: ("tabby", "n02123045"), 999: ("toilet tissue", "n15075141")}
    for index, (name, synset) in known.items():
        assert class_names("imagenet")[index] == name
        monkeypatch.setattr(model, "forward", lambda x, i=index: [torch.eye(1000)[[i] * len(x)]])
        subject.start_task(BrainModel.Task.label, "imagenet")
        assert subject.look_at(paths[:2]).values.flatten().tolist() == [synset, synset]


def test_ecoset_has_no_imagenet_labels(paths):
    subject = brain_model(narrow(num_classes=565), reduce="mean")
    with pytest.raises(
        SpecError, match="requires a 1000-dim ImageNet classification head, and BLT_VS.* has 565 logits"
    ):
        subject.start_task(BrainModel.Task.label, "imagenet")
    fitting = BrainScoreStimuli({"stimulus_id": list("abcde"), "image_label": list("xxyyy")})
    fitting.stimulus_paths, fitting.identifier = dict(zip("abcde", paths, strict=True)), "fitting"
    subject.start_task(BrainModel.Task.probabilities, fitting)
    probabilities = subject.look_at(fitting)
    np.testing.assert_allclose(probabilities.values.sum(axis=1), 1)
    assert set(probabilities["choice"].values) == {"x", "y"}
    subject.start_task(BrainModel.Task.odd_one_out)
    triplet = BrainScoreStimuli({"stimulus_id": list("abc")})
    triplet.stimulus_paths, triplet.identifier = fitting.stimulus_paths, "triplet"
    assert subject.look_at(triplet).values.flatten()[0] in set("abc")


def test_registered_when_imported(model):
    assert {"blt_vs_imagenet", "blt_vs_ecoset"} <= set(model_registry)
    register("my_model", lambda: model, reduce="mean", streams="bu")
    mine = model_registry["my_model"]()
    assert (mine.identifier, mine.visual_degrees(), mine.streams) == ("my_model", 5, ("bu",))


def test_missing_weights_are_an_error(monkeypatch, tmp_path):
    from bltvs_neuro import load_model
    from bltvs_neuro.errors import WeightsError

    register("mine", lambda: load_model("imagenet", weights=tmp_path / "no.pth"))
    with pytest.raises(WeightsError, match="there is no file"):
        model_registry["mine"]()
