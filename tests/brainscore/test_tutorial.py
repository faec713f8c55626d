"""The tutorial of a submission runs as it stands."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("brainscore_vision")


def test_tutorial_of_a_submission_runs(capsys):
    runpy.run_path(str(Path(__file__).parents[2] / "analyses/08_brainscore_submission.py"))
    said = capsys.readouterr().out
    assert "ok   " in said and "test_look_at_neural_V1" in said and "FAIL" not in said
