"""A model as a folder: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

import json

import pytest
import torch

from bltvs_neuro import load_model
from bltvs_neuro.errors import OutputError, SpecError, WeightsError
from bltvs_neuro.model import BLT_VS
from bltvs_neuro.model.blt_vs.areas import AREAS, areas_for
from bltvs_neuro.model.released.checkpoints import class_names
from bltvs_neuro.model.released.exported import export_model
from bltvs_neuro.model.released.weights import weights_sha256

TINY = dict(timesteps=2, num_classes=3, add_feats=2, bio_unroll=False, image_size=128, width=0.0625)


@pytest.fixture
def exported(tmp_path):
    torch.manual_seed(0)
    model = BLT_VS(**TINY).eval()
    folder = export_model(
        model, tmp_path / "model", name="tiny", classes=("disc", "ring", "star"), accuracies=(40, 50.5),
        training={"seed": 0},
    )  # fmt: skip
    return model, folder


def test_a_folder_gives_the_same_model(exported):
    model, folder = exported
    loaded = load_model(folder)
    assert loaded.config == model.config
    assert weights_sha256(loaded) == weights_sha256(model)
    images = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        for a, b in zip(loaded(images), model(images), strict=True):
            assert torch.equal(a, b)
    assert class_names(folder) == ("disc", "ring", "star")
    assert loaded.checkpoint.accuracies == (40.0, 50.5)
    said = loaded.provenance
    assert (said["model"], said["weights"], said["about"]["training"]) == ("tiny", "exported", {"seed": 0})
    assert json.loads(json.dumps(said)) == said
    assert not loaded.training


def test_other_weights_for_the_architecture_of_a_folder(exported, tmp_path):
    model, folder = exported
    untrained = load_model(folder, weights="untrained", seed=1)
    assert untrained.provenance["weights"] == "untrained"
    assert weights_sha256(untrained) != weights_sha256(model)
    torch.save(untrained.state_dict(), tmp_path / "other.pth")
    own = load_model(folder, weights=tmp_path / "other.pth")
    assert weights_sha256(own) == weights_sha256(untrained)


def test_a_changed_file_of_weights_is_refused(exported):
    _, folder = exported
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is not the file that was exported"):
        load_model(folder)
    path.unlink()
    with pytest.raises(WeightsError, match="copy the whole folder"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, "not the description of a bltvs_neuro model"),
        ({"version": 2}, "update it"),
        ({"architecture": "VGG"}, "unknown architecture 'VGG'; valid: BLT_VS"),
        ({"config": {**TINY, "wings": 2}}, "wings"),
        ({"config": {**TINY, "timesteps": 10**9}}, "timesteps must be a whole number from 1 to 1,000"),
        ({"config": {**TINY, "add_feats": 10**12}}, "bytes of weights|add_feats must be"),
        ({"config": [1]}, r"config must be of type dict; got \[1\]"),
        ({"classes": ["a", "b"]}, "2 class names for 3 logits"),
        ({"classes": "abc"}, "classes must be of type list"),
        ({"name": "../x"}, "a model's name has letters"),
        ({"transform": {"range": [0, 1]}}, "has the transform"),
        (
            {"weights": {"file": "../w.safetensors", "sha256": "", "values_sha256": ""}},
            "not the name of a .safetensors file",
        ),
        ({"weights": {"file": "w.pth", "sha256": "", "values_sha256": ""}}, "not the name of a .safetensors file"),
        ({"weights": None}, "weights must be of type dict; got None"),
        ({"weights": {"file": "w.safetensors"}}, "it lacks weights.sha256, weights.values_sha256"),
        ({"classes": ["a", "b", "a"]}, "every class has a name of its own; 'a' is given twice"),
        ({"classes": ["a", "b", " "]}, "printable and not empty"),
        ({"classes": ["a", "b", " a "]}, "'a' is given twice or more"),
        ({"classes": ["a", "b", "\ud800"]}, r"printable and not empty; got '\\ud800'"),
        ({"classes": ["a", "b", "c\n"]}, r"printable and not empty; got 'c\\n'"),
        ({"classes": ["a", "b", 3]}, "a class name must be of type str; got 3"),
        ({"accuracies": [float("nan"), 50]}, "NaN is not a finite number"),
        ({"accuracies": [True, 50]}, "an accuracy must be of type float; got True"),
        ({"accuracies": ["50", 50]}, "an accuracy must be of type float; got '50'"),
        ({"accuracies": [101, 50]}, "accuracies are in percent, 0 to 100; got 101"),
        ({"accuracies": [10**400, 50]}, "an accuracy must be finite"),
        ({"accuracies": [1, 2, 3]}, "3 accuracies for 2 timesteps"),
        ({"version": True}, "it has version True"),
        ({"colour": "red"}, "unknown key 'colour'; valid: format, version, name"),
        ({"description": 3}, "description must be of type str"),
        ({"training": {"x": float("inf")}}, "Infinity is not a finite number"),
        ({"config": {**TINY, "timesteps": True}}, "config.timesteps must be of type int; got True"),
        ({"config": {**TINY, "num_classes": "3"}}, "config.num_classes must be of type int; got '3'"),
        ({"config": {**TINY, "bio_unroll": 1}}, "config.bio_unroll must be of type bool; got 1"),
        ({"config": {**TINY, "width": "1"}}, "config.width must be of type float"),
        ({"config": {**TINY, "add_feats": -1}}, "add_feats must be a whole number from 0 to 1,000,000; got -1"),
        ({"config": {**TINY, "image_size": -128}}, "image"),
        ({"config": {**TINY, "timesteps": 10**30}}, "timesteps must be a whole number from 1 to 1,000"),
        ({"config": {**TINY, "num_classes": 10**30}}, "cannot be used"),
    ],
)
def test_descriptions_that_are_not_right(exported, change, message):
    _, folder = exported
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(WeightsError, match=message):
        load_model(folder)


def test_what_is_no_folder_of_a_model(tmp_path):
    with pytest.raises(WeightsError, match=r"has no model\.json"):
        load_model(tmp_path)
    for text, message in (
        ("{", "cannot be used"), ("[]", "not the description"), ('{"format": 1, "format": 2}', "a key repeats among format"),
        ("[" * 100_000, "cannot be used"), ('{"format": 1e999}', "1e999 is not a finite number"),
        ('{"format": "bltvs_neuro model", "version": 1}', "it lacks name, description, architecture"),
    ):  # fmt: skip
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(WeightsError, match=message):
            load_model(tmp_path)
    with pytest.raises(SpecError, match="unknown model 'nowhere'.*folder of an exported model"):
        load_model("nowhere")


def test_exports_that_are_refused(exported, tmp_path):
    model, folder = exported
    three = ("a", "b", "c")
    with pytest.raises(OutputError, match=r"model\.json exists"):
        export_model(model, folder, name="tiny", classes=three)
    export_model(model, folder, name="tiny", classes=three, overwrite=True)
    assert class_names(folder) == three
    with pytest.raises(SpecError, match="'b' is given twice or more"):
        export_model(model, tmp_path / "b", name="tiny", classes=("a", "b", "b"))
    for wrong, message in (
        ((1.0,), "1 accuracies for 2 timesteps"),
        ((float("nan"), 1.0), "an accuracy must be finite"),
    ):
        with pytest.raises(SpecError, match=message):
            export_model(model, tmp_path / "b", name="tiny", classes=three, accuracies=wrong)
    with pytest.raises(SpecError, match="a model's name"):
        export_model(model, tmp_path / "b", name="a/b", classes=three)
    model.connections["V1"].bu_conv.weight.data[0] = torch.nan
    with pytest.raises(WeightsError, match=r"not finite, in connections\.V1\.bu_conv\.weight"):
        export_model(model, tmp_path / "b", name="tiny", classes=three)
    assert not (tmp_path / "b").exists()


def test_width_scales_every_area_and_1_is_the_design():
    assert areas_for(128) == AREAS[128]
    assert [a.channels for a in areas_for(224, 0.25)] == [8, 8, 144, 120, 88, 64, 88, None]
    with torch.device("meta"):
        names = [list(BLT_VS(width=width).state_dict()) for width in (1.0, 0.125)]
        assert sum(p.numel() for p in BLT_VS(width=1.0).parameters()) == 27_332_427
    assert names[0] == names[1]
    for width in (0, -1, float("nan"), float("inf"), 17):
        with pytest.raises(SpecError, match="width is a factor"):
            BLT_VS(width=width)
