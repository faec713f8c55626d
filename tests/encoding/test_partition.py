from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding.sweep.partition import best_space, commonality, corrected_interval
from bltvs_neuro.errors import SpecError


def test_two_spaces_follow_the_textbook_formula() -> None:
    rng = np.random.default_rng(0)
    bu, td, both = rng.random((3, 5))
    parts = commonality({frozenset(["bu"]): bu, frozenset(["td"]): td, frozenset(["bu", "td"]): both})
    np.testing.assert_allclose(parts[frozenset(["bu"])], both - td)
    np.testing.assert_allclose(parts[frozenset(["td"])], both - bu)
    np.testing.assert_allclose(parts[frozenset(["bu", "td"])], bu + td - both)


def test_parts_of_independent_spaces_are_unique_and_sum_to_the_whole() -> None:
    # variance that each set of spaces shares, by construction: R2 of a subset is all it touches
    truth = {
        frozenset("a"): 0.1,
        frozenset("b"): 0.2,
        frozenset("c"): 0.0,
        frozenset("ab"): 0.05,
        frozenset("abc"): 0.15,
    }
    truth |= {frozenset("ac"): 0.02, frozenset("bc"): 0.0}
    r2 = {s: np.array(sum(v for k, v in truth.items() if k & s)) for s in truth}
    parts = commonality(r2)
    for subset, value in truth.items():
        assert parts[subset] == pytest.approx(value, abs=1e-12)
    assert sum(parts.values()) == pytest.approx(r2[frozenset("abc")])


def test_a_missing_combination_is_named() -> None:
    with pytest.raises(SpecError, match=r"missing: bu \+ td"):
        commonality({frozenset(["bu"]): np.zeros(1), frozenset(["td"]): np.zeros(1)})


def test_the_margin_is_not_positive_when_all_spaces_are_equal_and_right_when_one_leads() -> None:
    rng = np.random.default_rng(0)
    scores = 0.1 * rng.standard_normal((12, 5, 2000))
    best = best_space(scores)
    plain = np.sort(scores.mean(axis=1), axis=0)
    assert (plain[-1] - plain[-2]).mean() > 0.01
    assert abs(best.margin.mean()) < 4 * best.margin.std() / np.sqrt(2000)
    scores[7] += 0.5
    best = best_space(scores)
    assert (best.winner == 7).all()
    assert (best.agreement > 0.5).all()
    assert best.margin.mean() == pytest.approx(0.5 - 0.0, abs=0.1)


def test_targets_without_scores_have_no_winner() -> None:
    scores = np.random.default_rng(0).random((3, 4, 2))
    scores[:, :, 0] = np.nan
    best = best_space(scores)
    assert best.winner[0] == -1
    assert np.isnan(best.margin[0])
    assert np.isfinite(best.margin[1])
    with pytest.raises(SpecError, match="2 or more folds"):
        best_space(scores[:, :1])


def test_the_interval_over_folds_by_hand() -> None:
    """Folds of 10, 20 and 30 rows test 20 and train on 40 on average: sqrt((1/3 + 20/40) 0.01) times t with 2 degrees."""
    folds, rows = np.array([0.1, 0.2, 0.3]), np.array([10, 20, 30])
    half = np.sqrt((1 / 3 + 1 / 2) * 0.01)
    for level, t in ((0.95, 4.302653), (0.9, 2.919986)):
        low, high = corrected_interval(folds, rows, confidence=level)
        np.testing.assert_allclose([low, high], [0.2 - t * half, 0.2 + t * half], rtol=1e-6)
    # a fold without a score: its rows were trained on by the others, it is no fold of the mean
    low, high = corrected_interval(folds[:2], rows)
    half = 12.7062047 * np.sqrt((1 / 2 + 1 / 2) * 0.005)
    np.testing.assert_allclose([low, high], [0.15 - half, 0.15 + half], rtol=1e-6)
    with pytest.raises(SpecError, match="2 or more; got 1"):
        corrected_interval(folds[:1], rows)


def test_the_best_space_by_hand() -> None:
    """The others choose the second space on folds 1 and 2, the first on fold 3; a fold without scores has no part in it."""
    first, second = [0.5, 0.6, 0.1, np.nan], [0.2, 0.3, 0.5, 0.4]
    best = best_space(np.array([first, second, [0.0, 0.0, 0.0, 0.0]])[:, :, None])
    leads = np.array([0.2 - 0.5, 0.3 - 0.6, 0.1 - 0.5])
    assert best.winner.tolist() == [0]
    np.testing.assert_allclose(best.margin, [leads.mean()])
    np.testing.assert_allclose(best.standard_error, [leads.std(ddof=1) / np.sqrt(3)])
    np.testing.assert_allclose(best.agreement, [1 / 3])


def test_two_folds_are_enough_and_one_fold_with_scores_has_no_margin() -> None:
    best = best_space(np.array([[[0.5, 0.5], [0.3, np.nan]], [[0.1, 0.1], [0.2, 0.2]]]))
    assert best.winner.tolist() == [0, 0]
    np.testing.assert_allclose(best.margin, [(0.4 + 0.1) / 2, np.nan])
    np.testing.assert_allclose(best.standard_error, [0.15, np.nan])
    np.testing.assert_allclose(best.agreement, [1, np.nan])
    alone = best_space(np.array([[[0.5], [0.3]]]))
    assert alone.winner.tolist() == [0] and np.isnan(alone.margin).all()
    with pytest.raises(SpecError, match="2 or more folds"):
        best_space(np.zeros((0, 3, 2)))
