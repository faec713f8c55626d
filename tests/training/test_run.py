"""Runs that are killed, interrupted, resumed and shared by processes: the numbers are those of one that was left alone."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from bltvs_neuro import load_model
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.model.released.weights import weights_sha256
from bltvs_neuro.training.config import make_config
from bltvs_neuro.training.optimisation.loss import Criterion
from bltvs_neuro.training.release.export import export_run
from bltvs_neuro.training.running import loop
from bltvs_neuro.training.running.loop import train

from .made import tiny, toml

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def log_of(folder) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def state_of(folder) -> dict:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tiny run, never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(make_config(tiny()), folder)
    yield folder
    torch.set_num_threads(threads)


def test_a_killed_run_resumes_to_identical_weights(whole, tmp_path):
    folder = tmp_path / "run"
    (tmp_path / "tiny.toml").write_text(toml(tiny(run={"save_minutes": 0.0})))
    command = [sys.executable, "-m", "bltvs_neuro", "train", str(tmp_path / "tiny.toml"), "-o", str(folder)]
    process = subprocess.Popen(command, env=ONE_THREAD, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not (folder / "checkpoint.pt").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    killed_after = state_of(folder)["step"]
    assert killed_after % 20, "the last checkpoint should be from the middle of an epoch"

    train(make_config(tiny(run={"save_minutes": 0.0})), folder)
    assert same(state_of(folder)["model"], state_of(whole)["model"])
    assert same(state_of(folder)["optimizer"], state_of(whole)["optimizer"])
    assert log_of(folder) == log_of(whole)
    assert weights_sha256(load_model(folder / "model")) == weights_sha256(load_model(whole / "model"))


def test_two_processes_have_the_loss_curve_of_one(tmp_path):
    few = dict(run={"epoch_size": 8, "epochs": 3})
    (tmp_path / "tiny.toml").write_text(toml(tiny(**few)))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "bltvs_neuro",
        "train", str(tmp_path / "tiny.toml"), "-o", str(tmp_path / "two"),
    ]  # fmt: skip
    done = subprocess.run(command, env=ONE_THREAD, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    train(make_config(tiny(**few)), tmp_path / "one")
    one, two = log_of(tmp_path / "one"), log_of(tmp_path / "two")
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        for key in ("train_loss", "val_loss"):
            assert float(b[key]) == pytest.approx(float(a[key]), rel=2e-5), key
        assert a["step"] == b["step"]
    assert len({row["train_loss"] for row in one}) == 3  # the weights changed


def test_a_signal_ends_the_command_while_the_run_is_made(tmp_path, monkeypatch):
    def build(*_):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on")

    monkeypatch.setattr(loop, "build_model", build)
    with pytest.raises(KeyboardInterrupt):
        train(make_config(tiny()), tmp_path)


def test_ctrl_c_leaves_a_checkpoint_from_which_it_goes_on(whole, tmp_path):
    config = make_config(tiny())

    def press(done) -> None:
        if done.epoch == 2 and done.row is None and done.step == 10:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, progress=press)
    assert signal.getsignal(signal.SIGINT) is before
    assert 20 < state_of(tmp_path)["step"] <= 40
    export_run(tmp_path, tmp_path / "so-far", weights="best")
    assert load_model(tmp_path / "so-far").provenance["about"]["training"]["epochs"] == 1
    train(config, tmp_path)
    assert same(state_of(tmp_path)["model"], state_of(whole)["model"])
    assert log_of(tmp_path) == log_of(whole)


def test_what_a_run_leaves(whole):
    model = load_model(whole / "model")
    said = model.provenance["about"]["training"]
    assert (said["epochs"], said["images"]) == (2, 160)
    assert said["config"] == json.loads((whole / "config.json").read_text())
    assert list(model.checkpoint.accuracies) == said["test"]["top1"]
    assert {path.name for path in (whole / "evaluation").iterdir()} == {
        "accuracy.csv", "accuracy.png", "confusion.csv", "evaluation.json", "evaluation.nc", "pictures.csv",
    }  # fmt: skip
    rows = log_of(whole)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([1e-5, 1e-3])
    # the schedule of sweeps does not use the skip from V4 to V1: its weights are those they began with
    state, fresh = model.state_dict(), load_model(whole / "model", weights="untrained", seed=0).state_dict()
    unused = [key for key in state if torch.equal(state[key], fresh[key])]
    assert "connections.V1.skip_td_depthwise.weight" in unused
    assert "connections.V1.bu_conv.weight" not in unused


def test_resuming_another_run_is_refused(whole, tmp_path):
    with pytest.raises(SpecError, match=r"seed was 0 and is 1, optimizer\.clip was 0\.1 and is 0\.2"):
        train(make_config(tiny(seed=1, optimizer={"clip": 0.2})), whole)
    with pytest.raises(DataError, match="a run that `bltvs train` has begun"):
        export_run(tmp_path, tmp_path / "x", weights="best")
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match="is no checkpoint that can be read"):
        train(make_config(tiny()), tmp_path)


def test_more_epochs_go_on_from_the_end(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    train(make_config(tiny(run={"epochs": 3})), folder)
    assert log_of(folder)[:2] == log_of(whole)
    assert len(log_of(folder)) == 3


def test_a_run_starts_from_the_weights_of_another(whole, tmp_path):
    run = {"epochs": 1, "epoch_size": 4, "start_from": str(whole / "model")}
    config = make_config(tiny(model={"timesteps": 1}, run=run, optimizer={"learning_rate": 1e-12}))
    model = load_model(train(config, tmp_path))
    for key, value in load_model(whole / "model").state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value, rtol=0, atol=1e-8)
    assert model.provenance["about"]["training"]["started_from"]["model"] == "tiny"


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path, monkeypatch):
    total = Criterion.total
    monkeypatch.setattr(Criterion, "total", lambda self, outputs, labels: total(self, outputs, labels) * torch.nan)
    with pytest.raises(DataError, match="the loss is not finite at step 10"):
        train(make_config(tiny()), tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()
