"""A short version of RSA's studies: fixed seeds, bounds of three Monte-Carlo standard errors; half a minute.

Where many intervals are counted in one test, the bound of their lowest coverage is the binomial's for all of them together.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as sps

from .rsa_best import Race
from .rsa_categories import DESIGNS as IN_CATEGORIES
from .rsa_scores import By, Summary, Variance, outcome, summary
from .rsa_time import PEAK, Movie, latency, rejects
from .rsa_worlds import MODELS, Design


def error(nominal: float, n: int) -> float:
    """Three standard errors of a share."""
    return 3 * float(np.sqrt(nominal * (1 - nominal) / n))


def least(nominal: float, n: int, family: int) -> float:
    """A share that the lowest of ``family`` shares is below once in a hundred tests."""
    return float(sps.binom.ppf(0.01 / family, n, nominal)) / n


def simulate(design: Design, variance: Variance, runs: int, by: By = "stimuli") -> Summary:
    return summary([outcome(design.draw(i), design.similarity, variance, seed=i, by=by) for i in range(runs)])


@pytest.mark.parametrize("variance", ["bootstrap", "jackknife"])
@pytest.mark.parametrize("design", [Design(12, 6), Design(20, 4), Design(30, 10, similarity="pearson")], ids=str)
def test_intervals_hold_and_tests_keep_their_size(design, variance):
    runs = 150
    found = simulate(design, variance, runs)
    assert found.covered.mean(axis=0).min() >= least(0.95, runs, found.covered.shape[1])
    for rejected in (found.zero, found.equal, found.below):
        assert np.isnan(rejected).all() or rejected.mean() <= 0.05 + error(0.05, runs)
    if variance == "jackknife":  # the bootstrap is too wide for models that are unrelated
        assert found.covered[:, MODELS.index("unrelated")].mean() <= 0.95 + error(0.95, runs)
        assert found.zero.mean() > 0


@pytest.mark.parametrize("variance", ["bootstrap", "jackknife"])
def test_new_categories_need_clusters(variance):
    design, runs = IN_CATEGORIES[1], 100
    by_categories, by_stimuli = (simulate(design, variance, runs, by) for by in ("categories", "stimuli"))
    scores = slice(0, 2)  # the true model and one that shares half
    assert by_categories.covered[:, scores].mean() >= 0.95 - error(0.95, runs)
    assert by_categories.equal.mean() <= 0.05 + error(0.05, runs)
    assert by_stimuli.covered[:, scores].mean() < by_categories.covered[:, scores].mean()
    if variance == "jackknife":
        assert by_stimuli.equal.mean() > 0.05 + error(0.05, runs) / 3


def test_models_unrelated_to_what_subjects_share_have_no_clusters():
    movie, runs = Movie(20, 6), 40
    labels, flips = (
        np.mean([rejects(movie, seed, test, whole=False)[0] for seed in range(runs)])
        for test in ("labels", "sign_flip")
    )
    assert labels <= 0.05 + error(0.05, runs)
    assert flips > 0.5


def test_whole_categories_change_places_where_models_share_them():
    movie, runs = Movie(24, 6, categories=8), 25
    stimuli, categories = (
        np.mean([rejects(movie, seed, "labels", whole=whole)[0] for seed in range(runs)]) for whole in (False, True)
    )
    assert categories <= 0.05 + error(0.05, runs)
    assert stimuli > 0.5


def test_intervals_of_latencies_hold():
    runs = 30
    found = [latency(Movie(20, 6, related=True), seed) for seed in range(runs)]
    held = np.mean([low - 1e-9 <= PEAK <= high + 1e-9 for _, low, high in found])
    assert held >= 0.95 - error(0.95, runs)


def test_the_winner_is_too_high_and_its_nested_score_is_not():
    race, runs = Race(20, 6, shared=0), 40
    rows = [
        (r.best().iloc[0], r.best(nested=True).iloc[0]) for r in (race.compare(s, "jackknife") for s in range(runs))
    ]
    plain, nested = np.array([(p["score"], n["score"]) for p, n in rows]).T
    assert plain.mean() > 3 * plain.std() / np.sqrt(runs)  # the truth is 0
    assert abs(nested.mean()) <= 3 * nested.std() / np.sqrt(runs)
    assert np.mean([n["ci_low"] > 0 for _, n in rows]) <= 0.05 + error(0.05, runs)
