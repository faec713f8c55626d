"""Images that drive a unit: they do, at that timestep, the same for the same seed, and what they are is written down."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import record_tensors
from bltvs_neuro.figures import figure_of
from bltvs_neuro.probes import Driven, drive, plot_driven

SITE, STEP = "V2/td", 1


@pytest.fixture(scope="module")
def model() -> bn.BLT_VS:
    torch.manual_seed(0)
    return bn.BLT_VS(timesteps=2, num_classes=5, bio_unroll=False, image_size=128, width=0.1).eval()


@pytest.fixture(scope="module")
def driven(model):
    return drive(model, SITE, STEP, [1, 5], steps=30, jitter=0)


def activation(model, images, channel, site=SITE, step=STEP):
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1
    values = record_tensors(model, scaled, f"{site}@{step}")[(*site.split("/"), step)]
    return values[:, channel, values.shape[2] // 2, values.shape[3] // 2]


def test_the_image_drives_its_unit_more_than_noise_and_than_the_other_s(model, driven):
    noise = np.random.default_rng(0).uniform(size=(8, 128, 128, 3)).astype(np.float32)
    for row, channel in enumerate((1, 5)):
        reached = activation(model, driven.images, channel)
        assert reached[row] == reached.max()
        assert reached[row] > activation(model, noise, channel).max()
        torch.testing.assert_close(float(reached[row]), float(driven.activations[row, -1]), rtol=1e-3, atol=1e-3)
        assert driven.activations[row, -1] > driven.activations[row, 0]
    assert driven.images.min() >= 0 and driven.images.max() <= 1


def test_the_timestep_matters_and_lesions_are_seen(model):
    here, there = (drive(model, SITE, t, 1, steps=6, jitter=0) for t in (STEP, 0))
    assert not np.array_equal(here.images, there.images)
    for result, t in ((here, STEP), (there, 0)):
        reached = activation(model, result.images, 1, step=t)
        torch.testing.assert_close(float(reached), float(result.activations[0, -1]), rtol=1e-3, atol=1e-3)
    with model.lesion("td:V3->V2", strength=0.5):
        lesioned = drive(model, SITE, STEP, 1, steps=2)
    assert lesioned.provenance["model"]["lesions"][0]["on"] == ["td:V3->V2"]


def test_seeds_decide_everything(model):
    first, again, other = (drive(model, "V1/bu", 0, 3, steps=3, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert all(p.grad is None for p in model.parameters())


def test_smoothness_makes_images_smoother(model):
    rough, smooth = (drive(model, "V1/bu", 0, 3, steps=20, smoothness=s).images[0] for s in (0.0, 20.0))

    def variation(image):
        return np.square(np.diff(image, axis=0)).mean() + np.square(np.diff(image, axis=1)).mean()

    assert variation(smooth) < variation(rough)


@pytest.mark.parametrize("where", ["everywhere", (0, 3)])
def test_other_places_and_classes(model, where):
    result = drive(model, "V1/bu", 0, 2, steps=5, where=where)
    assert result.activations[0, -1] > result.activations[0, 0]
    logits = drive(model, "Readout/bu", 1, [0, 4], steps=12, jitter=0)
    assert (logits.activations[:, -1] > logits.activations[:, 0]).all()


def test_files_and_figure(driven, tmp_path):
    paths = driven.save_images(tmp_path / "driven")
    assert Driven.load(driven.save(tmp_path / "driven.nc")).provenance == driven.provenance
    assert [path.name for path in paths] == ["V2_td_t1_c1.png", "V2_td_t1_c5.png"]
    with Image.open(paths[0]) as image:
        about = json.loads(image.text["provenance"])
        assert np.abs(np.asarray(image) / 255 - driven.images[0]).max() <= 0.5 / 255 + 1e-6
    assert about["site"] == SITE and about["seed"] == 0 and about["model"]["weights"] == "as constructed"
    assert bn.StimulusSet.from_folder(tmp_path / "driven").ids == tuple(path.name for path in paths)
    axes = plot_driven([driven, driven])
    assert [axis.get_title() for axis in axes] == ["channel 1", "channel 5", "", ""]  # of both rows
    assert "untrained" in figure_of(axes)._supxlabel.get_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("V9/bu", 0, 0), "unknown area 'V9'"),
        (("V1/bu", 7, 0), "not active at timestep 7"),
        (("V1/bu", 0, 999), "channels 0 to 57; got"),
        (("V1/bu", 0, []), "channels 0 to 57; got"),
        (("Retina/td", 0, 0), "the same for every image"),
    ],
)
def test_errors(model, arguments, message):
    with pytest.raises(SpecError, match=message):
        drive(model, *arguments)


def test_more_errors(model):
    with pytest.raises(SpecError, match="a position within V1/bu's map"):
        drive(model, "V1/bu", 0, 0, where=(99, 0))
    with pytest.raises(SpecError, match="steps and rate must be above 0"):
        drive(model, "V1/bu", 0, 0, steps=0)
    with pytest.raises(SpecError, match="at most 100000 steps; got 10000000000"):
        drive(model, "V1/bu", 0, 0, steps=10**10)
    with pytest.raises(SpecError, match="same number of channels; got none"):
        plot_driven([])
