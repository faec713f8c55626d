"""Sign flips and bootstrap counts where the numbers can be listed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bltvs_neuro import stats
from bltvs_neuro.errors import SpecError
from bltvs_neuro.stats.resample import t_interval


def test_all_patterns_are_the_product_of_both_signs():
    signs, exact = stats.sign_flips(3, 8, np.random.default_rng(0))
    assert exact
    assert sorted(map(tuple, signs)) == sorted(product([-1.0, 1.0], repeat=3))


def test_drawn_patterns_are_signs_with_the_observed_one_first():
    signs, exact = stats.sign_flips(40, 30, np.random.default_rng(0))
    assert not exact
    assert signs.shape == (30, 40)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    np.testing.assert_array_equal(signs[0], np.ones(40))
    assert abs(signs[1:].mean()) < 4 / np.sqrt(29 * 40)  # four standard errors


def test_one_subject_has_two_patterns_and_one_sample_is_the_observed_one():
    signs, exact = stats.sign_flips(1, 2, np.random.default_rng(0))
    assert exact
    np.testing.assert_array_equal(signs, [[1.0], [-1.0]])
    signs, exact = stats.sign_flips(1, 1, np.random.default_rng(0))
    assert not exact
    np.testing.assert_array_equal(signs, [[1.0]])
    assert stats.sign_flip_test([2.0]).p_value == 0.5


@pytest.mark.parametrize(("units", "samples"), [(0, 1), (1, 0), (0, 0)])
def test_no_units_and_no_samples_are_refused(units, samples):
    rng = np.random.default_rng(0)
    with pytest.raises(SpecError, match=f"one sample; got {units} and {samples}"):
        stats.sign_flips(units, samples, rng)
    with pytest.raises(SpecError, match=f"one sample; got {units} and {samples}"):
        stats.bootstrap_counts(units, samples, rng)


def test_one_unit_is_drawn_in_every_sample():
    np.testing.assert_array_equal(stats.bootstrap_counts(1, 1, np.random.default_rng(0)), [[1]])


def test_ties_count_whatever_the_unit_of_the_values():
    """Values 1, 2, 3 (mean 2): only no flip reaches 2; all flipped does too when two-sided; flipping 1 gives 4/3."""
    for unit in (1e-12, 1.0, 1e12):
        values = np.array([[1.0, 3.0], [2.0, -1.0], [3.0, -1.0]]) * unit
        assert stats.sign_flip_test(values[:, 0], tail="two-sided").p_value == 2 / 8
        greater = stats.sign_flip_test(values)
        # means of the second column: 1/3 at first; 1, 1 and 5/3 with the ones flipped; below with the 3 flipped
        np.testing.assert_array_equal(greater.p_value, [1 / 8, 4 / 8])
        # the largest of both columns: no flip (2, 1/3); flips of 1: (4/3, -5/3); of 2: (2/3, 1); of 3: (0, 1);
        # of 1 and 2: (0, -1); of 1 and 3: (-2/3, -1); of 2 and 3: (-4/3, 5/3); of all: (-2, -1/3)
        np.testing.assert_array_equal(greater.p_family, [1 / 8, 5 / 8])


def test_without_a_choice_there_are_10000_patterns_of_seed_0():
    x = np.random.default_rng(1).normal(0.2, 1, size=(14, 3))
    found, said = stats.sign_flip_test(x), stats.sign_flip_test(x, n_samples=10_000, seed=0)
    assert (found.n_flips, found.exact) == (10_000, False)
    np.testing.assert_array_equal(found.p_value, said.p_value)
    assert stats.sign_flip_test(x[:13]).n_flips == 2**13


def test_p_values_of_zero_and_one_can_be_adjusted():
    np.testing.assert_array_equal(stats.adjust_p_values([0.0, 1.0, 0.25], "bonferroni"), [0.0, 1.0, 0.75])


def test_an_interval_is_of_95_percent_unless_told():
    """t of 10 degrees of freedom: 2.228 leaves 2.5 % above it."""
    low, high = t_interval(1.0, 0.5, 10)
    np.testing.assert_allclose([low, high], [1 - 0.5 * 2.228139, 1 + 0.5 * 2.228139], atol=1e-6)
