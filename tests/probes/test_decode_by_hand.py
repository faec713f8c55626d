"""What a decoding reports, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
import xarray as xr
from packaging.version import Version

from bltvs_neuro.probes.decoder import CLASSIFIERS, balanced, decode, stratified_folds
from bltvs_neuro.probes.result import Decoding

from .test_decode import FakeStore, made


def test_a_balanced_accuracy_of_three_labels():
    """Both of the first label, the one of the second, not that of the third: 2 / 3."""
    hits = np.array([[True, True, True, False], [True, False, False, False]])
    np.testing.assert_allclose(balanced(hits, np.array([0, 0, 1, 2])), [2 / 3, 1 / 6])


def test_strength_is_the_inverse_of_a_ridges_alpha_and_the_c_of_a_logistic_regression():
    assert CLASSIFIERS["ridge"](4.0).alpha == 0.25
    assert CLASSIFIERS["logistic"](4.0).C == 4.0


even_folds = pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.7"), reason="its stratified folds of groups are uneven when shuffled"
)


@even_folds
def test_a_label_with_as_many_groups_as_folds_is_decoded():
    y, group = np.array([0, 0, 1, 1, 0, 1]), np.arange(6)
    split = stratified_folds(y, group, 3, seed=0, names=["a", "b"])
    assert [sorted(y[fold.test]) for fold in split] == [[0, 1]] * 3
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.test for fold in split])), np.arange(6))


@even_folds
def test_every_fold_has_its_own_accuracy_and_options_have_their_documented_values():
    values, table, y = made(n=30, steps=2, signal=2.0)
    values[:, 1] = np.random.default_rng(3).standard_normal(values[:, 1].shape)
    found = decode(FakeStore({"V1/bu": values}, table), "label")
    of_folds = found.dataset["fold_accuracy"].values[0]
    assert of_folds.shape == (2, 2, 5) and np.isfinite(of_folds).all()
    np.testing.assert_array_equal(of_folds[0, 0], 1)
    # folds of two stimuli for each label: their mean is the accuracy over all
    np.testing.assert_allclose(of_folds.mean(axis=-1), found.dataset["accuracy"].values[0])
    said = {key: found.provenance[key] for key in ("folds", "seed", "permutations", "strength", "classifier")}
    assert said == {"folds": 5, "seed": 0, "permutations": 0, "strength": 1.0, "classifier": "logistic"}
    assert found.provenance["stimuli_per_class"] == [10, 10, 10]
    assert found.chance == pytest.approx(1 / 3)


@pytest.fixture
def decoding() -> Decoding:
    """Two timesteps; one fold of the second is without a score."""
    accuracy = np.array([[[0.6, 0.5], [0.4, 0.7]]])
    folds = np.full((1, 2, 2, 3), np.nan)
    folds[0, 0, 0], folds[0, 1, 1, :2] = [0.5, 0.6, 0.7], [0.6, 0.8]
    dims = ("site", "train_timestep", "test_timestep")
    data = {"accuracy": (dims, accuracy), "fold_accuracy": ((*dims, "fold"), folds), "p": (dims[:2], [[0.04, 0.01]]),
            "p_corrected": (dims[:2], [[0.08, 0.01]]), "chance": 0.5}  # fmt: skip
    coords = {"site": ["V1/bu"], "train_timestep": [0, 3], "test_timestep": [0, 3]}
    return Decoding(xr.Dataset(data, coords=coords), {"labels": "given"})


def test_a_standard_error_is_that_of_the_mean_over_folds(decoding):
    """0.5, 0.6, 0.7: deviation 0.1, over the root of 3; 0.6 and 0.8: root of 0.02, over the root of 2."""
    course = decoding.time_course()
    np.testing.assert_allclose(course["sem"], [0.1 / np.sqrt(3), 0.1])
    np.testing.assert_array_equal(course[["timestep", "accuracy", "p"]], [[0, 0.6, 0.04], [3, 0.7, 0.01]])


def test_a_row_has_a_p_value_where_training_and_test_timestep_are_the_same(decoding, tmp_path):
    frame = pd.read_csv(decoding.to_csv(tmp_path / "d.csv"), comment="#")
    rows = frame[["train_timestep", "test_timestep", "accuracy", "p", "chance"]].to_numpy()
    expected = [[0, 0, 0.6, 0.04, 0.5], [0, 3, 0.5, np.nan, 0.5], [3, 0, 0.4, np.nan, 0.5], [3, 3, 0.7, 0.01, 0.5]]
    np.testing.assert_allclose(rows, expected)
