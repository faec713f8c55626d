"""Scores and ceilings at their edges, against numbers worked out by hand or by an explicit loop."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding.scores.ceiling import (
    CEILINGS,
    ceiling_from_ncsnr,
    noise_ceiling,
    normalise_r,
    normalise_r2,
    repetition_variance,
    spearman_brown,
    split_half,
)
from bltvs_neuro.encoding.scores.score import (
    mean_over_folds,
    pearson,
    r2,
    split_r2,
    varying,
)
from bltvs_neuro.errors import SpecError
from bltvs_neuro.neural.labelled import make_responses


@pytest.mark.parametrize("mean", [1e8 / 3, -1e8 / 3])
def test_predictions_far_from_zero_are_constant_or_not_by_their_rounding(mean: float) -> None:
    y = np.random.default_rng(0).standard_normal((7, 1))
    assert pearson(y, np.full((7, 1), mean))[0] == 0
    np.testing.assert_allclose(pearson(y, mean + 0.1 * y), 1, atol=1e-6)


def test_r_stays_within_one() -> None:
    y = np.random.default_rng(0).standard_normal((5, 2000))
    for sign in (1, -1):
        found = pearson(y, sign * (3 * y + 1))
        assert np.abs(found).max() <= 1
        np.testing.assert_allclose(found, sign, atol=1e-12)


def test_every_one_of_many_targets_is_scored() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((2, 4, 1100))
    y[:, 512] = 1.0
    expected = [np.nan if j == 512 else np.corrcoef(y[:, j], p[:, j])[0, 1] for j in range(1100)]
    np.testing.assert_allclose(pearson(y, p), expected, atol=1e-12)
    np.testing.assert_array_equal(np.flatnonzero(~varying(y)), [512])


def test_r2_is_divided_among_parts_by_hand() -> None:
    """About the mean 2, halved: (-1, 0, 2) and (0, 0, -1), together (-1, 0, 1), as the truth: (1 + 2) / 2 and -1 / 2."""
    truth = np.array([[1.0], [2.0], [3.0]])
    parts = np.array([[[0.0], [1.0], [3.0]], [[1.0], [1.0], [0.0]]])
    np.testing.assert_allclose(split_r2(truth, parts), [[1.5], [-0.5]])
    # without the second part the sum is (-1, 0, 2) about the mean: 1 - (0 + 0 + 1) / 2
    np.testing.assert_allclose(split_r2(truth, parts[:1] + 1), [[0.5]])
    for wrong in (parts[:, :2], np.concatenate([parts, parts], axis=2), truth):
        with pytest.raises(SpecError, match=r"parts have shape \(bands, 3, 1\)"):
            split_r2(truth, wrong)


def test_r2_of_parts_sums_to_that_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    y, parts = rng.standard_normal((9, 4)) + 3, rng.standard_normal((3, 9, 4)) + 1
    np.testing.assert_allclose(split_r2(y, parts).sum(axis=0), r2(y, parts.sum(axis=0)))


def test_a_mean_over_folds_is_of_the_folds_with_a_score() -> None:
    scores = np.array([[np.nan, 2.0, np.nan], [5.0, 4.0, np.nan]])
    np.testing.assert_array_equal(mean_over_folds(scores), [5, 3, np.nan])
    np.testing.assert_array_equal(mean_over_folds(scores, axis=1), [2, 4.5])


def test_spearman_brown_below_zero() -> None:
    np.testing.assert_allclose(spearman_brown([-0.2, -0.5, -1.0, np.nan, 1.0]), [-0.5, -1.0, -1.0, np.nan, 1.0])
    np.testing.assert_allclose(spearman_brown(-0.1, 3), -0.3 / 0.8)


def test_analysis_of_variance_by_hand() -> None:
    """Means 1, 4, 7, 1: V = 24.75 / 3. Squares 2 + 8 + 2 with 4 degrees of freedom, 2, 2, 3 and 1 repetitions: N = 3 * 7 / 12."""
    trials = [np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]]), np.array([[6.0], [7.0], [8.0]]), np.ones((1, 1))]
    np.testing.assert_allclose(repetition_variance(trials), (8.25 - 1.75) / 8.25)
    small = [rows * 1e-2 for rows in trials]
    np.testing.assert_allclose(repetition_variance(small), (8.25 - 1.75) / 8.25)
    assert np.isnan(repetition_variance([np.ones((2, 1))] * 3)).all()


def test_the_ceiling_from_an_ncsnr_takes_the_harmonic_mean_of_all_stimuli() -> None:
    """Repetitions 2, 2, 3 and 1: a mean has 7 / 12 of a presentation's noise."""
    trials = [np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]]), np.array([[6.0], [7.0], [8.0]]), np.ones((1, 1))]
    noise = (2 + 8 + 1) / 3 / np.var([0, 2, 2, 6, 6, 7, 8, 1], ddof=1)
    square = (1 - noise) / noise
    np.testing.assert_allclose(CEILINGS["ncsnr"](trials), square / (square + 7 / 12))
    np.testing.assert_array_equal(ceiling_from_ncsnr([np.nan, 0.0, np.inf], 2), [np.nan, 0, 1])


def test_a_ceiling_of_more_targets_than_a_block() -> None:
    rng = np.random.default_rng(0)
    values, ids = rng.standard_normal((6, 8200)), ["a", "a", "b", "b", "c", "c"]
    responses = make_responses(values, ids, neuroid_coords={"voxel": range(8200)})
    pairs = responses.values.astype(np.float64).reshape(3, 2, 8200)
    between = pairs.mean(axis=1).var(axis=0, ddof=1)
    noise = pairs.var(axis=1, ddof=1).mean(axis=0) / 2
    np.testing.assert_allclose(noise_ceiling(responses, "repetition_variance"), (between - noise) / between)


def test_no_ceiling_normalises_nothing() -> None:
    ceiling = np.array([0.25, 0.0, -0.1])
    np.testing.assert_array_equal(normalise_r(np.full(3, 0.4), ceiling), [0.8, np.nan, np.nan])
    np.testing.assert_array_equal(normalise_r2(np.full(3, 0.1), ceiling), [0.4, np.nan, np.nan])


def test_without_a_choice_there_are_20_splits_of_seed_0() -> None:
    trials = list(np.random.default_rng(0).standard_normal((5, 4, 3)))
    np.testing.assert_array_equal(split_half(trials), split_half(trials, n_splits=20, seed=0))
