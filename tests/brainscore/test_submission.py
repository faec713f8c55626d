"""Submissions: what the zip holds, and Brain-Score's own checks on it in a copy of the installed package."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("brainscore_vision")

import brainscore_vision
from brainscore_core.metadata.contract import load as load_metadata

from bltvs_neuro.brainscore.submission.check import check
from bltvs_neuro.brainscore.submission.closure import modules_of, requirements_of
from bltvs_neuro.brainscore.submission.package import ENTRIES, Entry, package
from bltvs_neuro.brainscore.submission.plugin import build
from bltvs_neuro.errors import BltvsError, SpecError, WeightsError
from bltvs_neuro.model.released.exported import export_model

from .conftest import narrow


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Weights of one's own: a trained model's folder."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    return export_model(narrow(), folder, name="mine", classes=[f"class {i}" for i in range(1000)])


@pytest.fixture(scope="module")
def submission(exported, tmp_path_factory):
    options = {"reduce": "pool:4", "regions": {"V1": "V1", "V2": "V2", "V4": "V4", "IT": "LOC"}}
    path = tmp_path_factory.mktemp("zips") / "submission.zip"
    return package(path, [Entry(str(exported), identifier="mine", options=options)])


def changed(submission, path, changes):
    """A copy of a zip with some files' contents replaced."""
    with zipfile.ZipFile(submission) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            change = next((to for name, to in changes.items() if entry.filename.endswith(f"models/mine/{name}")), None)
            new.writestr(entry, old.read(entry) if change is None else change)
    return path


def installed_files():
    root = Path(brainscore_vision.__file__).parent
    return {(p, p.stat().st_mtime_ns) for part in ("models", "model_helpers") for p in (root / part).glob("*")}


def test_every_check_of_brain_score_passes(submission):
    before = installed_files()
    findings = check(submission)
    assert not [f for f in findings if not f.ok and not f.note], findings
    said = " ".join(f.what for f in findings)
    for needed in (
        "generic_plugin_tests.py::test_look_at_neural_V1", "generic_plugin_tests.py::test_look_at_behavior_probabilities",
        "test_submission.py::test_mock_benchmark", "test_submission.py::test_bibtex", "validate_plugin", "metadata",
        "test.py::test_time_course", "test.py::test_labels", "test.py::test_identity", "name is free",
    ):  # fmt: skip
        assert needed in said
    assert installed_files() == before


def test_other_weights_than_those_that_were_packaged_do_not_pass(submission, tmp_path):
    from safetensors.torch import save

    other = save({k: v.contiguous() for k, v in narrow(seed=1).state_dict().items()}, metadata={"format": "pt"})
    findings = check(changed(submission, tmp_path / "other.zip", {"weights/mine/weights.safetensors": other}))
    failed = [f for f in findings if not f.ok and not f.note]
    assert any("test_identity" in f.what and "is not the file that was exported" in f.detail for f in failed)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"__init__.py": "for name in []:\n    model_registry[name] = None\n"}, "registrations"),
        ({"__init__.py": "model_registry['alexnet'] = lambda: None\n"}, "name is free"),
        ({"region_layer_map/mine.json": "{", "metadata.yml": "models: {mine: {color: red}}"}, "metadata"),
    ],
)
def test_what_brain_score_would_not_take(submission, tmp_path, changes, what):
    findings = check(changed(submission, tmp_path / "bad.zip", changes), tests=False)
    assert any(what in f.what and not f.ok and not f.note for f in findings)


def test_zips_that_are_none_of_ours(tmp_path):
    with pytest.raises(SpecError, match="there is no file"):
        check(tmp_path / "no.zip")
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(SpecError, match="is no zip"):
        check(tmp_path / "text.zip")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("submission/models/mine/../../../../evil.py", "")
    assert {f.what for f in check(tmp_path / "evil.zip") if not f.ok} >= {"paths", "layout"}


def test_the_zip_is_the_same_every_time_and_as_the_website_wants_it(submission, exported, tmp_path):
    options = {"reduce": "pool:4", "regions": {"V1": "V1", "V2": "V2", "V4": "V4", "IT": "LOC"}}
    again = package(tmp_path / "again.zip", [Entry(str(exported), identifier="mine", options=options)])
    assert again.read_bytes() == submission.read_bytes()
    names = zipfile.ZipFile(submission).namelist()
    assert names[:3] == ["submission/", "submission/models/", "submission/models/mine/"]
    assert not [n for n in names if Path(n).name.startswith("test") and not n.endswith("models/mine/test.py")]


def test_released_weights_are_fetched_by_the_plugin_and_need_not_be_here(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = package(tmp_path / "both.zip", [Entry("imagenet"), Entry("ecoset")], directory="blt_vs_pair")
    archive = zipfile.ZipFile(path)
    folder = "submission/models/blt_vs_pair"
    text = archive.read(f"{folder}/__init__.py").decode()
    assert text.count("model_registry['") == 2
    assert "model_registry['blt_vs_ecoset'] = lambda: get_model('blt_vs_ecoset')" in text.splitlines()
    layers = json.loads(archive.read(f"{folder}/region_layer_map/blt_vs_ecoset.json"))
    assert layers == {"V1": "V1/bu+td", "V2": "V2/bu+td", "V4": "V4/bu+td", "IT": "LOC/bu+td"}
    about = load_metadata(archive.read(f"{folder}/metadata.yml").decode(), domain="vision")["models"]["blt_vs_ecoset"][
        "model"
    ]
    assert (about["recurrent"], about["visual_degrees"], about["parameter_count"]) == (True, 5.0, 27_332_427)
    assert not [n for n in archive.namelist() if n.endswith((".pth", ".safetensors"))]
    installed = package(tmp_path / "i.zip", [Entry("imagenet")], install="bltvs_neuro==0.1.0", metadata=False)
    names = zipfile.ZipFile(installed).namelist()
    assert not [n for n in names if "bltvs_neuro/" in n or n.endswith("metadata.yml")]
    assert (
        zipfile.ZipFile(installed).read("submission/models/blt_vs_imagenet/requirements.txt") == b"bltvs_neuro==0.1.0\n"
    )


def unpacked(path, folder):
    """A plugin's files, of which ``build`` reads weights and map."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    (plugin,) = (folder / "submission/models").iterdir()
    (mapping,) = (plugin / "region_layer_map").iterdir()
    names: dict = {}
    text = (plugin / "model.py").read_text("utf-8")
    exec(text[text.index("MODELS = ") : text.index("\n\n\ndef get_model")], names)
    return plugin, mapping, names["MODELS"][mapping.stem]


@pytest.mark.parametrize("weights", ["pretrained", "untrained"])
def test_models_that_come_with_the_package_are_carried(tmp_path, monkeypatch, weights):
    from bltvs_neuro import load_model
    from bltvs_neuro.model.released.table import CHECKPOINTS

    shipped = [name for name, checkpoint in CHECKPOINTS.items() if checkpoint.folder is not None]
    assert shipped == ["shapes"]
    expected = load_model("shapes", weights).provenance["weights_sha256"]
    plugin, mapping, settings = unpacked(package(tmp_path / "s.zip", [Entry("shapes", weights)]), tmp_path)
    # the plugin's own copy of the package has no folder of weights
    monkeypatch.setitem(CHECKPOINTS, "shapes", replace(CHECKPOINTS["shapes"], folder=tmp_path / "none"))
    subject = build(mapping.stem, settings, plugin)
    assert subject.describe()["weights_sha256"] == expected


def test_the_map_in_the_plugin_decides(exported, tmp_path):
    plugin, mapping, settings = unpacked(package(tmp_path / "s.zip", [Entry(str(exported))]), tmp_path)
    assert json.loads(mapping.read_text()) == {"V1": "V1/bu+td", "V2": "V2/bu+td", "V4": "V4/bu+td", "IT": "LOC/bu+td"}
    rewritten = {"V1": "taps.V1.bu.2", "IT": "taps.V4.td.6"}
    mapping.write_text(json.dumps(rewritten))
    layers = build(mapping.stem, settings, plugin).layer_model.region_layer_map
    assert {region: layers[region] for region in rewritten} == rewritten


def test_fewer_regions_and_options_in_the_name(exported, tmp_path):
    one = package(tmp_path / "1.zip", [Entry(str(exported), options={"regions": {"V1": "V1"}})])
    two = package(tmp_path / "2.zip", [Entry(str(exported), options={"regions": {"V1": "V2"}})])
    names = [unpacked(path, tmp_path / path.stem)[1] for path in (one, two)]
    rest = {"V2": "V2/bu+td", "V4": "V4/bu+td"}  # IT has no area of its name
    assert [json.loads(name.read_text()) for name in names] == [{"V1": "V1/bu+td"} | rest, {"V1": "V2/bu+td"} | rest]
    assert len({name.stem for name in names}) == 2


def test_other_architectures_are_not_described_as_blt_vs(tmp_path):
    regions = {"V1": "layer1", "V2": "layer2", "V4": "layer3", "IT": "layer4"}
    entry = Entry("resnet50", "untrained", identifier="res", options={"regions": regions, "reduce": "mean"})
    plugin, mapping, settings = unpacked(package(tmp_path / "r.zip", [entry]), tmp_path)
    about = load_metadata((plugin / "metadata.yml").read_text(), domain="vision")["models"]["res"]
    assert about["model"]["architecture"]["family"] == "convolutional_neural_network"
    assert (about["model"]["visual_degrees"], about["model"]["visual_degrees_description"]) == (8.0, "undocumented")
    assert not about["model"]["recurrent"] and not about.get("sources")
    texts = "".join((plugin / name).read_text() for name in ("model.py", "README.md", "metadata.yml"))
    assert "he2016" in texts and "BLT" not in texts
    assert json.loads(mapping.read_text()) == {region: f"{area}/bu" for region, area in regions.items()}
    assert build("res", settings, plugin).visual_degrees() == 8


def test_the_folder_is_a_package_for_python(exported, tmp_path):
    """With a hyphen in its name Brain-Score's tests cannot import it."""
    plugin, mapping, _ = unpacked(
        package(tmp_path / "s.zip", [Entry(str(exported), identifier="my-model.1")]), tmp_path
    )
    assert (plugin.name, mapping.stem) == ("my_model_1", "my-model.1")
    with pytest.raises(SpecError, match="named like a Python module; got 'my-model'"):
        package(tmp_path / "x.zip", [Entry(str(exported))], directory="my-model")


def test_large_weights_need_an_address(tmp_path, monkeypatch):
    monkeypatch.setattr("bltvs_neuro.brainscore.submission.package.MAX_BYTES", 1000)
    with pytest.raises(SpecError, match="Brain-Score takes 1,000: put the weights where they can be downloaded"):
        package(tmp_path / "x.zip", [Entry("imagenet")])
    assert not (tmp_path / "x.zip").exists()


def test_weights_from_an_address_are_checked(tmp_path, monkeypatch):
    import functools
    import http.server
    import threading

    from bltvs_neuro.brainscore.submission.plugin import fetch
    from bltvs_neuro.datasets import sha256_file

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "mine.pth").write_bytes(b"weights")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "w"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/mine.pth"
        assert fetch(url, sha256_file(tmp_path / "w" / "mine.pth")).read_bytes() == b"weights"
        with pytest.raises(WeightsError, match="cannot fetch the weights"):
            fetch(url, "0" * 64)
    finally:
        server.shutdown()


def test_what_is_carried_is_what_is_imported():
    modules = modules_of(ENTRIES)
    assert {
        "bltvs_neuro.model.blt_vs.module",
        "bltvs_neuro.extraction.reduce",
        "bltvs_neuro.brainscore.submission.plugin",
    } <= set(modules)
    assert not [
        name for name in modules if name.startswith(("bltvs_neuro.cli", "bltvs_neuro.rsa", "bltvs_neuro.store"))
    ]
    needed = requirements_of(modules)
    assert any(line.startswith("torch>=") for line in needed)
    assert not [line for line in needed if line.startswith(("brainscore", "typer", "rich"))]
    with pytest.raises(BltvsError, match="would import .*himalaya, which bltvs_neuro does not require|would import"):
        requirements_of({"x": Path(__file__)})


@pytest.mark.parametrize(
    ("entry", "error", "said"),
    [
        (Entry(weights="no.pth"), WeightsError, "there is no file"),
        (Entry("imagenett"), SpecError, "did you mean 'imagenet'"),
        (Entry(options={"colour": "red"}), SpecError, "a plugin has no option 'colour'"),
        (Entry(options={"regions": {"V1": "V9"}}), SpecError, "region 'V1' is mapped to 'V9'"),
    ],
)
def test_entries_that_cannot_be(tmp_path, entry, error, said):
    with pytest.raises(error, match=said):
        package(tmp_path / "x.zip", [entry])
