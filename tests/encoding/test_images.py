"""Intervals over images: against a bootstrap that is drawn, by numeric derivatives, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding import Ridge, fit_encoding
from bltvs_neuro.encoding.scores.ceiling import ceiling_influence, repetition_variance
from bltvs_neuro.encoding.scores.images import influence_of_fold, interval_over_images, make_averages, shared_training
from bltvs_neuro.encoding.scores.score import pearson, r2, read_truth
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.neural.labelled import make_responses
from tests.calibration.encoding_images import DESIGNS

from .images import coverage
from .reference import make_store, simulate_responses

N, T = 40, 3


def fold(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((N, T))
    return y, 0.6 * y + 0.5 * rng.standard_normal((N, T))


def averages(t: int = T):
    return make_averages(None, np.ones(t, bool), np.ones(t, bool), (t,))


@pytest.mark.parametrize(("key", "score"), [("r", pearson), ("r2", r2)])
def test_the_variance_is_that_of_a_bootstrap_of_images(key, score) -> None:
    y, p = fold()
    found = influence_of_fold(read_truth(y), p, np.arange(N), averages())[key]
    rng = np.random.default_rng(1)
    drawn = np.array([score(y[i], p[i]) for i in rng.integers(0, N, (4000, N))])
    # to first order, and N / (N - 1) larger
    np.testing.assert_allclose(np.sqrt(found.variance), drawn.std(axis=0), rtol=0.12)
    np.testing.assert_allclose(np.sqrt((found.rows**2).sum() * N / (N - 1)), drawn.mean(axis=1).std(), rtol=0.12)


@pytest.mark.parametrize(("key", "score"), [("r", pearson), ("r2", r2)])
def test_influences_are_derivatives_by_the_weight_of_a_row(key, score) -> None:
    """A row that stands there k times more often among copies of all rows has 1 + k / copies of the weight."""
    y, p = fold()
    found = influence_of_fold(read_truth(y), p, np.arange(N), averages())[key]
    copies = 4000
    many = np.tile(np.arange(N), copies)
    for row in (0, 7):
        more = np.concatenate([many, np.full(4, row)])
        slope = (score(y[more], p[more]) - score(y, p)) / (4 / copies)
        np.testing.assert_allclose(found.rows[row, 0], slope.mean(), rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(found.rows.sum(axis=0), 0, atol=1e-12)


def test_rows_of_one_image_stay_together() -> None:
    y, p = (np.repeat(values, 2, axis=0) for values in fold())
    twice = influence_of_fold(read_truth(y), p, np.repeat(np.arange(N), 2), averages())
    once = influence_of_fold(read_truth(y[::2]), p[::2], np.arange(N), averages())
    for key in twice:
        np.testing.assert_allclose(twice[key].variance, once[key].variance)
    groups, tested = np.repeat(np.arange(N), 2), np.repeat(np.arange(N) % 4, 2)
    low, high = interval_over_images(np.zeros(1), twice["r2"].rows, groups, tested)
    alone = interval_over_images(np.zeros(1), once["r2"].rows, np.arange(N), np.arange(N) % 4)
    np.testing.assert_allclose([low, high], alone)


def test_averages_leave_out_what_has_no_score() -> None:
    made = make_averages(
        np.array(["a", "b", "a", ""]), np.array([True, True, False]), np.array([True, True, False, True]), (4,)
    )
    assert made.names == ["all", "a", "b"]
    np.testing.assert_allclose(made.of(np.array([1.0, 3.0, 50.0])), [2, 1, 3])
    timed = make_averages(np.array(["a", "b"]), np.ones(4, bool), np.ones(4, bool), (2, 2))
    np.testing.assert_allclose(timed.of(np.array([1.0, 2.0, 3.0, 4.0])), [2, 3, 1, 2, 3, 4])


def test_shared_training_by_hand() -> None:
    np.testing.assert_allclose(shared_training(np.array([5, 2, 1])), [2.25, 3, np.nan])


def test_influence_of_a_ceiling_is_its_jackknife() -> None:
    rng = np.random.default_rng(0)
    trials = [s + rng.standard_normal((1 + i % 3, T)) for i, s in enumerate(rng.standard_normal((60, T)))]
    ids = [f"s{i:02d}" for i, some in enumerate(trials) for _ in some]
    responses = make_responses(np.concatenate(trials), ids, neuroid_coords={})
    names, found = ceiling_influence(responses, averages(), np.ones(T, bool))
    assert names.tolist() == sorted(set(ids))
    jackknife = np.array([repetition_variance(trials[:i] + trials[i + 1 :]).mean() for i in range(60)])
    assert np.corrcoef(found[:, 0], -jackknife)[0, 1] > 0.99
    np.testing.assert_allclose(found[:, 0].std(), jackknife.std(), rtol=0.1)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-12)


@pytest.fixture(scope="module")
def fitted():
    acts = {name: data for name, data in make_store(50, p=20, n_steps=2).items() if name.startswith("V1")}
    responses = simulate_responses(acts, [("V1/bu", 1), ("V1/td", 1)], per_source=4, repetitions=2)
    roi = np.repeat(["A", "B"], 4)
    fit = fit_encoding(
        acts, responses.assign_coords(roi=("neuroid", roi)), solver=Ridge(on_edge="ignore"), cv=Folds(5),
        ceiling="repetition_variance",
    )  # fmt: skip
    return fit, acts, responses


def test_a_summary_has_means_of_regions_and_a_ratio_of_means(fitted) -> None:
    fit = fitted[0]
    frame = fit.summary()
    assert frame["roi"].unique().tolist() == ["all", "A", "B"]
    row = frame[(frame["roi"] == "B") & (frame["name"] == "V1/td@1")].iloc[0]
    at, mine = fit["name"].values.tolist().index("V1/td@1"), slice(4, 8)
    score, ceiling = fit["r2"].values[at, mine], fit["ceiling"].values[mine]
    assert row["r2"] == pytest.approx(score.mean()) and row["r2_median"] == pytest.approx(np.median(score))
    assert row["r2_normalised"] == pytest.approx(score.mean() / ceiling.mean())
    assert row["n_neuroids"] == 4 and row["n_low_ceiling"] == 0 and row["n_left_out"] == 0
    assert row["r2_ci_low"] < row["r2"] < row["r2_ci_high"] and row["r2_normalised_ci_low"] > 0
    first = frame[frame["roi"] == "all"]
    # the mean over neuroids that share images is less certain than if each had its own
    assert (first["r2_ci_high"] - first["r2_ci_low"] > 0).all()


def test_a_difference_is_of_the_same_images(fitted) -> None:
    fit, acts, responses = fitted
    frame = fit.difference("V1/bu@1", "V1/td@1")
    assert frame["roi"].tolist() == ["all", "A", "B"]
    assert frame["ci_low"][1] > 0 and frame["ci_high"][2] < 0 and frame["ci_low"][0] < 0 < frame["ci_high"][0]
    same = fit.difference("V1/bu@1", "V1/bu@1")
    assert (same["difference"] == 0).all()
    with pytest.raises(SpecError, match=r"unknown feature space 'V9@0'.*V1/bu@0"):
        fit.difference("V9@0", "V1/bu@1")
    other = fit_encoding(acts, responses, solver=Ridge(on_edge="ignore"), cv=Folds(3))
    with pytest.raises(DataError, match="these results differ in tested_in"):
        fit.difference("V1/bu@1", "V1/bu@1", other=other)


def test_standard_errors_of_targets_are_those_of_averages_of_one() -> None:
    acts = {name: data for name, data in make_store(40, p=20, n_steps=2).items() if name == "V1/bu"}
    one = simulate_responses(acts, [("V1/bu", 1)], per_source=1)
    fit = fit_encoding(acts, one, solver=Ridge(on_edge="ignore"))
    frame = fit.summary()
    from scipy.stats import t

    half = t.ppf(0.975, 35) * fit["r2_se"].values[:, 0]
    np.testing.assert_allclose(frame["r2_ci_high"] - frame["r2"], half, rtol=1e-5)


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_intervals_over_images_cover(number) -> None:
    """60 data sets: 0.95 within three standard errors of it, below; above it they may be."""
    found = coverage(DESIGNS[number], range(30_000, 30_060))
    assert np.nanmin(list(found.values())) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 60), found
