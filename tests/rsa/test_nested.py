"""The best model, chosen on halves and scored on the others."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.similarity import compare_vectors
from bltvs_neuro.rsa.inference import nested
from bltvs_neuro.rsa.inference.jackknife import jackknife_rsa
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.result import RsaResult, compare_rdms

from .simulate import draw

N, K = 12, 4


@pytest.fixture(scope="module")
def world():
    return draw(np.random.default_rng(0), n_stimuli=N, n_subjects=K, noise=1.0)


@pytest.mark.parametrize(
    ("similarity", "over"), [("corr_cov", "both"), ("spearman", "stimuli"), ("pearson", "subjects")]
)
def test_halves_are_chosen_on_and_scored_by_hand(world, similarity, over, monkeypatch):
    models, data = world
    monkeypatch.setattr(nested, "SPLITS", 3)
    found = jackknife_rsa(models, data, similarity, over=over)
    got = nested.nested_best(models, data, similarity, found, seed=5)
    rng = np.random.default_rng(5)
    stimuli = nested._halves(3, N, rng) if over != "subjects" else np.ones((3, N), bool)
    subjects = nested._halves(3, K, rng) if over != "stimuli" else np.ones((3, K), bool)
    i, j = np.triu_indices(N, 1)

    def mean(s, who):
        kept = s[i] & s[j]
        return compare_vectors(models[:, kept], data[who][:, kept], similarity).mean(axis=1)

    best, outside = [], []
    for s, who in zip(stimuli, subjects, strict=True):
        first = mean(s, who)
        second = mean(~s if over != "subjects" else s, ~who if over != "stimuli" else who)
        for inner, outer in ((first, second), (second, first)):
            best.append(inner.argmax())
            outside.append(outer[inner.argmax()])
    np.testing.assert_allclose(got.score, np.mean(outside))
    np.testing.assert_allclose(got.chosen, np.bincount(best, minlength=3) / 6)
    np.testing.assert_allclose(got.se**2, got.chosen @ found.variance)


def test_halves_are_halves_and_categories_stay_whole(world):
    halves = nested._halves(20, 7, np.random.default_rng(0))
    assert (halves.sum(axis=1) == 4).all()
    models, data = world
    unit = np.repeat(np.arange(8), [1, 2, 1, 2, 1, 2, 1, 2])
    found = jackknife_rsa(models, data, "pearson", clusters=unit)
    assert np.isfinite(nested.nested_best(models, data, "pearson", found, seed=0, clusters=unit).score)
    few = np.arange(N) % 6
    found = jackknife_rsa(models, data, "pearson", clusters=few)
    assert np.isnan(nested.nested_best(models, data, "pearson", found, seed=0, clusters=few).score)


def test_the_result_tells_the_chosen_its_fair_score_and_stability(world, tmp_path):
    models, data = world
    ids = [f"s{i}" for i in range(N)]
    model = make_rdms(models, ids, metric="m", name=["V1/bu@0", "V1/bu@1", "IT/bu@0"], area=["V1", "V1", "IT"], stream="bu",
                      timestep=[0, 1, 0])  # fmt: skip
    brain = make_rdms(data, ids, metric="m", subject=list("abcd"))
    result = compare_rdms(model, brain, inference=Inference(bootstrap=20))
    row = RsaResult.load(result.save(tmp_path / "r.nc")).best(nested=True).iloc[0]
    assert (row["chosen"], row["area"], row["timestep"]) == ("V1/bu@0", "V1", 0)
    assert row["stability"] == result["chosen_share"].values[0, 0] > 0.5
    assert row["ci_low"] < row["score"] < row["ci_high"]
    assert row["score"] <= result.best().iloc[0]["score"] + 0.1
    assert "nested_score" not in result.to_frame()


def test_the_fair_score_of_models_without_relation_is_about_zero():
    rng = np.random.default_rng(1)
    fair, highest = [], []
    for seed in range(20):
        data = rng.gamma(2, 1, (4, 120))
        models = rng.gamma(2, 1, (12, 120))
        found = jackknife_rsa(models, data, "pearson")
        fair.append(nested.nested_best(models, data, "pearson", found, seed=seed).score)
        highest.append(found.mean.max())
    assert abs(np.mean(fair)) < 3 * np.std(fair) / np.sqrt(20)
    assert np.mean(highest) > 5 * np.std(highest) / np.sqrt(20)
