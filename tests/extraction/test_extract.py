"""The loop: what is stored is what the model computes, whatever the workers, the batches, and what went wrong meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bltvs_neuro as bn
from bltvs_neuro.errors import OutputError, SpecError, StimulusError, StoreError
from bltvs_neuro.extraction import plan as planning
from bltvs_neuro.extraction import record_tensors
from bltvs_neuro.extraction.options import ExtractRun
from bltvs_neuro.schema import Site
from bltvs_neuro.store import verify

ROOT = Path(__file__).parents[2]
CHOICE = dict(sites="V1:V2", reduce="pool:2")


def arrays(path) -> dict[str, np.ndarray]:
    with bn.open_store(path) as store:
        return {site: store[site].values for site in store}


@pytest.fixture(scope="module")
def acts(model, stimuli, tmp_path_factory) -> Path:
    return bn.extract(model, stimuli, tmp_path_factory.mktemp("acts") / "acts.h5", **CHOICE)


def test_the_store_holds_what_record_gives(model, stimuli, tmp_path):
    path = bn.extract(model, stimuli, tmp_path / "full.h5", "V4", run=ExtractRun(batch_size=5))
    images = torch.stack([model.transform(stimuli.load(i)) for i in range(len(stimuli))])
    with bn.open_store(path) as store:
        for (area, stream, t), expected in record_tensors(model, images, "V4").items():
            got = store.at(f"{area}/{stream}", t)
            np.testing.assert_allclose(got.values, expected.numpy(), atol=1e-4)
            assert got["stimulus_id"].values.tolist() == list(stimuli.ids)
        assert store["V4/td"]["status"].values.tolist() == ["constant", "active"]
        assert store.stimuli["category"].tolist() == stimuli.metadata["category"].tolist()
        provenance = store.provenance
        assert len(provenance["weights_sha256"]) == 64
        assert provenance["schedule"] == "simultaneous"
        assert provenance["versions"]["torch"] == torch.__version__.split("+")[0]
        assert store.stimulus_sha256.tolist() == [stimuli.digest(i) for i in range(len(stimuli))]


@pytest.mark.parametrize(
    "options", [dict(run=ExtractRun(workers=0)), dict(run=ExtractRun(workers=2)), dict(join="virtual")]
)
def test_workers_change_no_bit(model, stimuli, tmp_path, acts, options):
    other = arrays(bn.extract(model, stimuli, tmp_path / "acts.h5", **CHOICE, **options))
    for site, values in arrays(acts).items():
        np.testing.assert_array_equal(values, other[site])


def test_what_else_is_recorded_changes_no_bit(model, stimuli, tmp_path, acts):
    alone = bn.extract(
        model, stimuli, tmp_path / "acts.h5", bn.Select("V1", streams="td", timesteps=4), reduce="pool:2"
    )
    with bn.open_store(acts) as store:
        np.testing.assert_array_equal(arrays(alone)["V1/td"][:, 0], store.at("V1/td", 4).values)


def test_batch_size_changes_only_rounding(model, stimuli, tmp_path, acts):
    other = arrays(bn.extract(model, stimuli, tmp_path / "acts.h5", run=ExtractRun(batch_size=3), **CHOICE))
    for site, values in arrays(acts).items():
        np.testing.assert_allclose(values, other[site], atol=1e-5)


def test_a_finished_store_is_not_computed_again(model, stimuli, acts):
    seen = []
    with bn.show_progress(seen.append):
        assert bn.extract(model, stimuli, acts, **CHOICE) == acts
    assert seen == []


def test_another_model_reduction_or_precision_is_refused_by_name(model, stimuli, acts):
    other = bn.BLT_VS(timesteps=5, num_classes=7, image_size=128, width=0.25)
    for refused, options, message in (
        (other, CHOICE, "weights_sha256 is"),
        (model, CHOICE | {"reduce": "mean"}, "reduction"),
        (model, CHOICE | {"run": ExtractRun(precision="bfloat16")}, "precision is 'float32' there and 'bfloat16' now"),
    ):
        with pytest.raises(StoreError, match=message):
            bn.extract(refused, stimuli, acts, **options)
    with pytest.raises(StoreError, match="stimul"):
        bn.extract(model, stimuli.subset(range(8)), acts, **CHOICE)


def test_changed_pixels_are_refused(model, stimuli, tmp_path, acts):
    images = np.stack([stimuli.load(i) for i in range(len(stimuli))])
    first = bn.StimulusSet.from_arrays(images, ids=stimuli.ids)
    path = bn.extract(model, first, tmp_path / "acts.h5", bn.Select("V1", timesteps=2), reduce="mean")
    images[7] += 1
    with pytest.raises(StimulusError, match=f"1 stimulus is not what they were .*: {stimuli.ids[7]}"):
        bn.extract(
            model,
            bn.StimulusSet.from_arrays(images, ids=stimuli.ids),
            path,
            bn.Select("V1", timesteps=2),
            reduce="mean",
        )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_image_is_named_and_stops_or_is_skipped(model, stimuli, tmp_path, workers):
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(20):
        Image.fromarray(stimuli.load(i)).save(folder / f"a.{i}.png")
    (folder / "a.13.png").write_bytes((folder / "a.13.png").read_bytes()[:300])
    path, options = tmp_path / "acts.h5", dict(sites="V1@2", reduce="mean", run=ExtractRun(workers=workers))
    with pytest.raises(StimulusError, match=r"a\.13\.png.*what was finished is kept"):
        bn.extract(model, folder, path, **options)
    bn.extract(model, folder, path, on_error="skip", **options)
    with bn.open_store(path) as store:
        assert list(store.skipped) == ["a.13.png"]
        assert store.stimulus_ids.tolist() == [f"a.{i}.png" for i in range(20) if i != 13]
        assert store["V1/bu"].shape[0] == 19


def test_a_full_disk_is_refused_before_it_starts(model, stimuli, tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "free_bytes", lambda path: 3_000_000)
    with pytest.raises(StoreError, match=r"needs .* MB for 20 stimuli.*reductions that would fit: mean"):
        bn.extract(model, stimuli, tmp_path / "acts.h5")
    assert not (tmp_path / "acts.h5").exists()


def test_values_that_are_not_finite_are_an_error(stimuli, tmp_path):
    model = bn.BLT_VS(timesteps=1, num_classes=7, bio_unroll=False, image_size=128, width=0.25)
    with torch.no_grad():
        model.connections["V1"].bu_conv.bias[0] = float("nan")
    with pytest.raises(StoreError, match="V1/bu at timestep 0 is not finite for"):
        bn.extract(model, stimuli, tmp_path / "acts.h5", "V1/bu", reduce="mean")


def test_a_half_precision_says_how_far_it_is_off(model, stimuli, tmp_path):
    path = bn.extract(
        model,
        stimuli.subset(range(2)),
        tmp_path / "acts.h5",
        run=ExtractRun(precision="bfloat16", memory_format="channels_last"),
        **CHOICE,
    )
    with bn.open_store(path) as store:
        worst = store.provenance["deviation_from_float32"]
    assert set(worst) == {"V1/bu", "V1/td", "V2/bu", "V2/td"}
    assert 0 < max(worst.values()) < 0.5
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("reduce", ["project:50", "pca:4@8"])
def test_reductions_are_float32_whatever_the_precision(model, stimuli, tmp_path, reduce):
    """Under autocast a matrix product would be rounded to half precision."""
    from bltvs_neuro.extraction.grammar import parse_reduction
    from bltvs_neuro.extraction.pca import components

    choice = dict(sites="V1/bu@2", run=ExtractRun(precision="bfloat16"))
    path = bn.extract(model, stimuli, tmp_path / "acts.h5", reduce=reduce, **choice)
    full = bn.extract(model, stimuli, tmp_path / "full.h5", **choice)
    fitted = tmp_path / "acts.h5.components.npz"
    made = components(fitted) if fitted.exists() else parse_reduction(reduce)
    bound = made.bind(Site("V1", "bu"), model.shape("V1/bu"), model.grids["V1"], torch.device("cpu"))
    expected = bound.apply(torch.from_numpy(arrays(full)["V1/bu"][:, 0])).numpy()
    np.testing.assert_allclose(arrays(path)["V1/bu"][:, 0], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_a_planted_link_in_place_of_the_lock_of_components_is_not_followed(model, stimuli, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "acts.h5.components.npz.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match="Too many levels of symbolic links"):
        bn.extract(model, stimuli, tmp_path / "acts.h5", "V1/bu@2", bn.pca(5, train=12))
    assert (tmp_path / "mine").read_text() == "mine"


def test_components_are_fitted_once_and_reused(model, stimuli, tmp_path):
    from bltvs_neuro.extraction.pca import components

    options = dict(sites="V1@3:5")
    path = bn.extract(model, stimuli, tmp_path / "acts.h5", reduce=bn.pca(5, train=12), **options)
    with bn.open_store(path) as store:
        assert store["V1/bu"].dims == ("stimulus", "timestep", "component")
        whole = store["V1/bu"].values
    again = bn.extract(
        model, stimuli, tmp_path / "b.h5", reduce=components(tmp_path / "acts.h5.components.npz"), **options
    )
    np.testing.assert_array_equal(arrays(again)["V1/bu"], whole)


def test_killed_in_the_middle_it_goes_on_to_the_same_numbers(tmp_path):
    code = (
        "import sys, torch, bltvs_neuro as bn\n"
        "torch.manual_seed(0)\n"
        "model = bn.BLT_VS(timesteps=1, num_classes=7, bio_unroll=False, image_size=128, width=0.25).eval()\n"
        "def show(p): print(p.done, flush=True)\n"
        "with bn.show_progress(show):\n"
        "    bn.extract(model, bn.StimulusSet.synthetic(40, size=64), sys.argv[1], 'V1', reduce='mean')\n"
    )
    run = [sys.executable, "-c", code]
    whole, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    subprocess.run([*run, whole], cwd=ROOT, check=True, capture_output=True)
    for stop_at in (8, 40):
        process = subprocess.Popen([*run, cut], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if int(line) >= stop_at:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*run, cut], cwd=ROOT, check=True, capture_output=True)
    for site, values in arrays(whole).items():
        np.testing.assert_array_equal(values, arrays(cut)[site])
    assert verify(cut).ok


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(sites="V4@0:2"), "'V4@0:2' is not active at timesteps 0, 1; active are V4/bu at 3, 4; V4/td at 3, 4"),
        (dict(keep_bits=3), "unknown keep_bits 3"),
        (dict(run=ExtractRun(device="cuda:77")), "device 'cuda:77'"),
        (dict(on_error="ignore"), "unknown on_error 'ignore'"),
    ],
)
def test_wrong_choices(model, stimuli, tmp_path, options, message):
    with pytest.raises(SpecError, match=message):
        bn.extract(model, stimuli, tmp_path / "acts.h5", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(precision="float8"), "unknown precision 'float8'"),
        (dict(batch_size=0), "batch_size= is an integer of at least 1; got 0"),
        (dict(workers=-1), "workers= is an integer of at least 0; got -1"),
        (dict(threads=0), "threads= is at least 1; got 0"),
        (dict(shard="3"), "a shard is written"),
    ],
)
def test_wrong_ways_to_run(options, message):
    with pytest.raises(SpecError, match=message):
        ExtractRun(**options)
