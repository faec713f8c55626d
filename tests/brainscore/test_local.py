"""One's own data through Brain-Score's own benchmarks, metrics and ceilings."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("brainscore_vision")

from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark, RSABenchmark

from bltvs_neuro import StimulusSet
from bltvs_neuro.brainscore import brain_model, local_benchmark, score
from bltvs_neuro.brainscore.scores.assemblies import to_assembly, to_stimulus_set
from bltvs_neuro.brainscore.scores.local import ChoiceBenchmark
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.extraction import record_tensors as record
from bltvs_neuro.features.select import Select
from bltvs_neuro.neural import make_responses

REGIONS = {"V1": "V1", "V2": "V2", "V4": "V4", "IT": "LOC"}
STEPS = range(4, 8)  # of the model with 8 timesteps: 70 to 250 ms in bins of 45


@pytest.fixture(scope="module")
def subject(model):
    return brain_model(model, "subject", streams="bu", reduce="mean", batch_size=25)


@pytest.fixture(scope="module")
def activity(model, images):
    """Area -> (stimulus, channel, timestep): bottom-up, mean over space, standardised."""
    recorded = record(model, images, Select("V1:LOC", streams="bu", timesteps=list(STEPS)))
    maps = {a: np.stack([recorded[a, "bu", t].mean((2, 3)).numpy() for t in STEPS], -1) for a in REGIONS.values()}
    return {a: (x - x.mean((0, 2), keepdims=True)) / x.std((0, 2), keepdims=True) for a, x in maps.items()}


def simulate(activity, stimuli, subject, area, *, neurons=8, over_time=False, noise=0.2, subjects=1, seed=0):
    """Neurons that are weighted sums of one area's channels, four noisy repetitions in shuffled order."""
    rng = np.random.default_rng(seed)
    values = np.einsum("sct,cn->snt", activity[area], rng.standard_normal((activity[area].shape[1], neurons)))
    values /= values.std()
    weights = subject.activations_model.timeline.weights((70, 170), STEPS)
    if not over_time:
        values = values @ np.array([weights.get(t, 0) for t in STEPS])
    presentations = rng.permutation(np.repeat(np.arange(len(stimuli)), 4))
    bins = np.array(subject.activations_model.timeline.bins(STEPS)) / 1000
    return make_responses(
        values[presentations] + noise * rng.standard_normal((len(presentations), *values.shape[1:])),
        [stimuli.ids[i] for i in presentations],
        neuroid_coords={"roi": area, "subject": [f"monkey{n % subjects}" for n in range(neurons)]},
        time=bins.mean(1) if over_time else None,
    )


@pytest.mark.parametrize(("metric", "area", "neurons"), [("pls", "LOC", 8), ("ridge", "V4", 8), ("rdm", "V4", 60)])
def test_the_region_that_the_data_come_from_scores_highest(metric, area, neurons, activity, stimuli, subject):
    data = simulate(activity, stimuli, subject, area, neurons=neurons)
    benchmarks = [local_benchmark(data, stimuli, region=r, metric=metric, visual_degrees=5) for r in REGIONS]
    assert all(type(b) is NeuralBenchmark for b in benchmarks)
    table = score(subject, benchmarks).table.set_index("region")
    best = table["raw"].idxmax()
    assert REGIONS[best] == area
    assert table["raw"][best] > table["raw"].drop(best).max() + 0.02
    assert table["raw"][best] > (0.9 if metric != "rdm" else 0.7)
    assert 0.5 < table["ceiling"][best] <= 1
    np.testing.assert_allclose(table["score"], table["raw"] ** 2 / table["ceiling"], rtol=1e-6)


def test_over_time_the_region_that_the_data_come_from_scores_highest_in_every_bin(activity, stimuli, subject):
    data = simulate(activity, stimuli, subject, "V4", over_time=True)
    benchmarks = [local_benchmark(data, stimuli, region=r, metric="pls", visual_degrees=5) for r in ("V4", "IT")]
    result = score(subject, benchmarks)
    table = result.table.pivot(index="time_bin_start", columns="region", values="raw")
    assert table.index.tolist() == [70, 115, 160, 205]
    assert (table["V4"] > table["IT"] + 0.05).all()
    assert (table["V4"] > 0.9).all()
    assert result.neuroids.groupby("time_bin_start")["neuroid_id"].nunique().tolist() == [8] * 4


def test_a_model_whose_time_runs_otherwise_scores_lower(activity, stimuli, subject, model):
    """The course is compared bin by bin: activity of the bins before does worse than that of the bins themselves."""
    from bltvs_neuro.brainscore.subject.timeline import Timeline

    data = simulate(activity, stimuli, subject, "V1", over_time=True, noise=0.05)
    clock = subject.activations_model.timeline
    late = brain_model(model, streams="bu", reduce="mean", timeline=Timeline(clock.start + 2 * clock.step, clock.step))
    window = dict(region="V1", metric="ridge", visual_degrees=5, times=(160, 250))
    scores = [score(who, [local_benchmark(data, stimuli, **window)]).table["raw"].mean() for who in (subject, late)]
    assert scores[0] > scores[1] + 0.02


def test_rdms_of_several_subjects(activity, stimuli, subject):
    data = simulate(activity, stimuli, subject, "LOC", neurons=60, subjects=3)
    made = {r: local_benchmark(data, stimuli, region=r, metric="rdm", visual_degrees=5) for r in ("V1", "IT")}
    assert all(type(b) is RSABenchmark for b in made.values())
    table = score(subject, list(made.values())).table.set_index("region")
    assert table["score"]["IT"] > table["score"]["V1"] + 0.02
    np.testing.assert_allclose(table["score"], table["raw"] / table["ceiling"])


def test_average_over_time(activity, stimuli, subject):
    data = simulate(activity, stimuli, subject, "V4", over_time=True)
    whole = to_assembly(data, stimuli, region="V4", times=(70, 160), average=True)
    assert whole.dims == ("presentation", "neuroid")
    assert whole["time_bin"].item() == (70, 160)
    np.testing.assert_allclose(whole.values, data.values[..., :2].mean(-1))
    with pytest.raises(DataError, match="no time bin lies within 300 to 400 ms; there are 70 to 250 ms"):
        to_assembly(data, stimuli, region="V4", times=(300, 400))
    with pytest.raises(SpecError, match="metric 'rdm' takes no time bins: average over time, or choose pls, ridge"):
        local_benchmark(data, stimuli, region="V4", metric="rdm", visual_degrees=5)


def test_without_repetitions_there_is_no_ceiling(activity, stimuli, subject):
    data = simulate(activity, stimuli, subject, "V4")
    once = data[{"presentation": data["repetition"].values == 0}]
    with pytest.raises(DataError, match="at least 2 repetitions of every stimulus; leave it out with ceiling=False"):
        local_benchmark(once, stimuli, region="V4", visual_degrees=5)
    uneven = data[{"presentation": np.arange(1, data.sizes["presentation"])}]
    with pytest.raises(DataError, match="1 stimuli do not have each of the 4 repetitions once"):
        local_benchmark(uneven, stimuli, region="V4", visual_degrees=5)
    table = score(
        subject, [local_benchmark(once, stimuli, region="V4", metric="ridge", visual_degrees=5, ceiling=False)]
    ).table
    assert table["ceiling"][0] == 1
    assert table["raw"][0] > 0.8


def test_data_that_do_not_fit(activity, stimuli, subject):
    data = simulate(activity, stimuli, subject, "V4")
    with pytest.raises(DataError, match="1 stimulus is in the neural data but not in the stimuli"):
        local_benchmark(data, stimuli.subset(stimuli.ids[1:]), region="V4", visual_degrees=5)
    with pytest.raises(SpecError, match="unknown metric 'plz' .did you mean 'pls'"):
        local_benchmark(data, stimuli, region="V4", metric="plz", visual_degrees=5)
    benchmark = local_benchmark(data, stimuli, region="V5", visual_degrees=5)
    with pytest.raises(SpecError, match=r"unknown recording_target \(region\) 'V5'"):
        score(subject, [benchmark], check_memory=False)
    data.values[3, 1] = np.nan
    with pytest.raises(DataError, match="1 of 3200 values are missing .NaN., in 1 of 8 neuroids"):
        local_benchmark(data, stimuli, region="V4", visual_degrees=5)


def test_names_hold_the_content(activity, stimuli, subject):
    data = simulate(activity, stimuli, subject, "V4")
    other = data.copy(data=data.values + 1e-3)
    names = {local_benchmark(d, stimuli, region="V4", visual_degrees=5).identifier for d in (data, other)}
    assert len(names) == 2
    brighter = StimulusSet.from_arrays(np.stack([np.maximum(p, 1) for _, p in stimuli]), ids=list(stimuli.ids))
    assert to_stimulus_set(stimuli).identifier != to_stimulus_set(brighter).identifier
    assert to_stimulus_set(stimuli).identifier == to_stimulus_set(stimuli).identifier


def test_files_of_one_name_stay_apart_on_the_screen(tmp_path):
    """Brain-Score's screen writes by file name alone; so the pictures get names of their own."""
    from brainscore_vision.benchmark_helpers.screen import place_on_screen
    from PIL import Image

    for folder, grey in (("faces", 10), ("houses", 200)):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (40, 40), (grey,) * 3).save(tmp_path / folder / "1.png")
    made = to_stimulus_set(StimulusSet.from_folder(tmp_path), tmp_path / "home")
    shown = place_on_screen(made, target_visual_degrees=5, source_visual_degrees=8)
    values = [np.asarray(Image.open(shown.get_stimulus(i))).mean() for i in ("faces/1.png", "houses/1.png")]
    assert values == [10, 200]


def test_choices_that_the_model_itself_would_make_score_higher_than_shuffled_ones(model, stimuli):
    """Behaviour, i2n: errors simulated from the model's own readout against the same errors on other stimuli."""
    subject = brain_model(model, "subject", reduce="mean", readout="LOC/bu@70-170", batch_size=25)
    objects = stimuli.metadata["category"].to_numpy()
    labelled = StimulusSet.from_arrays(
        np.stack([p for _, p in stimuli]), ids=list(stimuli.ids), metadata={"object_name": objects}
    )
    fitting, shown = labelled.subset(slice(0, 50)), labelled.subset(slice(50, 100))
    rows = [
        (i, o, d)
        for i, o in zip(shown.ids, objects[50:], strict=True)
        for d in sorted(set(objects) - {o})
        for _ in range(40)
    ]
    table = pd.DataFrame(rows, columns=["stimulus_id", "sample_obj", "dist_obj"])
    table["choice"] = table["sample_obj"]
    probe = ChoiceBenchmark(table, shown, fitting, visual_degrees=5)
    subject.start_task("probabilities", probe._fitting)
    own = subject.look_at(probe._stimuli)
    p = {
        (s, c): own.values[i, j]
        for i, s in enumerate(own["stimulus_id"].values)
        for j, c in enumerate(own["choice"].values)
    }
    rng = np.random.default_rng(0)
    scores = {}
    for name, ids in (("own", shown.ids), ("shuffled", tuple(rng.permutation(shown.ids)))):
        source = dict(zip(shown.ids, ids, strict=True)) if name == "own" else _within(shown.ids, objects[50:], rng)
        error = np.array([p[source[s], d] / (p[source[s], d] + p[source[s], o]) for s, o, d in rows])
        table["choice"] = np.where(rng.random(len(rows)) < error, table["dist_obj"], table["sample_obj"])
        scores[name] = score(subject, [ChoiceBenchmark(table, shown, fitting, visual_degrees=5)]).table.iloc[0]
    assert scores["own"]["raw"] > scores["shuffled"]["raw"] + 0.3
    assert scores["own"]["score"] == pytest.approx(scores["own"]["raw"] / np.sqrt(scores["own"]["ceiling"]))
    with pytest.raises(DataError, match="choices are neither sample_obj nor dist_obj"):
        ChoiceBenchmark(table.assign(choice="dog"), shown, fitting, visual_degrees=5)
    with pytest.raises(DataError, match="no fitting stimulus shows shape"):
        ChoiceBenchmark(table, shown, fitting.subset(objects[:50] != "shape"), visual_degrees=5)


def _within(ids, objects, rng):
    """A permutation of stimuli within their objects, so that objects stay as hard as they are."""
    source = {}
    for name in set(objects):
        members = [i for i, o in zip(ids, objects, strict=True) if o == name]
        source |= dict(zip(members, np.roll(members, 1 + rng.integers(len(members) - 1)), strict=True))
    return source


def test_results_are_saved_with_what_they_came_from(activity, stimuli, subject, tmp_path):
    data = simulate(activity, stimuli, subject, "V4")
    benchmark = local_benchmark(data, stimuli, region="V4", metric="ridge", visual_degrees=5)
    as_json, as_csv = score(subject, [benchmark], described={"path": "x.nc"}).save(tmp_path / "scores")
    saved = json.loads(as_json.read_text())
    assert saved["scores"][0]["region"] == "V4"
    made = saved["provenance"]
    assert made["model"]["region_layer_map"]["IT"] == "LOC/bu"
    assert made["model"]["weights_sha256"]
    assert made["data"] == {"path": "x.nc"}
    assert made["versions"]["brainscore_vision"]
    assert len(pd.read_csv(as_csv)) == 8
