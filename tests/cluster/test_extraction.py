"""Extraction by the workers of a Dask cluster: the same store, bit for bit, even when a worker is killed in the middle."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError, StimulusError
from bltvs_neuro.extraction.options import ExtractRun
from bltvs_neuro.store import verify
from tests.running import bltvs as run_bltvs

CHOICE = dict(sites="V1:V2", reduce="pool:2")


def arrays(path) -> dict[str, bytes]:
    with bn.open_store(path) as store:
        return {site: store[site].values.tobytes() for site in store}


def test_a_worker_killed_in_the_middle_of_an_extraction_changes_no_bit(client, model, tmp_path):
    torch.set_num_threads(1)
    stimuli = bn.StimulusSet.synthetic(48, size=64)
    whole = bn.extract(model, stimuli, tmp_path / "whole.h5", **CHOICE)
    path = tmp_path / "acts.h5"
    killed = []
    finished = threading.Event()

    def kill() -> None:
        parts = Path(f"{path}.parts")
        while not finished.is_set():
            done = len(list(parts.glob("part-*")))
            for temporary in parts.glob(".part-*.tmp") if done else ():
                pid = int(temporary.name.split(".h5.")[1].split("-")[0])  # it is at work on this part
                os.kill(pid, signal.SIGKILL)
                killed.append(done)
                return
            time.sleep(0.002)

    killer = threading.Thread(target=kill)
    killer.start()
    seen = []
    try:
        with bn.show_progress(seen.append):
            bn.extract(model, stimuli, path, run=ExtractRun(cluster=client.scheduler.address), **CHOICE)
    finally:
        finished.set()
        killer.join()
    assert killed and killed[0] < 6  # not everything was done
    assert seen[-1].done == 48 and len(seen) == 6
    assert arrays(path) == arrays(whole)
    assert verify(path).ok
    assert [p.name for p in tmp_path.iterdir() if "acts" in p.name] == ["acts.h5"]


def test_an_extraction_s_errors_are_sentences(client, model, tmp_path):
    stimuli = bn.StimulusSet.synthetic(8, size=64)
    with pytest.raises(SpecError, match="either shard= or several devices or a cluster"):
        bn.extract(model, stimuli, tmp_path / "a.h5", run=ExtractRun(cluster=client, shard="1/2"), **CHOICE)
    with pytest.raises(SpecError, match="a cluster is an address such as tcp"):
        bn.extract(model, stimuli, tmp_path / "a.h5", run=ExtractRun(cluster="somewhere"), **CHOICE)
    with pytest.raises(SpecError, match="each worker of a cluster computes on one device; got device='cpu,cpu'"):
        bn.extract(model, stimuli, tmp_path / "a.h5", run=ExtractRun(cluster=client, device="cpu,cpu"), **CHOICE)
    with pytest.raises(SpecError, match=r"the worker tcp://\S+ cannot do this: unknown device 'tpu'"):
        bn.extract(model, stimuli, tmp_path / "a.h5", run=ExtractRun(cluster=client, device="tpu"), **CHOICE)
    assert not list(tmp_path.iterdir())
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"no picture")
    with pytest.raises(StimulusError, match=r"a\.png"):
        bn.extract(model, tmp_path / "pictures", tmp_path / "b.h5", run=ExtractRun(cluster=client), **CHOICE)


def test_the_command_takes_shards_and_a_cluster(client, tmp_path):
    pictures = bn.StimulusSet.synthetic(16, size=64)
    (tmp_path / "stimuli").mkdir()
    from PIL import Image

    for row, name in enumerate(pictures.ids):
        Image.fromarray(pictures.load(row)).save(tmp_path / "stimuli" / f"{Path(name).stem}.png")
    common = ["extract", str(tmp_path / "stimuli"), "--weights", "untrained", "--image-size", "128", "--areas", "V1"]
    common += ["--timesteps", "0:3", "--reduce", "mean"]
    path = tmp_path / "acts.h5"
    first = run_bltvs(*common, "-o", str(path), "--shard", "2/2")
    assert first.exit_code == 0, first.output
    assert "shard 2/2 is done" in first.output
    info = run_bltvs("info", str(path))
    assert "shards not done" in info.output and "1/2" in info.output
    missing = run_bltvs("join", str(path))
    assert missing.exit_code == 1
    second = run_bltvs(*common, "-o", str(path), "--shard", "1/2")
    assert second.exit_code == 0, second.output
    assert run_bltvs("join", str(path)).exit_code == 0
    other = tmp_path / "cluster.h5"
    done = run_bltvs(*common, "-o", str(other), "--cluster", client.scheduler.address)
    assert done.exit_code == 0, done.output
    assert arrays(other) == arrays(path)
