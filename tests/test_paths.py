"""Pipes are refused before they are opened, wherever a file is asked for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bltvs_neuro import load_model, load_rdms, load_responses, open_store
from bltvs_neuro.brainscore.subject.regions import read_map
from bltvs_neuro.encoding.solvers.saved_estimators import load_estimator
from bltvs_neuro.errors import BltvsError
from bltvs_neuro.model.lesions.lesion import parse_action
from bltvs_neuro.neural.registry import RDM_READERS, RESPONSE_READERS
from bltvs_neuro.paths import not_a_file, printable, regular
from bltvs_neuro.report.inputs import kind_of
from bltvs_neuro.training.config import read_config
from bltvs_neuro.training.pictures.classes import read_class_file
from bltvs_neuro.training.pictures.data import ecoset

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

ASKED: dict[str, Callable[[Path], object]] = {
    "store": open_store,
    "result": kind_of,
    "estimator": load_estimator,
    "weights": lambda path: load_model("shapes", weights=path),
    "pattern": lambda path: parse_action(f"scale({path})"),
    "regions": read_map,
    "classes": read_class_file,
    "config": read_config,
    "labelled pictures": lambda path: ecoset(path, "train"),
    "rdms": load_rdms,
    "responses": load_responses,
    **{f"rdms as {name}": lambda path, name=name: load_rdms(path, format=name) for name in RDM_READERS},
    **{f"responses as {name}": lambda path, name=name: load_responses(path, format=name) for name in RESPONSE_READERS},
}


@pytest.fixture
def alarm():
    """End a test that waits for a pipe."""

    def ring(*_: object) -> None:
        raise AssertionError("waits for a pipe")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", ASKED)
def test_a_pipe_is_never_waited_for(tmp_path, what, alarm):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BltvsError) as caught:
        ASKED[what](tmp_path / "pipe")
    assert "\n" not in str(caught.value)


def test_what_lies_at_a_path(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    assert not_a_file(tmp_path / "file") is not_a_file(tmp_path / "link") is None
    words = {name: not_a_file(tmp_path / name) for name in ("pipe", "lost", "none", "loop", ".", "nul\0")}
    assert words["pipe"] == f"{tmp_path / 'pipe'} is a named pipe and no file"
    assert words["lost"] == f"{tmp_path / 'lost'} is a link that leads nowhere"
    assert words["none"] == f"there is no file {tmp_path / 'none'}"
    assert words["."] == f"{tmp_path} is a folder and no file"
    assert "loop cannot be reached (Too many levels of symbolic links)" in str(words["loop"])
    assert "nul\\x00 cannot be reached (" in str(words["nul\0"])
    assert printable("é.png") == "é.png" and printable("a\n\udcff") == "a\\n\\udcff"
    assert regular(tmp_path / "file") == tmp_path / "file"
    with pytest.raises(OSError, match="is a named pipe and no file"):
        regular(tmp_path / "pipe")


def test_weights_that_are_a_pipe_are_refused(tmp_path):
    from bltvs_neuro.errors import WeightsError
    from bltvs_neuro.model.released.weights import read_weights

    for name in ("w.pt", "w.safetensors"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(WeightsError, match="is a named pipe and no file"):
            read_weights(tmp_path / name, name)


def test_a_name_that_is_too_long_is_no_picture(tmp_path):
    from bltvs_neuro import StimulusSet
    from bltvs_neuro.errors import StimulusError

    (tmp_path / "stimuli.csv").write_text(f"stimulus_id,path\na,{'x' * 5000}.png\n")
    with pytest.raises(StimulusError, match="1 of 1 files are missing"):
        StimulusSet.open(tmp_path / "stimuli.csv")


def test_a_folder_is_no_store():
    from bltvs_neuro.errors import StoreError
    from bltvs_neuro.store import describe, verify

    for use in (verify, describe):
        with pytest.raises(StoreError, match=r"\. is a folder, not a store"):
            use("")
