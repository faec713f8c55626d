"""Every column of the tables that commands write stands in docs/files.md."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bltvs_neuro.encoding import Permutations, Ridge
from bltvs_neuro.encoding.fit import fit_encoding, partition_encoding
from bltvs_neuro.extraction.plot import activation_over_time
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.model.released.exported import __file__ as exported
from bltvs_neuro.neural import make_rdms
from bltvs_neuro.rsa import compare_rdms, time_matrix
from bltvs_neuro.rsa.inference.options import Inference

from .encoding.reference import make_store, simulate_responses
from .rsa.test_time import movie

DOCS = (Path(__file__).parents[1] / "docs/files.md").read_text("utf-8")
SECTIONS = {text.partition("\n")[0]: set(re.findall(r"`(\w+)`", text)) for text in DOCS.split("\n## ")[1:]}


def section(command: str) -> set[str]:
    """The words in backticks of the section whose heading names a command."""
    return next(words for heading, words in SECTIONS.items() if f"`bltvs {command}`" in heading)


@pytest.fixture(scope="module")
def encoding():
    acts = {name: data for name, data in make_store(40, p=20, n_steps=2).items() if name.startswith("V1")}
    responses = simulate_responses(acts, [("V1/bu", 1), ("V1/td", 1)], per_source=3, repetitions=2)
    options = {"solver": Ridge(on_edge="ignore"), "cv": Folds(3)}
    fit = fit_encoding(acts, responses, ceiling="split_half", n_permutations=Permutations(20, fwer=True), **options)
    return fit, partition_encoding(acts, responses, over="stream")


def test_columns_of_encoding(encoding):
    fit, parts = encoding
    mine = {"voxel", "source"}  # labels of these responses
    for frame in (
        fit.to_frame(),
        fit.summary(),
        fit.best(nested=True).reset_coords().to_dataframe(),
        fit.best().reset_coords().to_dataframe(),
        parts.to_frame(),
        parts.unique(),
    ):
        assert {str(c) for c in frame.columns} - section("encode") <= mine


def test_columns_of_rsa():
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(8)]
    models = make_rdms(rng.random((2, 28)), ids, metric="m", name=["V1/bu@0", "V4/td@1"], area=["V1", "V4"],
                       stream=["bu", "td"], timestep=[0, 1])  # fmt: skip
    brain = make_rdms(rng.random((3, 28)), ids, metric="m", subject=["a", "b", "c"], roi=["IT"] * 3)
    result = compare_rdms(models, brain, inference=Inference(bootstrap=10))
    matrix = time_matrix(*movie(), inference=Inference(bootstrap=10, n_permutations=10))
    for frame in (result.to_frame(), result.best(nested=True), result.pairs_frame(), matrix.peaks(), matrix.clusters()):
        assert set(frame.columns) <= section("rsa")


def test_columns_of_the_demo():
    summary = activation_over_time({name: data for name, data in make_store(6, p=4).items() if name != "LGN/bu"})
    assert set(summary.columns) <= section("demo")


@pytest.mark.parametrize(
    ("command", "name"),
    [("evaluate", "accuracy.csv"), ("evaluate", "confusion.csv"), ("evaluate", "pictures.csv"), ("train", "log.csv")],
)
def test_columns_of_training_and_evaluation(command, name):
    columns = pd.read_csv(Path(exported).parent / "shapes" / name).columns
    assert {re.sub(r"_t\d+$", "_t0", column) for column in columns} <= section(command)
