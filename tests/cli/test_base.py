"""What is asked wrongly of commands: one sentence, before any work."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.running import bltvs

DRIVE = ("drive", "V4/bu", "-o", "never", "--timesteps", "1", "--channels", "0", "--model", "shapes")


@pytest.mark.parametrize("value", ["", ",", "V1,", " "])
@pytest.mark.parametrize("option", ["--roi", "--subject", "--session"])
@pytest.mark.parametrize("command", ["rsa", "encode"])
def test_an_empty_name_is_never_everything(command, option, value):
    done = bltvs(command, "none.h5", "--neural", "none.nc", f"{option}={value}")
    assert done.exit_code == 2
    assert f"a name is missing in {value!r}" in done.stderr and option in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((*DRIVE, "--seed", "-1"), "--seed is an integer from 0 to 4294967295; got -1"),
        ((*DRIVE, "--smoothness", "nan"), "smoothness and jitter not below"),
        ((*DRIVE, "--smoothness", "inf"), "smoothness and jitter not below"),
        (("evaluate", "shapes", "--model", "shapes", "--workers", "-1"), "--workers is at least 0; got -1"),
        (("evaluate", "shapes", "--model", "shapes", "-n", "0"), "-n is at least 1; got 0"),
    ],
)
def test_numbers_out_of_range(command, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = bltvs(*command)
    assert done.exit_code == 1
    assert said in " ".join(done.stderr.split())


def test_published_accuracies_stand_beside_those_of_released_weights(tmp_path):
    command = ("evaluate", "shapes", "-n", "20", "--bootstrap", "2", "--model", "shapes")
    said = bltvs(*command, "-o", tmp_path / "e").stdout
    assert "published (%)" in said
    rows = [line.split() for line in said.splitlines() if line.strip()[:1].isdigit()]
    assert [row[-1] for row in rows] == ["87.90", "93.80", "94.90", "95.20"]
    assert "published (%)" not in bltvs(*command, "--weights", "untrained", "-o", tmp_path / "u").stdout


def test_how_far_work_is_never_says_none(monkeypatch):
    from bltvs_neuro.cli import base
    from bltvs_neuro.progress import Progress, tell

    said = io.StringIO()
    monkeypatch.setattr(base, "err", Console(file=said, force_terminal=True, width=200))
    with base.shown("reading"):
        tell(Progress(0, 0))
    with base.shown("computing"):
        tell(Progress(1, 3, "V1", 61.0))
    assert "None" not in said.getvalue() and "nan" not in said.getvalue()
    assert "1/3" in said.getvalue() and "1:01 left" in said.getvalue()
