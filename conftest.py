"""The examples in docstrings run as tests: ``pytest --doctest-modules bltvs_neuro``."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

NEEDS = {"bltvs_neuro/brainscore": "brainscore_vision"}
"""Folder -> the optional library without which its modules cannot be imported."""

collect_ignore_glob = [
    f"{folder}/*.py" for folder, library in NEEDS.items() if importlib.util.find_spec(library) is None
]


@pytest.fixture(scope="session")
def example_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that examples call ``acts.h5``: V1 of a small untrained model, 30 pictures of ten categories."""
    import torch

    import bltvs_neuro as bn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = bn.BLT_VS(timesteps=2, num_classes=3, bio_unroll=False, image_size=128, width=0.0625).eval()
    path = tmp_path_factory.mktemp("example") / "acts.h5"
    return bn.extract(model, bn.StimulusSet.shapes(30), path, "V1", reduce="mean", run=bn.ExtractRun(workers=0))


@pytest.fixture(autouse=True)
def example_in_a_folder_of_its_own(request: pytest.FixtureRequest) -> None:
    """An example may write files, finds ``acts.h5`` there, and knows NumPy and the package by their usual names."""
    if isinstance(request.node, pytest.DoctestItem):
        import numpy as np

        import bltvs_neuro as bn

        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
        request.getfixturevalue("doctest_namespace").update(np=np, bn=bn)
        if any('"acts.h5"' in example.source for example in request.node.dtest.examples):
            shutil.copy(request.getfixturevalue("example_store"), folder)
