"""The command line: the main job, errors as one sentence, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import bltvs_neuro as bn
from bltvs_neuro import open_store
from bltvs_neuro.store import describe, verify

ROOT_COMMAND = [sys.executable, "-c", "from bltvs_neuro.cli import main; main()"]
MODEL = ["--weights", "untrained", "--image-size", "128", "--areas", "V1", "--timesteps", "2", "--reduce", "mean"]


def bltvs(*arguments, **environment) -> subprocess.CompletedProcess:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", **environment}
    return subprocess.run([*ROOT_COMMAND, *map(str, arguments)], capture_output=True, text=True, env=env)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in (1, 2, 10):
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(folder / f"im.{i}.png")
    return folder


def test_extract_info_verify(folder, tmp_path):
    store = tmp_path / "acts.h5"
    done = bltvs("extract", folder, "-o", store, *MODEL)
    assert done.returncode == 0, done.stderr
    described = bltvs("info", store)
    assert "finished" in described.stdout
    assert "untrained" in described.stdout
    assert "V1/bu" in described.stdout
    assert "--x---" in described.stdout
    assert "is sound: 3 stimuli" in bltvs("verify", store).stdout
    data = bytearray(store.read_bytes())
    data[len(data) // 2] ^= 1
    store.write_bytes(data)
    damaged = bltvs("verify", store)
    assert damaged.returncode == 1
    assert "is damaged" in damaged.stdout


def test_lesions_are_recorded_and_another_one_is_refused(folder, tmp_path):
    command = ["extract", folder, "-o", tmp_path / "acts.h5", *MODEL]
    lesions = ["--lesion", "bu:LGN->V1@2:=0.5", "--lesion", "V1/td=noise(0.5,seed=3)"]
    assert in_process(*command, *lesions) == ""
    with bn.open_store(tmp_path / "acts.h5") as store:
        assert store.provenance["lesions"][1] == {
            "on": ["V1/td"], "timesteps": list(range(12)), "action": "noise", "sd": 0.5, "seed": 3,
        }  # fmt: skip
    described = bltvs("info", tmp_path / "acts.h5").stdout
    assert "bu:LGN->V1 at timesteps 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: scale strength 0.5" in described
    assert "V1/td at timesteps" in described
    assert "noise sd 0.5, seed 3" in described
    for other in ([], ["--lesion", "bu:LGN->V1@2:=0.25", *lesions[2:]]):
        assert "lesions is" in in_process(*command, *other)
    assert "did you mean 'td:LOC->V4'" in in_process(*command, "--lesion", "td:LOC->V3")


def in_process(*arguments) -> str:
    """Run a command without a process of its own; returns the error's sentence, or nothing."""

    from tests.running import bltvs as run_bltvs

    result = run_bltvs(*arguments)
    return " ".join(result.stderr.split()) if result.exit_code else ""


def test_decode_and_drive(tmp_path):
    model = bn.BLT_VS(timesteps=2, num_classes=5, bio_unroll=False, image_size=128, width=0.1).eval()
    stimuli = bn.StimulusSet.synthetic(16, size=64)
    store, wanted = tmp_path / "acts.h5", [tmp_path / name for name in ("d.csv", "t.png", "m.png")]
    bn.extract(model, stimuli, store, "V1", reduce="mean")
    folds = min(stimuli.metadata["category"].value_counts())
    options = ["--labels", "category", "--folds", folds, "--classifier", "ridge"]
    said = in_process("decode", store, *options, "-o", wanted[0], "--figure", wanted[1], "--matrices", wanted[2])
    assert said == ""
    assert all(path.stat().st_size > 100 for path in wanted)
    assert "did you mean 'category'" in in_process("decode", store, "--labels", "catgory")
    assert "unknown ending of results '.txt'" in in_process("decode", store, *options, "-o", tmp_path / "d.txt")
    command = [
        "drive",
        "LGN/bu",
        "-o",
        tmp_path / "driven",
        "--timesteps",
        "1",
        "--steps",
        "1",
        "--weights",
        "untrained",
    ]
    command += ["--image-size", "128"]
    assert in_process(*command, "--channels", "0,3") == ""
    assert sorted(path.name for path in (tmp_path / "driven").iterdir()) == [
        "LGN_bu_t1.nc", "LGN_bu_t1_c0.png", "LGN_bu_t1_c3.png", "figure.png",
    ]  # fmt: skip
    assert "channels are written '0,7,20'" in in_process(*command, "--channels", "x")


def test_plan(folder, tmp_path):
    planned = bltvs("extract", folder, "-o", tmp_path / "acts.h5", *MODEL, "--plan", "--precision", "fast")
    assert planned.returncode == 0, planned.stderr
    assert "hours" in planned.stdout
    assert not (tmp_path / "acts.h5").exists()


def test_a_disk_that_is_too_small_is_planned_for_and_refused(folder, tmp_path, monkeypatch):
    """Full maps of V1 do not fit, means do; --plan says so, and the run ends before it starts."""

    from bltvs_neuro.extraction import plan
    from tests.running import bltvs as run_bltvs

    monkeypatch.setattr(plan, "free_bytes", lambda path: 90_000)
    command = ["extract", str(folder), "-o", str(tmp_path / "acts.h5"), *MODEL[:-2]]
    planned = run_bltvs(*command, "--plan")
    assert planned.exit_code == 1
    rows = {line.split()[0]: line.split() for line in planned.stdout.splitlines() if line.strip()}
    assert ("no" in rows["project:2048"], "yes" in rows["mean"]) == (True, True)
    assert "free; reductions that would fit: mean" in " ".join(planned.output.split())
    refused = run_bltvs(*command)
    assert refused.exit_code == 1
    assert "reductions that would fit" in refused.output
    assert "mean" in refused.output
    assert not (tmp_path / "acts.h5").exists()


def test_ctrl_c_leaves_a_store_that_the_same_command_finishes(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(400):
        Image.new("RGB", (16, 16), (i % 256, i // 256, 0)).save(pictures / f"{i}.bmp")
    store = tmp_path / "acts.h5"
    command = [*ROOT_COMMAND, "extract", str(pictures), "-o", str(store), *MODEL]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("acts.h5.parts/part-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the decoding processes as well
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "interrupted; what was finished is kept: the same command goes on from there" in " ".join(said.split())
    assert "Traceback" not in said
    described = describe(store)
    assert not described["finished"]
    assert 256 <= described["n_stimuli"] < 400
    assert not list(tmp_path.glob("acts.h5.parts/.*.tmp"))
    assert bltvs(*command[3:]).returncode == 0
    assert describe(store)["n_stimuli"] == 400
    assert verify(store).ok


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["extract", "nowhere", "-o", "x.h5", *MODEL], "nowhere"),
        (["extract", "{folder}", "-o", "{tmp}/x.h5", *MODEL, "--areas", "V7"], "unknown area 'V7'"),
        (["extract", "{folder}", "-o", "{tmp}/x.h5", "--model", "ecosett"], "did you mean 'ecoset'"),
        (["extract", "{folder}", "-o", "{tmp}/x.h5", "--weights", "w.pth"], "--weights w.pth: there is no file w.pth"),
        (["models", "b_vss"], "did you mean 'b_vs'"),
        (["info", "{tmp}/nothing.h5"], "there is no store"),
    ],
)
def test_errors_are_one_sentence(folder, tmp_path, arguments, said):
    filled = [str(a).format(folder=folder, tmp=tmp_path) for a in arguments]
    failed = bltvs(*filled)
    assert failed.returncode == 1
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "Traceback" in bltvs("--debug", *filled).stderr


def test_pretrained_weights_that_cannot_be_had_are_an_error_never_random(folder, tmp_path):
    failed = bltvs(
        "extract", folder, "-o", tmp_path / "x.h5", HF_HOME=str(tmp_path), BLTVS_DATA="", XDG_CACHE_HOME=str(tmp_path)
    )
    assert failed.returncode == 1
    assert "blt_vs_slt_111_biounroll_1_t_12_readout_multi_dataset_ecoset_num_1.pth" in failed.stderr
    assert "--weights PATH" in failed.stderr
    assert not (tmp_path / "x.h5").exists()


def test_help_and_models():
    assert "Read every byte" in bltvs("verify", "--help").stdout
    table = bltvs("models").stdout
    assert "34,989,732" in table
    assert "27,332,427" in table
    assert "cornet_s" in table
    assert "111.1" in table  # pixels that LOC needs


def test_models_are_measured(tmp_path):
    done = bltvs("models", "--measure", "b_vs", "--csv", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5.144e+09" in done.stdout
    assert "untrained weights (seed 0)" in done.stdout
    counts, fields = ((tmp_path / f"{name}.csv").read_text().splitlines() for name in ("counts", "fields"))
    assert counts[1].startswith("b_vs,565,11618111,5144418272,")
    assert fields[1].startswith("b_vs,Retina,0,112,7.0,")
    assert len(fields) == 1 + 7


def test_extract_from_another_network(folder, tmp_path):
    store = tmp_path / "acts.h5"
    options = ["--weights", "untrained", "--image-size", "64", "--reduce", "mean"]
    chosen = ["--model", "torchvision:resnet18", "--layers", "layer1, layer2.0"]
    done = bltvs("extract", folder, "-o", store, *chosen, *options)
    assert done.returncode == 0, done.stderr
    with open_store(store) as acts:
        assert list(acts) == ["layer1/bu", "layer2.0/bu"]
        assert acts.provenance["model"] == "torchvision:resnet18"


def test_classify_says_that_untrained_weights_mean_nothing(folder, tmp_path):
    done = bltvs(
        "classify",
        folder / "im.1.png",
        "--model",
        "imagenet",
        "--weights",
        "untrained",
        "--image-size",
        "128",
        "--csv",
        tmp_path / "t.csv",
    )
    assert done.returncode == 0, done.stderr
    assert "mean nothing" in done.stderr
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 1 + 6 * 5
    assert json.dumps("im.1.png")[1:-1] in (tmp_path / "t.csv").read_text()
