"""The checkpoint that comes with the package: whole, as its table says, and as accurate as its log says."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bltvs_neuro import CHECKPOINTS, load_model
from bltvs_neuro.model.released.checkpoints import SHAPES, class_names
from bltvs_neuro.model.released.exported import read_checkpoint
from bltvs_neuro.stimuli.shapes import CATEGORIES, VERSION
from bltvs_neuro.training.config import read_config
from bltvs_neuro.training.evaluation.evaluate import evaluate
from bltvs_neuro.training.pictures.labelled import open_for
from bltvs_neuro.training.recipes import RECIPES

TABLE = pd.read_csv(SHAPES / "accuracy.csv")
SAID = json.loads((SHAPES / "model.json").read_text("utf-8"))


def test_the_table_says_what_the_folder_says():
    table, folder = CHECKPOINTS["shapes"], read_checkpoint(SHAPES)
    assert {**dict(table.config)} == {**folder.config}
    assert (table.classes, table.file_sha256, table.filename) == (folder.classes, folder.file_sha256, folder.filename)
    assert table.accuracies == pytest.approx(folder.accuracies)
    assert class_names("shapes") == CATEGORIES
    assert sum(path.stat().st_size for path in SHAPES.iterdir()) < 4 * 2**20


def test_it_was_trained_as_the_recipe_in_the_package_says():
    training = SAID["training"]
    recipe = read_config(RECIPES["shapes"]).to_json()
    assert training["config"] == recipe
    assert training["started_from"]["training"]["config"] == read_config(RECIPES["shapes_start"]).to_json()
    assert VERSION == 1  # of the drawings it has seen
    log = pd.read_csv(SHAPES / "log.csv")
    assert len(log) == training["epochs"]
    np.testing.assert_allclose(log["val_loss"], [row["val_loss"] for row in training["log"]], rtol=1e-5)
    assert log["val_loss"].iloc[-1] < log["val_loss"].iloc[0]


def test_accuracy_rises_over_time_in_what_is_shipped():
    np.testing.assert_allclose(TABLE["top1"], SAID["accuracies"], atol=1e-3)
    assert TABLE["top1"].iloc[-1] > TABLE["top1"].iloc[0]
    gain = json.loads((SHAPES / "evaluation.json").read_text("utf-8"))["gain"]
    assert gain["ci_low"] > 0  # beyond what the choice of pictures explains


def test_the_first_held_out_drawings_are_recognised():
    model = load_model("shapes")
    result = evaluate(model, open_for("shapes", class_names("shapes"), model.image_size, n=100), bootstrap=10)
    pictures = pd.read_csv(SHAPES / "pictures.csv").head(100)
    last = result.to_frame()["timestep"].iloc[-1]
    # float32 rounds differently on other machines, which can change a picture that lies between two classes
    assert (result.pictures[f"as_t{last}"] == pictures[f"as_t{last}"]).mean() >= 0.98
    assert result.to_frame()["top1"].iloc[-1] == pytest.approx(100 * (pictures[f"rank_t{last}"] == 1).mean(), abs=2.01)


@pytest.mark.slow
def test_evaluation_gives_the_accuracies_that_are_shipped():
    model = load_model("shapes")
    result = evaluate(model, open_for("shapes", class_names("shapes"), model.image_size), batch_size=100)
    np.testing.assert_allclose(result.to_frame()["top1"], TABLE["top1"], atol=0.25)
    assert result.to_frame()["top1"].iloc[-1] > result.to_frame()["top1"].iloc[0]
    assert result.gain["ci_low"] > 0
