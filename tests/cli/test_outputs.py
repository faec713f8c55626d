"""Every command tries its outputs before it reads or computes anything, and replaces none unasked."""

from __future__ import annotations

import importlib.util
import os

import pytest

from bltvs_neuro.rsa.inference.options import Inference
from tests.running import bltvs as run_bltvs

NOWHERE = "nowhere.h5"
# the command, with {out} for its output and inputs that do not exist: what is told of {out} was found before they were read
COMMANDS: dict[str, tuple[list[str], str]] = {
    "extract": (["extract", "nowhere", "-o", "{out}"], "file"),
    "extract shard": (["extract", "nowhere", "-o", "{out}", "--shard", "1/2"], "file"),
    "rsa": (["rsa", NOWHERE, "--neural", "nowhere.nc", "-o", "{out}"], "rsa.nc"),
    "encode": (["encode", NOWHERE, "--neural", "nowhere.nc", "-o", "{out}"], "result.h5"),
    "report": (["report", NOWHERE, "-o", "{out}"], "file"),
    "decode -o": (["decode", NOWHERE, "--labels", "x", "-o", "{out}.csv"], "file"),
    "decode --figure": (["decode", NOWHERE, "--labels", "x", "--figure", "{out}.png"], "file"),
    "decode --matrices": (["decode", NOWHERE, "--labels", "x", "--matrices", "{out}.pdf"], "file"),
    "drive": (
        ["drive", "V1/bu", "-o", "{out}", "--timesteps", "1", "--channels", "0", "--model", "none"],
        "figure.png",
    ),
    "evaluate": (["evaluate", "nowhere", "--model", "none", "-o", "{out}"], "accuracy.csv"),
    "classify": (["classify", "nowhere", "--csv", "{out}"], "file"),
    "models": (["models", "none", "--measure", "--csv", "{out}"], "counts.csv"),
    "export": (["export", "nowhere", "-o", "{out}"], "model.json"),
    "train": (["train", "shapes", "-o", "{out}"], "best.safetensors"),
    "demo": (["demo", "-o", "{out}"], "folder"),
    "package": (["brainscore", "package", "--weights", "nowhere.pth", "-o", "{out}"], "file"),
    "score": (["brainscore", "score", "nowhere.nc", "-o", "{out}"], ".json"),
}
HERE = [name for name in COMMANDS if name != "score" or importlib.util.find_spec("brainscore_vision")]


def run(name, out, *more):
    command = [part.format(out=out) for part in COMMANDS[name][0]]
    return run_bltvs(*command, *more, columns=300)


def sentence(result) -> str:
    assert result.exit_code == 1, result.output
    said = " ".join(result.stderr.split())
    assert said.startswith("error: ")
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", HERE)
def test_outputs_that_cannot_be_written_are_told_before_the_work(name, overwrite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for out in ("f/x", "f/x/y", "a" * 256, f"{'a' * 256}/x", "loop/x"):
        if name == "extract shard" and overwrite:
            continue
        said = sentence(run(name, tmp_path / out, *overwrite))
        assert "cannot be written" in said or "Too many levels" in said or "File name too long" in said, said
    assert sorted(os.listdir(tmp_path)) == ["f", "loop"]


@pytest.mark.parametrize("name", [name for name in HERE if COMMANDS[name][1] != "folder"])
def test_what_is_there_is_not_replaced_unasked(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, made = COMMANDS[name]
    out = tmp_path / "out"
    ending = next((part.partition("{out}")[2] for part in command if "{out}." in part), "")
    target = out.with_name(out.name + (ending or made)) if made in ("file", ".json") else out / made
    if made == "file":
        target = out.with_name(out.name + ending)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"precious")
    said = sentence(run(name, out))
    assert f"{target} exists" in said
    assert "--overwrite" in said or name.startswith("extract")  # a file that is no store is never replaced
    assert target.read_bytes() == b"precious"
    if name not in ("extract", "extract shard", "train"):  # go on to what they cannot read
        assert "exists" not in sentence(run(name, out, "--overwrite"))


@pytest.mark.parametrize("name", [name for name in HERE if COMMANDS[name][1] == "file"])
@pytest.mark.parametrize("kind", ["folder", "dangling", "fifo"])
def test_an_output_that_is_no_file(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ending = next((part.partition("{out}")[2] for part in COMMANDS[name][0] if "{out}." in part), "")
    target = tmp_path / f"out{ending}"
    if kind == "folder":
        target.mkdir()
    elif kind == "fifo":
        os.mkfifo(target)
    else:
        target.symlink_to(tmp_path / "missing")
    told = {"folder": "is a folder", "dangling": "is a link to", "fifo": "is not a file"}[kind]
    assert f"{target} {told}" in sentence(run(name, tmp_path / "out"))
    assert target.is_symlink() == (kind == "dangling")


@pytest.mark.parametrize("out", ["-", "/dev/null", "/dev/stdout"])
@pytest.mark.parametrize("name", ["extract", "report", "classify", "package"])
def test_devices_are_no_outputs(name, out):
    if out == "-":
        assert run(name, out).exit_code == 2  # taken for an option
        return
    said = sentence(run(name, out))
    assert "is not the name of a file" in said or "is not a file" in said
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")


@pytest.mark.slow
def test_a_second_demo_replaces_its_outputs_only_when_asked(tmp_path):
    def demo(*more):
        return run_bltvs("demo", "--model", "shapes", "-o", str(tmp_path / "d"), *more)

    assert demo().exit_code == 0
    made = sorted(os.listdir(tmp_path / "d"))
    assert len(made) == 3
    assert "exists (and 1 more of the files to be written)" in " ".join(sentence(demo()).split())
    (tmp_path / "d" / made[0]).unlink()  # as if it had been killed before it could write its table
    assert demo("--overwrite").exit_code == 0
    assert sorted(os.listdir(tmp_path / "d")) == made


def test_what_an_earlier_result_had_and_the_new_one_has_not_is_removed(tmp_path):
    import numpy as np

    from bltvs_neuro.neural import make_rdms
    from bltvs_neuro.rsa import compare_rdms, save_comparison

    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(8)]
    models = make_rdms(rng.random((2, 28)), ids, metric="m", name=["a", "b"])
    brain = make_rdms(rng.random((3, 28)), ids, metric="m", subject=["1", "2", "3"])
    result = compare_rdms(models, brain, inference=Inference(bootstrap=20))
    save_comparison(result, models, brain, tmp_path / "x", formats=("png", "pdf"))
    (tmp_path / "x_notes.png").touch()
    save_comparison(result, models, brain, tmp_path / "x", formats=(), overwrite=True)
    assert sorted(os.listdir(tmp_path)) == [
        "x.csv", "x.nc", "x_best.csv", "x_brain.nc", "x_notes.png", "x_pairs.csv", "x_rdms.nc",
    ]  # fmt: skip


@pytest.mark.parametrize("name", HERE)
def test_a_folder_that_is_missing_is_made_when_there_is_something_to_write(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name == "demo":
        pytest.skip("reads nothing that could be missing")
    said = sentence(run(name, tmp_path / "a" / "b" / "out"))
    assert not (set(said.split()) & {"folder", "folders"} and str(tmp_path / "a") in said), said
    assert os.listdir(tmp_path) == [], said
