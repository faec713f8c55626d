"""Everything that a run will need is looked at before it begins, and nothing is left behind where it is not there."""

from __future__ import annotations

import logging

import pytest
from PIL import Image

from bltvs_neuro import devices
from bltvs_neuro.errors import BltvsError, OutputError, SpecError
from bltvs_neuro.training.config import make_config
from bltvs_neuro.training.pictures.labelled import check_source
from bltvs_neuro.training.release.export import export_run
from bltvs_neuro.training.release.upload import upload_model
from bltvs_neuro.training.running.loop import Run, train

from .made import tiny


@pytest.fixture
def pictures(tmp_path):
    """Splits train and val, and none for the test."""
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (130, 130), (40 * i, 0, 80)).save(tmp_path / "data" / split / name / f"{name}{i}.png")
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def no_step(monkeypatch):
    monkeypatch.setattr(Run, "go", lambda *_: pytest.fail("training began"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(run={"device": "all"}), "run.device: "),
        (dict(run={"device": "gpu"}), "run.device: unknown device 'gpu'"),
        (dict(run={"start_from": "no/such/folder"}), "is not the folder of an exported model"),
        (dict(model={"timesteps": 1, "bio_unroll": True}), "no activity reaches the readout"),
        (dict(model={"image_size": 100}), "100"),
    ],
)
def test_a_run_that_cannot_end_does_not_begin(tmp_path, change, message):
    with pytest.raises(BltvsError, match=message):
        train(make_config(tiny(**change)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_test_pictures_are_opened_before_training(pictures, tmp_path):
    data = {"source": "imagefolder", "path": str(pictures)}
    with pytest.raises(BltvsError, match="test"):
        train(make_config(tiny(data=data)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(pytest.fail.Exception, match="training began"):
        train(make_config(tiny(data={**data, "test": ""})), tmp_path / "run")


def test_a_file_is_no_folder_for_a_run(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError, match="something that is no folder stands where a folder should be"):
        train(make_config(tiny()), tmp_path / "run")


def test_a_slow_precision_is_said_before_training(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(devices, "half_seconds", lambda *_: (0.75, 0.07))
    caplog.set_level(logging.WARNING, "bltvs_neuro")
    with pytest.raises(pytest.fail.Exception, match="training began"):
        train(make_config(tiny(run={"precision": "bfloat16"})), tmp_path / "run")
    assert "bfloat16 is 10.7 times slower than float32 on this CPU" in caplog.text
    assert "run.precision = 'float32' is the faster choice" in caplog.text


def test_exports_and_uploads_look_at_names_first(tmp_path):
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(OutputError, match="model.json exists: choose another name"):
        export_run(tmp_path / "no run", tmp_path, weights="best")
    for repo in ("name", "a/b/c", "user/na me", "", "/x"):
        with pytest.raises(SpecError, match="written 'user/name'"):
            upload_model(tmp_path / "no model", repo)


@pytest.mark.parametrize("what", ["", "no/such/folder", __file__])
def test_labelled_pictures_are_looked_for_before_a_model_is_loaded(what):
    with pytest.raises(BltvsError, match="labelled pictures are 'shapes'"):
        check_source(what)
