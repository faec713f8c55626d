"""What the words for devices mean on machines with and without GPUs, without any GPU here."""

from __future__ import annotations

import pytest
import torch

from bltvs_neuro import devices, load_model
from bltvs_neuro.devices import pick_device, pick_devices, pick_float64_device
from bltvs_neuro.encoding.solvers.backend import Backend
from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction.precision import warn_if_slow
from bltvs_neuro.training.running.processes import joined
from tests.running import bltvs as run_bltvs


@pytest.fixture
def machine(monkeypatch):
    """Pretend that there are so many GPUs."""

    def with_gpus(count: int) -> None:
        empty = torch.empty
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch, "empty", lambda *size, device=None, **rest: empty(*size, **rest))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return with_gpus


@pytest.mark.parametrize(
    ("gpus", "name", "expected"),
    [
        (0, "auto", ["cpu"]), (0, "cpu", ["cpu"]), (1, "auto", ["cuda"]), (1, "all", ["cuda:0"]),
        (2, "all", ["cuda:0", "cuda:1"]), (2, "cuda:1", ["cuda:1"]), (2, "cuda:0, cuda:1", ["cuda:0", "cuda:1"]),
        (0, "cpu,cpu", ["cpu", "cpu"]), (2, torch.device("cuda", 1), ["cuda:1"]),
    ],
)  # fmt: skip
def test_what_names_mean(machine, gpus, name, expected):
    machine(gpus)
    assert [str(device) for device in pick_devices(name)] == expected
    if len(expected) == 1:
        assert str(pick_device(name)) == expected[0]


@pytest.mark.parametrize(
    ("gpus", "name", "message"),
    [
        (0, "gpu", r"unknown device 'gpu' .*; valid: auto, cpu$"),
        (2, "gpu", r"unknown device 'gpu'.*; valid: auto, cpu, cuda, cuda:0, cuda:1$"),
        (0, "cuda", r"device 'cuda' is not here: torch sees no GPU; valid: auto, cpu$"),
        (2, "cuda:2", r"unknown device 'cuda:2' .*valid: auto, cpu, cuda, cuda:0, cuda:1$"),
        (0, "all", r"device='all' means every GPU, and none is here; valid: auto, cpu$"),
        (
            2,
            "all",
            r"device='all' names 2 devices, and one computes here; choose one of auto, cpu, cuda, cuda:0, cuda:1$",
        ),
        (2, "cuda:0,cuda:1", r"device='cuda:0,cuda:1' names 2 devices"),
        (0, "mps", r"unknown device 'mps'"),
        (0, "meta", r"unknown device 'meta'"),
        (0, "", r"unknown device ''"),
    ],
)
def test_names_that_mean_nothing_here(machine, gpus, name, message):
    machine(gpus)
    with pytest.raises(SpecError, match=message):
        pick_device(name)


def test_sums_in_float64_are_refused_where_there_is_none(machine, monkeypatch):
    machine(0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert str(pick_device("mps")) == "mps"
    with pytest.raises(SpecError, match="device='mps' has no float64"):
        pick_float64_device("mps")


def test_python_says_it_before_any_work(machine):
    machine(2)
    with pytest.raises(SpecError, match="names 2 devices"):
        load_model("nothing of this name", device="all")
    with pytest.raises(SpecError, match="names 2 devices"):
        Backend("all")
    with pytest.raises(SpecError, match="run.device: .*names 2 devices"), joined("all"):
        pass


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "no/such/folder"], ["models", "--measure"], ["evaluate", "no/such/folder"],
        ["drive", "V4/bu", "-o", "x", "--timesteps", "3", "--channels", "0"],
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("device", "message"), [("all", "--device all names 2 devices"), ("gpu", "unknown device 'gpu'")]
)
def test_commands_say_it_before_any_work(machine, command, device, message):
    """`--device all` with two GPUs was a traceback of four commands."""
    machine(2)
    result = run_bltvs(*command, "--device", device)
    assert result.exit_code == 1, result.output
    assert message in " ".join(result.stderr.split()), result.output


def test_extract_and_encode_check_the_device_first(machine):
    machine(0)
    for command in (["extract", "none/", "-o", "x.h5"], ["encode", "none.h5", "--neural", "none"], ["demo"]):
        result = run_bltvs(*command, "--device", "gpu")
        assert result.exit_code == 1
        assert "unknown device 'gpu'" in result.stderr


@pytest.mark.parametrize(("half", "said"), [(0.75, True), (0.05, False)])
def test_a_half_precision_that_is_slower_is_said_with_numbers(monkeypatch, caplog, half, said):
    monkeypatch.setattr(devices, "half_seconds", lambda kind, name: (half, 0.07))
    caplog.set_level("WARNING", "bltvs_neuro")
    warn_if_slow(torch.device("cpu"), "bfloat16")
    text = "bfloat16 is 10.7 times slower than float32 on this CPU (7.5e+02 against 70 ms for a convolution)"
    assert (text in caplog.text) is said
    assert ("precision='fast' is the faster choice" in caplog.text) is said


def test_float32_and_fast_are_never_measured(monkeypatch):
    monkeypatch.setattr(devices, "half_seconds", lambda *_: 1 / 0)
    for name in ("float32", "fast"):
        warn_if_slow(torch.device("cpu"), name)


def test_half_precisions_are_measured_once():
    first = devices.half_seconds("cpu", "bfloat16")
    assert min(first) > 0
    assert devices.half_seconds("cpu", "bfloat16") is first
