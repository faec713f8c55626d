from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding.sweep.partition import best_space, commonality
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
