"""``bltvs neural``: what is this, does it fit the store, what comes next."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from tests.running import bltvs

from .test_encode import ids, store  # noqa: F401  (fixtures)

QUICK = {"rsa": ["--bootstrap", "5", "--figures", "none"], "encode": ["--no-figures", "--folds", "2"]}


def proposed(done) -> list[list[str]]:
    """The commands that come next."""
    lines = done.stdout.partition("next:")[2].splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip()]


def betas(folder, names, subjects=("",)):
    folder.mkdir(exist_ok=True)
    for number, subject in enumerate(subjects):
        values = np.random.default_rng(number).standard_normal((len(names), 7))
        np.save(folder / f"{subject}betas.npy", values)
        (folder / f"{subject}betas.stimuli.txt").write_text("\n".join(names))


BOTH = ["--match", "stem", "--on-mismatch", "intersect"]
CASES = {
    "the same": (lambda names: names, "60 of 60 in the data, of 60 in the store", []),
    "written otherwise": (
        lambda names: [f"Pics/NSD-{int(i[4:])}.JPG" for i in names], "60 more: Pics/NSD-0.JPG is nsd-00000", BOTH[:2],
    ),
    "fewer": (lambda names: names[:50], "10: nsd-00050, nsd-00051", BOTH[2:]),
    "fewer, written otherwise": (
        lambda names: [i.upper() for i in names[:50]], "50 more: NSD-00000 is nsd-00000", BOTH,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("subjects", [("",), ("sub-01_", "sub-02_")])
def test_what_comes_next_can_be_pasted_and_runs(case, subjects, store, ids, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    rename, said, extra = CASES[case]
    betas(tmp_path / "my betas", rename(ids), subjects)
    told = bltvs("neural", "my betas" if subjects[1:] else "my betas/betas.npy", "--store", store, "--roi", "x")
    assert told.exit_code == 1 and "no roi to choose by" in told.stderr
    told = bltvs("neural", "my betas" if subjects[1:] else "my betas/betas.npy", "--store", store)
    assert told.exit_code == 0, told.output
    assert said in told.stdout
    commands = proposed(told)
    assert [words[0] for words in commands] == (["rsa", "encode"] if subjects[1:] else ["encode", "rsa"])
    for words in commands:
        assert words[4 : 4 + len(extra)] == extra and words[-2] == "-o"
        done = bltvs(*words, *QUICK[words[0]])
        assert done.exit_code == 0, done.output


def test_nothing_in_common_is_told_without_a_command_that_would_fail(store, tmp_path):  # noqa: F811
    betas(tmp_path, [f"x{i}" for i in range(6)])
    told = bltvs("neural", tmp_path / "betas.npy", "--store", store)
    assert told.exit_code == 0 and "next:" not in told.stdout
    assert "0 of 6 in the data, of 60 in the store" in told.stdout
    assert "extract the pictures that these data are of" in told.stdout and "intersect" not in told.stdout


def test_without_a_store_the_next_step_is_to_make_or_to_name_one(store, ids, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    betas(tmp_path, ids)
    told = proposed(bltvs("neural", "betas.npy"))
    assert told[:2] == [
        ["extract", "PICTURES", "-o", "acts.h5"], ["encode", "acts.h5", "--neural", "betas.npy", "-o", "encode/"],
    ]  # fmt: skip
    (tmp_path / "mine.h5").symlink_to(store)
    told = proposed(bltvs("neural", "betas.npy", "--stimuli", "betas.stimuli.txt"))
    assert told == [["neural", "betas.npy", "--stimuli", "betas.stimuli.txt", "--store", "mine.h5"]]
    assert proposed(bltvs(*told[0]))[0][0] == "encode"
