"""The check of an installation: what it finds, what it skips, and released weights from a hub of made ones."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from bltvs_neuro import BLT_VS, datasets
from bltvs_neuro.cli import selftest
from bltvs_neuro.model.released.table import CHECKPOINTS
from tests.model.test_checkpoints import hub  # noqa: F401
from tests.running import bltvs

LOCAL = ("golden_numbers", "killed_and_resumed", "rdms_of_rsatoolbox", "report_in_a_browser", "speeds")


@pytest.fixture
def only_released(monkeypatch):
    for name in LOCAL:
        monkeypatch.setattr(selftest, name, lambda *_: "as it should be")
    monkeypatch.setattr(selftest, "SEES", {"ecoset": "turtle"})


@pytest.fixture
def made(hub, only_released, monkeypatch, tmp_path):  # noqa: F811
    """A hub that has weights of a small model for those of Ecoset, and the example picture in the data folder."""
    handler, _ = hub
    own = {**CHECKPOINTS["shapes"].config, "width": 0.0625}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = io.BytesIO()
        torch.save(BLT_VS(**own).state_dict(), weights)
    handler.content, handler.etag = weights.getvalue(), hashlib.sha256(weights.getvalue()).hexdigest()
    checkpoint = replace(
        CHECKPOINTS["ecoset"], repo="some/repo", filename="weights.pth", config=own, classes=("turtle",) * 10
    )
    monkeypatch.setitem(CHECKPOINTS, "ecoset", checkpoint)
    monkeypatch.setattr("bltvs_neuro.model.released.hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))
    picture = tmp_path / datasets.EXAMPLE
    picture.parent.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(picture)
    return handler, checkpoint, picture


def test_released_weights_and_what_they_see(made, monkeypatch):
    handler, checkpoint, picture = made
    done = bltvs("selftest")
    assert done.exit_code == 0, done.output
    sha256 = datasets.sha256_file(picture)
    assert f"passed  released weights ecoset: sha256 {handler.etag} (sha256 of the hub); sees turtle (" in done.stdout
    assert f"in the example picture (sha256 {sha256})" in done.stdout
    assert "nothing failed" in done.stdout
    monkeypatch.setitem(CHECKPOINTS, "ecoset", replace(checkpoint, classes=("hat",) * 10))
    done = bltvs("selftest", "--offline")  # they are in the cache now
    assert done.exit_code == 1
    assert "FAILED  released weights ecoset" in done.stdout and "sees hat (" in done.stdout
    assert "where it should see turtle" in done.stdout and "failed: released weights ecoset" in done.stdout


def test_weights_that_are_not_what_the_hub_announced_fail(made):
    handler, *_ = made
    handler.etag = hashlib.sha256(b"others").hexdigest()
    done = bltvs("selftest")
    assert done.exit_code == 1
    assert "FAILED" in done.stdout and "is not what the hub announced" in done.stdout


def test_without_network_or_picture_it_is_skipped_and_said(made, monkeypatch):
    handler, _, picture = made
    done = bltvs("selftest", "--offline")
    assert done.exit_code == 0
    assert "skipped released weights ecoset: the weights are not here" in done.stdout
    assert handler.requests == []
    picture.unlink()
    monkeypatch.setitem(
        datasets.DATASETS, datasets.EXAMPLE, replace(datasets.DATASETS[datasets.EXAMPLE], url="http://127.0.0.1:9")
    )
    monkeypatch.setattr(datasets, "cache_folder", lambda: picture.parent)
    done = bltvs("selftest")
    assert done.exit_code == 0
    assert f"skipped released weights ecoset: sha256 {handler.etag}" in done.stdout
    assert "what it sees is not known: cannot fetch examples/turtle.jpg" in done.stdout


def test_a_repository_that_is_gone_fails(made, monkeypatch):
    _, checkpoint, _ = made
    monkeypatch.setitem(CHECKPOINTS, "ecoset", replace(checkpoint, repo="other/repo"))
    done = bltvs("selftest")
    assert done.exit_code == 1 and "the hub has no public repository other/repo" in done.stdout


def test_classify_takes_the_example_unless_a_picture_is_given(made):
    done = bltvs("classify", "--model", "shapes")
    assert done.exit_code == 0 and "turtle.jpg" in done.stdout


def test_the_block_says_what_a_bug_report_needs(only_released, monkeypatch):
    monkeypatch.setattr(selftest, "SEES", {})
    said = bltvs("selftest").stdout
    assert "passed  golden numbers: as it should be" in said
    for word in (
        "system: ",
        "processor: ",
        "features: ",
        "torch uses: ",
        "GPUs: ",
        f"torch {torch.__version__.split('+')[0]}",
    ):
        assert word in said


def test_golden_numbers_and_rdms(monkeypatch):
    assert "10 sites" in selftest.golden_numbers()
    assert "off by" in selftest.rdms_of_rsatoolbox()
    monkeypatch.setattr(selftest, "SITES", {**selftest.SITES, "V4/td": selftest.SITES["V4/td"] + 2e-4})
    with pytest.raises(selftest.Failed, match="off by 0.0002, more than 0.0001"):
        selftest.golden_numbers()


def test_what_a_check_raises_is_its_outcome():
    block = selftest.Block()
    for error in (selftest.Skipped("not here"), selftest.Failed("wrong"), KeyError("x")):
        block.run("one", lambda error=error: (_ for _ in ()).throw(error))
    assert block.checks == [
        ("skipped", "one", "not here"),
        ("FAILED", "one", "wrong"),
        ("FAILED", "one", "KeyError: 'x'"),
    ]


def test_no_browser_is_a_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(selftest.Skipped, match="no browser on the PATH"):
        selftest.report_in_a_browser(tmp_path)


@pytest.mark.slow
def test_the_whole_of_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    done = bltvs("selftest", "--offline")
    assert done.exit_code == 0, done.stdout
    assert "killed with 1 of 3 parts, resumed, bit-equal" in done.stdout
    assert "float32" in done.stdout
