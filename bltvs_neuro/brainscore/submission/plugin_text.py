"""The texts of a plugin's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODEL_PY = '''"""{title}, written by bltvs_neuro {version} (`bltvs brainscore package`)."""

from pathlib import Path

from {package}.brainscore.submission.plugin import build

MODELS = {models}


def get_model(identifier):
    return build(identifier, MODELS[identifier], Path(__file__).parent)


BIBTEX = {bibtex}


def get_bibtex(model_identifier):
    return BIBTEX[model_identifier]
'''

TEST_PY = '''"""What these models promise: their regions, their time, their weights and their tasks."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainscore_vision import load_model
from brainscore_vision.model_interface import BrainModel

EXPECTED = {expected}


@pytest.fixture(scope='module', params=sorted(EXPECTED))
def model(request):
    return load_model(request.param)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp('images'), []
    for seed in range(2):
        pixels = np.random.RandomState(seed).randint(0, 256, (96, 128, 3)).astype('uint8')
        Image.fromarray(pixels).save(folder / f'{{seed}}.png')
        paths.append(str(folder / f'{{seed}}.png'))
    return paths


def test_identity(model):
    expected = EXPECTED[model.identifier]
    assert model.visual_degrees() == expected['visual_degrees']
    if expected['weights_sha256']:
        assert model.describe()['weights_sha256'] == expected['weights_sha256']


@pytest.fixture
def regions(model):
    path = Path(__file__).parent / 'region_layer_map' / f'{{model.identifier}}.json'
    return json.loads(path.read_text())


def test_region_layer_map(model, regions):
    assert {{region: model.layer_model.region_layer_map[region] for region in regions}} == regions


def test_recordings_tell_stimuli_apart_and_are_repeatable(model, regions, images):
    for region in regions:
        model.start_recording(region, time_bins=[(70, 170)])
        recorded, again = model.look_at(images), model.look_at(images)
        assert recorded.dims == ('presentation', 'neuroid')
        assert np.isfinite(recorded.values).all()
        assert not np.allclose(recorded.values[0], recorded.values[1])
        np.testing.assert_array_equal(recorded.values, again.values)


def test_time_course(model, regions, images):
    region, layer = list(regions.items())[-1]
    model.start_recording(region, time_bins=[(start, start + 20) for start in range(70, 250, 20)])
    recorded = model.look_at(images)
    assert recorded.sizes['time_bin'] == 9
    changes = np.abs(np.diff(recorded.transpose('presentation', 'neuroid', 'time_bin').values, axis=-1)).max()
    timed = EXPECTED[model.identifier]['recurrent'] and '@' not in layer and not layer.startswith('taps.')
    assert (changes > 0) == timed


def test_labels(model, images):
    if not EXPECTED[model.identifier]['imagenet']:
        with pytest.raises(ValueError, match='1000'):
            model.start_task(BrainModel.Task.label, 'imagenet')
        return
    model.start_task(BrainModel.Task.label, 'imagenet')
    labels = model.look_at(images)
    assert all(str(label).startswith('n') for label in labels.values.flatten())
'''

README_MD = """# {title}

A plugin for [Brain-Score](https://www.brain-score.org), written by bltvs_neuro {version} (`bltvs brainscore package`).

{table}

Regions: {regions}

Time: {timeline}

{carried}
"""


def init_py(identifiers: list[str]) -> str:
    """Register models, one literal line each: Brain-Score finds them by searching this text."""
    lines = ["from brainscore_vision import model_registry", "", "from .model import get_model", ""]
    lines += [f"model_registry[{i!r}] = lambda: get_model({i!r})" for i in identifiers]
    return "\n".join(lines) + "\n"


CODE = "KietzmannLab/BLT-VS"
FAMILIES = {
    "BLT_VS": "recurrent_convolutional_neural_network",
    "CORnet_S": "recurrent_convolutional_neural_network",
    "resnet50": "convolutional_neural_network",
}
"""Brain-Score's word for an architecture; of others nothing is said."""

DATA = {"imagenet": ("imagenet-ilsvrc2012", "ImageNet (ILSVRC-2012)"), "ecoset": ("ecoset", "Ecoset")}


def metadata(models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Brain-Score's metadata, schema 2.0: what is known of each architecture, and nothing of what is not."""
    return {"schema_version": "2.0", "domain": "vision", "models": {i: _entry(i, about) for i, about in models.items()}}


def _entry(identifier: str, about: Mapping[str, Any]) -> dict[str, Any]:
    size, own = about["image_size"], about["architecture"] == "BLT_VS"
    degrees = "by design: receptive fields follow from an image of 5 degrees" if own else "undocumented"
    entry: dict[str, Any] = {
        "model": {
            "display_name": identifier,
            "architecture": {"description": about["description"]},
            "parameter_count": about["parameters"],
            "parameter_count_exact": True,
            "recurrent": about["recurrent"],
            "input_resolution": {"channels": 3, "height": size, "width": size},
            "visual_degrees": about["visual_degrees"],
            "visual_degrees_description": degrees,
        },
        "training": {"preprocessing": about["preprocessing"]},
        "io": {"modality": "image", "output_format": f"{about['num_classes']} logits per timestep"},
    }
    if family := FAMILIES.get(about["model"], FAMILIES.get(about["architecture"])):
        entry["model"]["architecture"]["family"] = family
    if own:
        entry["sources"] = {"repository": {"kind": "other", "url": f"https://github.com/{CODE}", "citation": CODE}}
        entry["assertions"] = [
            {"path": f"/model/{fact}", "status": "verified", "sources": ["repository"]}
            for fact in ("visual_degrees", "recurrent")
        ]
    if not about["trained"]:
        entry["model"]["supervision"] = {"type": "none", "description": "random weights, as initialised"}
        entry["training"] = {"process": "none"}
    elif about["classes"] in DATA:
        key, name = DATA[about["classes"]]
        entry["model"]["supervision"] = {"type": "supervised", "description": "image classification"}
        entry["data"] = {"training_datasets": [{"identifier": key, "name": name, "role": "training"}]}
    return entry
