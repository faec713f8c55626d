"""Milliseconds and timesteps: the stated timelines, by hand and against Brain-Score's own alignment."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bltvs_neuro.brainscore.subject.layers import find_layer
from bltvs_neuro.brainscore.subject.regions import default_timeline, region_map
from bltvs_neuro.brainscore.subject.timeline import Timeline
from bltvs_neuro.errors import SpecError
from bltvs_neuro.model import BLT_VS
from bltvs_neuro.model.released.checkpoints import CHECKPOINTS

from .conftest import needs_brainscore


@pytest.fixture(params=["imagenet", "ecoset"])
def released(request):
    with torch.device("meta"):
        return request.param, BLT_VS(**CHECKPOINTS[request.param].config)


def test_released_models_span_the_interval_of_temporal_benchmarks(released):
    name, model = released
    timeline = default_timeline(model)
    assert (timeline.start, timeline.step) == {"imagenet": (70.0, 30.0), "ecoset": (-20.0, 22.5)}[name]
    course = find_layer("LOC/bu+td", model, timeline)
    assert course.bins[0][0] == 70
    assert course.bins[-1][1] == 250


def test_weights_by_hand():
    timeline = Timeline(start=70, step=30)
    assert timeline.weights((70, 170), range(6)) == pytest.approx({0: 0.3, 1: 0.3, 2: 0.3, 3: 0.1})
    with pytest.raises(SpecError, match="nothing was recorded from 0 to 70 ms: there is activity from 70 to 250 ms"):
        timeline.weights((0, 70), range(6))


@needs_brainscore
def test_weights_are_those_of_brain_score():
    from brainscore_vision.model_helpers.brain_transformation.temporal import time_align

    timeline, steps = Timeline(start=-20, step=22.5), range(4, 12)
    for window in [(70, 170), (80, 90), (100, 250)]:
        theirs = time_align(timeline.bins(steps), [window], mode="portion")[0]
        ours = timeline.weights(window, steps)
        np.testing.assert_allclose([ours.get(t, 0.0) for t in steps], theirs / theirs.sum(), atol=1e-12)


@pytest.mark.parametrize("text", ["10", "a:b", "10:0", "10:-5", "nan:10"])
def test_rubbish_timelines(text):
    with pytest.raises(SpecError, match="timeline"):
        Timeline.parse(text)


def test_time_courses_leave_out_what_is_the_same_for_every_image(model):
    timeline = default_timeline(model)
    both = find_layer("V1/bu+td", model, timeline)
    feedback = find_layer("V1/td", model, timeline)
    assert min(both.moments[0]) == model.onset("V1/bu") == 2
    assert min(feedback.moments[0]) > 2  # top-down activity exists from the onset, but no feedback has arrived
    with pytest.raises(SpecError, match="never"):
        find_layer("Retina/td", model, timeline)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("V7/bu", "unknown area 'V7'"),
        ("V4/up", "unknown stream 'up'"),
        ("V4", "No submodule found for layer"),
        ("V4/bu@soon", "a window in milliseconds"),
        ("V4/bu@t3", r"or a timestep \(.3.\)"),
        ("V4/bu+bu", "names a stream twice"),
        ("V4/bu@1", "not active at timestep 1"),
        ("taps.V4.bu.0", "not active at timestep 0"),
        ("V4/bu@99", "not active at timestep 99"),
    ],
)
def test_unknown_layers(model, layer, said):
    with pytest.raises(SpecError, match=said):
        find_layer(layer, model, default_timeline(model))


def test_region_maps(model, tmp_path):
    anatomical = region_map("anatomical", model)
    assert {r: anatomical.areas[r] for r in ("V1", "V2", "V4", "IT")} == dict(V1="V1", V2="V2", V4="V4", IT="LOC")
    assert anatomical.source
    published = region_map("published", model)
    assert (published.areas["V4"], published.timestep) == ("V1", 5)
    (tmp_path / "map.json").write_text('{"IT": "V4"}')
    assert region_map(str(tmp_path / "map.json"), model).areas["IT"] == "V4"
    (tmp_path / "map.json").write_text('{"IT": "LCO"}')
    with pytest.raises(SpecError, match="region 'IT' is mapped to 'LCO'; areas of this model: Retina"):
        region_map(str(tmp_path / "map.json"), model)
    with pytest.raises(SpecError, match="unknown region map 'anatomic'"):
        region_map("anatomic", model)


def test_the_package_is_imported_by_nobody_else():
    import subprocess
    import sys

    code = "import sys, bltvs_neuro.cli, bltvs_neuro.neural; print('bltvs_neuro.brainscore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_cornet_s_has_the_clocks_of_its_authors():
    from bltvs_neuro import load_model

    model = load_model("cornet_s", "untrained", num_classes=5)
    timeline = default_timeline(model)
    assert find_layer("V1/bu", model, timeline).bins == ((50, 150),)
    assert find_layer("IT/bu", model, timeline).bins == ((100, 200), (200, 300))
    assert find_layer("V4/bu@70-170", model, timeline).moments[0] == pytest.approx({0: 5 / 8, 1: 3 / 8})
    assert timeline.describe()["clocks_ms"]["V2"] == [70, 100]
