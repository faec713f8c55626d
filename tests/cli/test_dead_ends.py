"""What a newcomer meets: every dead end is one sentence that says what to do."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.running import bltvs

from .test_encode import ids, store  # noqa: F401  (fixtures)

NUMBERS = np.random.default_rng(0).standard_normal((6, 5))


@pytest.fixture
def here(store, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acts.h5").symlink_to(store)
    np.save("betas.npy", NUMBERS)
    np.savetxt("betas.csv", NUMBERS, delimiter=",", header="v1,v2,v3,v4,v5", comments="")
    (tmp_path / "notes.txt").write_text("nothing of use")
    for name in ("empty", "pictures", "many"):
        (tmp_path / name).mkdir()
    (tmp_path / "pictures" / "a.png").touch()
    (tmp_path / "seen").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "seen" / "a.png")
    np.save("many/b.npy", NUMBERS)
    (tmp_path / "many" / "a.csv").write_bytes((tmp_path / "betas.csv").read_bytes())
    return tmp_path


DEAD_ENDS = {
    "an array without its stimuli": (
        ["neural", "betas.npy"],
        "betas.npy does not say which stimuli its 6 presentations are. Pass --stimuli LIST (a list, or the path of one), or put "
        "the list beside it as betas.stimuli.txt",
    ),
    "a table without its stimuli": (["rsa", "acts.h5", "--neural", "betas.csv"], "put the list beside it as betas.stimuli.txt"),
    "RDMs for an encoding": (
        ["encode", "acts.h5", "--neural", "kriegeskorte92"],
        "kriegeskorte92 is a data set of RDMs, not responses: `bltvs rsa` compares RDMs",
    ),
    "no column": (
        ["decode", "acts.h5", "--labels", "category"],
        "the store's stimuli have no column 'category', and no other: extract from a folder with one folder per class, or from a "
        "table with columns",
    ),
    "a recipe": (["train", "shpes", "-o", "x"], "unknown recipe 'shpes' (did you mean 'shapes'?); valid: ecoset, "),
    "a device": (["encode", "acts.h5", "--neural", "betas.npy", "--device", "gpu"], "unknown device 'gpu'"),
    "an export of nothing": (["export", "nope", "-o", "x"], "there is no folder nope: a run that `bltvs train` has begun"),
    "an export of no run": (["export", "empty", "-o", "x"], "empty holds no checkpoint.pt: a run that `bltvs train` has begun"),
    "a report of a text": (
        ["report", "notes.txt", "-o", "x.html"],
        "notes.txt is neither an activation store nor a result of another command",
    ),
    "another extraction": (
        ["extract", "seen", "-o", "acts.h5", "--model", "shapes"],
        "acts.h5 was made by another extraction: ",
    ),
    "a text": (["neural", "notes.txt"], "no reader recognises it. Name one with --format (`bltvs neural` says what each reads)"),
    "pictures": (["neural", "pictures"], "pictures is no neural data: it holds pictures, which `bltvs extract` takes"),
    "files of nobody": (
        ["rsa", "acts.h5", "--neural", "many"],
        "its files (a.csv, b.npy) are read one by one: name one of them, or let the names of several tell whose they are",
    ),
    "a folder for a list": (
        ["encode", "acts.h5", "--neural", "betas.npy", "--stimuli", "empty"],
        "the list of stimuli cannot be read: empty is a folder and no file",
    ),
    "a list that is not there": (["neural", "betas.npy", "--stimuli", "x.txt"], "cannot be read: there is no file x.txt"),
    "a folder of nothing": (["rsa", "acts.h5", "--neural", "empty"], "empty is a folder with nothing: no reader recognises it"),
}  # fmt: skip


@pytest.mark.parametrize("what", DEAD_ENDS)
def test_dead_ends_are_one_sentence_that_says_what_to_do(what, here):
    words, said = DEAD_ENDS[what]
    done = bltvs(*words, columns=120)
    assert done.exit_code == 1, done.output
    told = done.stderr.strip()
    assert told.startswith("error: ") and said in told, told
    assert "\n" not in told and "{" not in told.partition("JSON")[0] and "Traceback" not in told
    for jargon in ("None", "load_rdms and", "resume"):
        assert jargon not in told
    assert len(told) < 650
