"""Hooks attach to taps, see every state once, and always detach."""

from __future__ import annotations

import pytest
import torch

from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import hooked, select_states
from bltvs_neuro.extraction import record_tensors as record
from bltvs_neuro.features.select import Select
from bltvs_neuro.model import State

IMAGES = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def n_hooks(model) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_each_state_is_received_once(model):
    seen = []
    states = select_states(model)
    with torch.no_grad(), hooked(model, states, lambda state, _: seen.append(state)):
        model.run(IMAGES)
    assert sorted(seen) == sorted(states)
    assert len(seen) == len(set(seen))


def test_hooks_go_even_when_something_fails(model):
    with pytest.raises(RuntimeError, match="mine"), hooked(model, select_states(model, "V1"), lambda *_: None):
        raise RuntimeError("mine")
    with pytest.raises(SpecError, match="images must be"):
        record(model, IMAGES[:, :2])
    assert n_hooks(model) == 0


def test_a_hook_of_one_s_own_on_a_tap_found_by_name(model):
    got = {}
    tap = model.get_submodule(model.tap_name("V4/td", 4))
    handle = tap.register_forward_hook(lambda module, inputs, output: got.update(value=output))
    with torch.no_grad():
        logits = model(IMAGES)
    handle.remove()
    assert torch.equal(got["value"], record(model, IMAGES, Select("V4", streams="td", timesteps=4))["V4", "td", 4])
    assert len(logits) == 1


def test_what_a_hook_returns_is_what_the_network_goes_on_with(model):
    before = record(model, IMAGES, Select("V4", streams="bu", timesteps=4))["V4", "bu", 4]
    handle = model.tap(State("V1", "bu", 3)).register_forward_hook(
        lambda module, inputs, output: torch.zeros_like(output)
    )
    after = record(model, IMAGES, Select("V4", streams="bu", timesteps=4))["V4", "bu", 4]
    handle.remove()
    assert not torch.equal(before, after)
    assert torch.equal(before, record(model, IMAGES, Select("V4", streams="bu", timesteps=4))["V4", "bu", 4])


def test_what_has_not_been_reached_is_absent(model):
    assert set(record(model, IMAGES, Select("V1:V4", timesteps="0:3"))) == {("V1", "bu", 2), ("V1", "td", 2)}
    assert set(record(model, IMAGES, "Readout")) == {("Readout", "bu", 4), ("Readout", "td", 4)}
    assert record(model, IMAGES, "Readout/bu")["Readout", "bu", 4].shape == (1, 7)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Select("V7"), r"unknown area 'V7'.*Retina, LGN, V1"),
        (Select("LOC:V1"), "runs backwards"),
        (Select(streams="up"), "unknown stream 'up'"),
        (Select(timesteps="0:9"), "not a range within 0:5"),
        (Select(timesteps=5), "timestep 5 does not exist; this model has timesteps 0 to 4"),
        (Select(timesteps="x"), "timesteps are written"),
    ],
)
def test_errors(model, choice, message):
    with pytest.raises(SpecError, match=message):
        record(model, IMAGES, choice)
