"""Jobs of a job array each write a share; together they are the store that one machine writes, bit for bit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import bltvs_neuro as bn
from bltvs_neuro.errors import SpecError, StoreError
from bltvs_neuro.extraction.options import ExtractRun
from bltvs_neuro.store import Shard, describe, join_store, open_writer, verify
from bltvs_neuro.store.parts.shards import block_for

from ..store import made

CHOICE = dict(sites="V1:V2", reduce="pool:2")
N = 44

PROGRAM = """
import sys
from pathlib import Path
from bltvs_neuro.errors import BltvsError
from bltvs_neuro.store import Shard
from tests.store import made
spec = made.spec()
from dataclasses import replace
shard = Shard.parse(sys.argv[2])
from bltvs_neuro.store import open_writer
import numpy as np
try:
    with open_writer(Path(sys.argv[1]), replace(spec, shards=shard.count), share=shard) as writer:
        print("open", flush=True)
        for block in writer.pending():
            with writer.part(block) as part:
                for layout in spec.sites:
                    for t in layout.timesteps:
                        rows = range(block.start, block.stop)
                        values = [made.values(layout.site, t, r, layout.shape) for r in rows]
                        part.write(layout.site, t, np.stack(values))
                part.stimuli([spec.stimulus_ids[r] for r in rows], [f"{r:064x}" for r in rows])
            if sys.argv[3] == "hold":
                print("held", flush=True)
                sys.stdin.read()
        if not writer.missing_shards():
            writer.finish()
except BltvsError as error:
    sys.exit(str(error))
"""
ROOT = Path(__file__).parents[2]


def job(path: Path, shard: str, how: str = "run") -> subprocess.Popen:
    """A job of an array; with "hold" it stops after its first part."""
    command = [sys.executable, "-c", PROGRAM, str(path), shard, how]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def arrays(path) -> dict[str, bytes]:
    with bn.open_store(path) as store:
        return {site: store[site].values.tobytes() for site in store}


def test_shards_of_an_extraction_are_one_machine_s_store(model, stimuli, tmp_path):
    whole = bn.extract(model, stimuli, tmp_path / "whole.h5", **CHOICE)
    path = tmp_path / "acts.h5"
    for shard in ("3/3", "1/3"):
        assert bn.extract(model, stimuli, path, run=ExtractRun(shard=shard), **CHOICE) == path
        assert not path.exists()
    with pytest.raises(StoreError, match=r"12 of 20 stimuli are done, shard 2/3 not; run the same"):
        bn.open_store(path)
    with pytest.raises(StoreError, match=r"shard 2/3: 1 of 3 blocks of .* are not written yet"):
        join_store(path)
    assert describe(path)["missing_shards"] == ["2/3"]
    bn.extract(model, stimuli, path, run=ExtractRun(shard="2/3"), **CHOICE)
    assert verify(path).ok
    with bn.open_store(whole) as a, bn.open_store(path) as b:
        assert list(a) == list(b)
        for site in a:
            assert a[site].identical(b[site])
        assert a.stimuli.equals(b.stimuli)
        volatile = {"created"}
        assert {k: v for k, v in a.provenance.items() if k not in volatile} == {
            k: v for k, v in b.provenance.items() if k not in volatile
        }
    assert not Path(f"{path}.parts").exists()


def test_shards_of_machines_that_share_no_disk(model, stimuli, tmp_path):
    whole = bn.extract(model, stimuli, tmp_path / "whole.h5", **CHOICE)
    folders = []
    for number in (1, 2):
        home = tmp_path / f"machine{number}"
        home.mkdir()
        bn.extract(model, stimuli, home / "acts.h5", run=ExtractRun(shard=f"{number}/2"), **CHOICE)
        folders.append(home / "acts.h5.parts")
    for file in folders[1].iterdir():
        if file.name != "lock":
            shutil.copy(file, folders[0])
    path = join_store(tmp_path / "machine1" / "acts.h5", join="virtual")
    assert arrays(path) == arrays(whole)
    assert join_store(path) == path
    with bn.open_store(path) as store:
        assert store.provenance["device"] and store.provenance["versions"]["torch"]


def test_what_differs_between_machines_is_recorded(tmp_path):
    path = tmp_path / "acts.h5"
    for number, device in ((1, "A"), (2, "B")):
        spec = made.spec()
        half = range(3 * number - 3, 3 * number)
        with open_writer(path, spec, share=half) as writer:
            writer.attributes = {"device": device, "torch_threads": 1}
            for block in writer.pending():
                with writer.part(block) as part:
                    for layout in spec.sites:
                        for t in layout.timesteps:
                            part.write(layout.site, t, np.zeros((block.stop - block.start, *layout.shape), np.float32))
                    rows = range(block.start, block.stop)
                    part.stimuli([spec.stimulus_ids[r] for r in rows], ["0" * 64] * len(rows))
    with bn.open_store(join_store(path)) as store:
        assert store.provenance["parts_differ"] == {"device": ["A", "B"]}
        assert store.provenance["torch_threads"] == 1


def test_a_second_job_with_the_same_shard_is_refused_and_a_killed_one_goes_on(tmp_path):
    path = tmp_path / "acts.h5"
    first = job(path, "1/2", "hold")
    assert [first.stdout.readline() for _ in range(2)] == ["open\n", "held\n"]
    second = job(path, "1/2")
    assert "another process is writing shard 1/2 of" in second.communicate(timeout=60)[1]
    assert second.returncode == 1
    other = job(path, "2/2")
    assert other.communicate(timeout=60)[1] == ""
    with pytest.raises(StoreError, match="another process is writing"):
        join_store(path)
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(timeout=30) == -signal.SIGKILL
    first.communicate()
    assert not path.exists()
    assert len(list(Path(f"{path}.parts").glob("part-*"))) == 4  # 1 of 3, and the other shard's 3
    third = job(path, "1/2")
    assert third.communicate(timeout=60)[1] == ""
    assert verify(path).ok
    assert arrays(path) == {site: made.expected(made.spec(), site).tobytes() for site in ("V1/bu", "V4/td")}


def test_all_shards_at_once(tmp_path):
    path = tmp_path / "acts.h5"
    jobs = [job(path, f"{i}/3") for i in (1, 2, 3)]
    assert [j.communicate(timeout=60)[1] for j in jobs] == ["", "", ""]
    assert arrays(path)["V1/bu"] == made.expected(made.spec(), "V1/bu").tobytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["acts.h5"]


def test_shards_that_do_not_fit_are_refused(model, stimuli, tmp_path):
    path = tmp_path / "acts.h5"
    bn.extract(model, stimuli, path, run=ExtractRun(shard="1/2"), **CHOICE)
    with pytest.raises(StoreError, match="is divided into 2 shards, and shard 1/3 was asked for"):
        bn.extract(model, stimuli, path, run=ExtractRun(shard="1/3"), **CHOICE)
    with pytest.raises(StoreError, match="another extraction: .*reduction"):
        bn.extract(model, stimuli, path, "V1:V2", reduce="mean", run=ExtractRun(shard="2/2"))
    with pytest.raises(SpecError, match="one shard cannot start anew"):
        bn.extract(model, stimuli, path, resume=False, run=ExtractRun(shard="1/2"), **CHOICE)
    with pytest.raises(SpecError, match="20 stimuli make 3 blocks of 8, too few for 4 shards"):
        bn.extract(model, stimuli, tmp_path / "other.h5", run=ExtractRun(shard="1/4"), **CHOICE)
    for text, said in (
        ("0/2", "shards count from 1"),
        ("3/2", "there are 1/2 to 2/2"),
        ("2", "written i/n"),
        ("-1/2", "i/n"),
    ):
        with pytest.raises(SpecError, match=said):
            bn.extract(model, stimuli, path, run=ExtractRun(shard=text), **CHOICE)
    with pytest.raises(StoreError, match="there is nothing to join: no"):
        join_store(tmp_path / "nothing.h5")
    # without a shard, one process does what is missing
    bn.extract(model, stimuli, path, **CHOICE)
    assert verify(path).ok


def test_a_run_that_was_not_divided_refuses_shards(tmp_path):
    path = tmp_path / "acts.h5"
    with open_writer(path, made.spec(n=N)):
        pass
    done = job(path, "1/2")
    assert "is not divided into shards, and shard 1/2 was asked for" in done.communicate(timeout=60)[1]


@pytest.mark.parametrize("n", [8, 9, 92, 200, 1000, 73000])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 100])
@pytest.mark.parametrize(("default", "batch"), [(96, 8), (96, 32), (8, 64), (256, 5)])
def test_shares_cover_all_blocks_once_and_are_near_equal(n, count, default, batch):
    if count > -(-n // 8):
        with pytest.raises(SpecError, match="too few for"):
            block_for(n, default, count, batch)
        return
    block = block_for(n, default, count, batch)
    blocks = -(-n // block)
    assert block % 8 == 0 and 8 <= block <= default
    shares = [Shard(i + 1, count).blocks(blocks) for i in range(count)]
    assert [b for share in shares for b in share] == list(range(blocks))
    sizes = [len(share) for share in shares]
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1


def test_several_processes_on_one_machine_are_one_machine_s_store(model, stimuli, tmp_path):
    """What `device="all"` does with a process for each GPU, here with two processes on the CPU."""
    torch.set_num_threads(1)
    whole = bn.extract(model, stimuli, tmp_path / "whole.h5", **CHOICE)
    seen = []
    with bn.show_progress(seen.append):
        path = bn.extract(model, stimuli, tmp_path / "acts.h5", run=ExtractRun(device="cpu,cpu"), **CHOICE)
    assert arrays(path) == arrays(whole)
    assert seen[-1].done == seen[-1].total == 20
    assert bn.extract(model, stimuli, path, run=ExtractRun(device="cpu,cpu"), **CHOICE) == path


@pytest.mark.gpu
def test_one_process_for_each_gpu(model, stimuli, tmp_path):
    whole = bn.extract(model, stimuli, tmp_path / "whole.h5", run=ExtractRun(batch_size=8, device="cuda:0"), **CHOICE)
    path = bn.extract(model, stimuli, tmp_path / "acts.h5", run=ExtractRun(batch_size=8, device="all"), **CHOICE)
    with bn.open_store(whole) as a, bn.open_store(path) as b:
        for site in a:
            np.testing.assert_allclose(a[site].values, b[site].values, atol=1e-4)


def test_all_devices_without_a_gpu_is_an_error(model, stimuli, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SpecError, match="'all' means every GPU, and none is here; valid: auto, cpu"):
        bn.extract(model, stimuli, tmp_path / "acts.h5", run=ExtractRun(device="all"), **CHOICE)
