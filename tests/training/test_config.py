"""Configs: what is read, and what is refused with which words."""

from __future__ import annotations

import pytest

from bltvs_neuro.errors import SpecError
from bltvs_neuro.training.config import make_config, read_config
from bltvs_neuro.training.recipes import RECIPES

from .made import TINY, tiny, toml


def test_a_file_says_the_same_as_its_data(tmp_path):
    (tmp_path / "run.toml").write_text(toml(TINY))
    config = read_config(tmp_path / "run.toml")
    assert config == make_config(TINY)
    assert config == make_config(config.to_json())


@pytest.mark.parametrize("name", ["shapes", "shapes_start", "imagenet", "ecoset"])
def test_the_recipes_are_valid(name):
    config = read_config(RECIPES[name])
    if name in ("imagenet", "ecoset"):  # the original's
        optimizer = config.optimizer
        assert (optimizer.learning_rate, optimizer.warmup_epochs, optimizer.warmup_start) == (1e-3, 5, 0.01)
        assert (optimizer.plateau_epochs, optimizer.plateau_percent, optimizer.plateau_patience) == (5, 1.0, 3)
        assert (optimizer.plateau_factor, optimizer.stop_at, optimizer.label_smoothing) == (0.5, 1e-6, 0.1)
        assert (optimizer.clip, optimizer.class_weights, config.augment.blur) == (0.1, True, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(optimzer={}), r"unknown key in the config 'optimzer' \(did you mean 'optimizer'\?\); valid: name, "),
        (dict(run={"batchsize": 3}), r"unknown key in the table \[run\] 'batchsize' \(did you mean 'batch_size'\?\)"),
        (dict(run={"batch_size": "3"}), "run.batch_size must be of type int; got '3'"),
        (dict(run={"batch_size": 0}), "run.batch_size must be at least 1; got 0"),
        (dict(run={"epochs": True}), "run.epochs must be of type int; got True"),
        (dict(run=3), r"run is a table, \[run\]; got 3"),
        (dict(optimizer={"clip_by": "layer"}), "unknown optimizer.clip_by 'layer'; valid: tensor, unit"),
        (dict(optimizer={"label_smoothing": float("nan")}), "optimizer.label_smoothing must be finite"),
        (dict(optimizer={"learning_rate": 0}), "optimizer.learning_rate must be above 0"),
        (dict(optimizer={"schedule": "cosine"}, run={"epochs": 0}), "'cosine' needs run.epochs"),
        (dict(data={"source": "imagefolder"}), "'imagefolder' needs data.path"),
        (dict(model={"num_classes": 10}), "the data decide it"),
        (dict(seed=2**64), "seed must be at most 4294967295"),
        (dict(data={"seed": 2**64}), "data.seed must be at most"),
        (dict(data={"n_val": 10**12}), "data.n_val must be at most 10000000"),
        (dict(run={"workers": 10**5}), "run.workers must be at most 1024; got 100000"),
        (dict(augment={"flip": 1.5}), "augment.flip must be at most 1; got 1.5"),
        (dict(optimizer={"plateau_factor": 1}), "optimizer.plateau_factor must be below 1; got 1"),
        (dict(optimizer={"stop_at": 10**400}), "optimizer.stop_at must be finite; got 1000"),
        (dict(optimizer={"class_weights": 1}), "optimizer.class_weights must be of type bool; got 1"),
        (dict(run={"device": 0, "wrokers": 2}), r"unknown key in the table \[run\] 'wrokers' \(did you mean 'workers'"),
        (dict(model={1: 2}), "unknown key model 1"),
    ],
)
def test_what_is_refused(change, message):
    with pytest.raises(SpecError, match=message):
        make_config(
            {**tiny(), **change} if not all(key in TINY for key in change) or change.get("run") == 3 else tiny(**change)
        )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "a config is a table; got 3"),
        ({"nmae": "x"}, "unknown key in the config 'nmae' .did you mean 'name'"),
        ({1: "x", "name": "x"}, "unknown key in the config"),
        ({"name": "x", "data": None}, r"data is a table, \[data\]; got None"),
    ],
)
def test_what_is_no_config(data, message):
    with pytest.raises(SpecError, match=message):
        make_config(data)


def test_whole_numbers_are_floats_where_those_are_wanted():
    config = make_config(tiny(optimizer={"clip": 1}))
    assert (config.optimizer.clip, type(config.optimizer.clip)) == (1.0, float)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SpecError, match="there is no file"):
        read_config(tmp_path / "no.toml")
    (tmp_path / "a.toml").write_text("name = ")
    with pytest.raises(SpecError, match="cannot read the config"):
        read_config(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text("seed = 1\n")
    with pytest.raises(SpecError, match=r"b\.toml: the config needs the key 'name'"):
        read_config(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(name="my model"), "name: a model's name has letters, digits.*got 'my model'"),
        (dict(name=""), "name: a model's name has letters"),
        (dict(name="-x"), "a letter or digit first"),
        (dict(model={"architecture": "VGG"}), "unknown model.architecture 'VGG'; valid: BLT_VS"),
        (dict(model={"wings": 2}), "unknown key model 'wings'"),
        (dict(model={"timesteps": True}), "model.timesteps must be of type int; got True"),
        (dict(model={"width": "1"}), "model.width must be of type float; got '1'"),
        (dict(model={"readout_type": "both"}), "unknown model.readout_type 'both'; valid: multi, single"),
    ],
)
def test_what_could_not_be_exported_is_refused_before_training(change, message):
    """The name of the model was looked at when it had been trained."""
    with pytest.raises(SpecError, match=message):
        make_config(tiny(**change))
