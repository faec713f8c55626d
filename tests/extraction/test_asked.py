"""What is asked for is recorded or refused with the reason, before anything is read."""

from __future__ import annotations

import logging

import pytest
import torch
from PIL import Image
from torch import nn

import bltvs_neuro as bn
from bltvs_neuro import devices
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.extraction import record_tensors, select_states
from bltvs_neuro.features.select import Select
from bltvs_neuro.model.others.wrapped import Wrapped
from bltvs_neuro.model.released import checkpoints
from bltvs_neuro.model.transform import symmetric
from bltvs_neuro.rsa.rdms.jobs import jobs_of_store
from bltvs_neuro.schema import spelled_out
from tests.running import bltvs as run_bltvs

from ..encoding.reference import make_store


@pytest.fixture(scope="module")
def small() -> nn.Module:
    torch.manual_seed(0)
    stages = [("conv", nn.Conv2d(3, 4, 3, padding=1)), ("pool", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten())]
    network = nn.Sequential()
    for name, module in [*stages, ("hidden", nn.Linear(4, 6)), ("fc", nn.Linear(6, 5))]:
        network.add_module(name, module)
    return network


def test_every_layer_that_was_named_is_an_area_and_recorded(small):
    """`layer1,fc` recorded `layer1` alone, because a vector is no map."""
    model = Wrapped(small, ["conv", "fc"], symmetric(32))
    assert {s.area for s in select_states(model, model.usual_areas)} == {"conv", "fc"}
    recorded = record_tensors(model, torch.zeros(1, 3, 32, 32), model.usual_areas)
    assert recorded["fc", "bu", 0].shape == (1, 5)
    only = Wrapped(small, "hidden, fc", symmetric(32))
    assert {s.area for s in select_states(only, only.usual_areas)} == {"hidden", "fc"}


def test_layers_that_nobody_named_end_with_the_last_map(small):
    model = Wrapped(small, None, symmetric(32))
    assert model.usual_areas == "conv:conv"
    assert bn.load_model("resnet50", "untrained", image_size=64).usual_areas == "maxpool:layer4"
    named = bn.load_model("resnet50", "untrained", image_size=64, layers=["layer1", "avgpool"])
    assert named.usual_areas == "layer1:avgpool"


@pytest.mark.parametrize("layers", [["conv", "conv"], ["conv", "logits"], []])
def test_layers_that_cannot_be(small, layers):
    with pytest.raises(SpecError, match="layers are named once each, without 'logits'|unknown layer 'logits'"):
        Wrapped(small, layers, symmetric(32))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            Select("V1,Readout", timesteps="0:3"),
            "'Readout' is not active at timesteps 0, 1, 2; active are Readout/bu at 4",
        ),
        (Select(["V1", "V4"], timesteps=2), "'V4' is not active at timesteps 2"),
        (Select("V4", timesteps="0,4"), "nothing that was chosen has timestep 0"),
        (Select("V4", timesteps=[1, 4]), "nothing that was chosen has timestep 1"),
    ],
)
def test_a_name_that_activity_does_not_reach_is_refused(model, choice, message):
    with pytest.raises(SpecError, match=message):
        select_states(model, choice)


def test_what_a_range_does_not_reach_is_said(model, caplog):
    caplog.set_level(logging.WARNING, "bltvs_neuro")
    assert {s.area for s in select_states(model, Select("V1:LOC", streams="bu", timesteps="0:3"))} == {"V1"}
    assert "no activity reaches V2, V3, V4, LOC, so that they are not recorded" in caplog.text
    caplog.clear()
    assert {(s.area, s.timestep) for s in select_states(model, Select("V1,V4", streams="bu", timesteps="2,3"))} == {
        ("V1", 2),
        ("V1", 3),
        ("V4", 3),
    }
    assert "no activity reaches V4/bu@2" in caplog.text
    caplog.clear()
    select_states(model, Select("V1:V4", streams="bu", timesteps="0:5"))
    assert not caplog.text


def test_repeated_names_count_once(model):
    assert select_states(model, Select("V1,V1", streams="bu,bu", timesteps="2,2")) == select_states(
        model, Select("V1", streams="bu", timesteps=2)
    )


def test_what_counts_as_named():
    assert spelled_out("V1, V1,V2:V4,all") == ("V1",)
    assert spelled_out(3) == ("3",) and spelled_out(slice(0, 3)) == spelled_out(None) == ()


def test_rsa_computes_what_was_named_or_refuses():
    acts = make_store(12, p=12)
    with pytest.raises(SpecError, match="timestep 7 does not exist"):
        jobs_of_store(acts, "all@7", None)
    sites = {name: acts[name] for name in ("V4/bu", "V4/td")}
    with pytest.raises(SpecError, match="nothing that was chosen has timestep 0"):
        jobs_of_store(sites, Select(timesteps="0,1"), None)
    with pytest.raises(DataError, match="V1: both streams are needed side by side; chosen are V1/bu"):
        jobs_of_store(acts, ["V1/bu", "V4/bu", "V4/td"], "concat_streams")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lesion", "td:LOC->V9"], "unknown connection 'td:LOC->V9'"),
        (["--lesion", "V4/td=wobble"], "unknown action 'wobble'"),
        (["--areas", "V9"], "unknown area 'V9'"),
        (["--areas", "V1,Readout", "--timesteps", "0:3"], "'Readout' is not active at timesteps 0, 1, 2"),
        (["--reduce", "squash:3"], "unknown reduction 'squash'"),
        (["--shard", "3"], "a shard is written"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--model", "torchvision:resnet18", "--layers", "layer9"], "unknown layer 'layer9'"),
    ],
)
def test_choices_are_checked_before_weights_are_fetched(tmp_path, monkeypatch, options, said):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "a.png")
    for module, name in ((checkpoints, "fetch_weights"), (bn.model.released.fetched, "fetch_url")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("weights were fetched"))
    result = run_bltvs("extract", str(tmp_path / "images"), "-o", str(tmp_path / "a.h5"), *options)
    assert result.exit_code == 1, result.output
    assert said in " ".join(result.stderr.split()), result.stderr


def test_plan_says_that_a_precision_is_slow(tmp_path, monkeypatch):
    Image.new("RGB", (128, 128)).save(tmp_path / "a.png")
    monkeypatch.setattr(devices, "half_seconds", lambda *_: (0.75, 0.07))
    command = [
        "extract",
        str(tmp_path),
        "-o",
        str(tmp_path / "a.h5"),
        "--model",
        "shapes",
        "--reduce",
        "mean",
        "--precision",
    ]
    result = run_bltvs(*command, "bfloat16", "--plan", columns=300)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert (
        "bfloat16 is 10.7 times slower than float32 on this CPU" in said
        and "--precision fast is the faster choice" in said
    )
