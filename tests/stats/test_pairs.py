from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import SpecError
from bltvs_neuro.stats.pairs import pair_variance, unit_sums


@pytest.mark.parametrize("n", [4, 5, 9])
def test_unit_sums_add_each_units_pairs(n):
    values = np.random.default_rng(0).normal(size=(3, n * (n - 1) // 2))
    square = np.zeros((3, n, n))
    i, j = np.triu_indices(n, 1)
    square[:, i, j] = square[:, j, i] = values
    np.testing.assert_allclose(unit_sums(values, n), square.sum(axis=2), atol=1e-12)


@pytest.mark.parametrize(("sd_unit", "sd_pair"), [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_components_are_unbiased_and_the_jackknife_counts_pairs_twice(sd_unit, sd_pair):
    n, runs = 7, 4000
    rng = np.random.default_rng(1)
    i, j = np.triu_indices(n, 1)
    a = rng.normal(0, sd_unit, (runs, n)) if sd_unit else np.zeros((runs, n))
    b = rng.normal(0, sd_pair, (runs, len(i))) if sd_pair else np.zeros((runs, len(i)))
    g = a[:, i] + a[:, j] + b
    means = g.mean(axis=1)
    g = g - means[:, None]
    found = [pair_variance(x[None] @ x[None].T, (r := unit_sums(x[None], n)) @ r.T, n) for x in g]
    units, rest, sums, total = (
        np.mean([getattr(f, name)[0, 0] for f in found]) for name in ("units", "rest", "sums", "total")
    )
    expected_units, expected_rest = 4 * sd_unit**2 / n, 2 * sd_pair**2 / (n * (n - 1))
    whole = expected_units + expected_rest
    np.testing.assert_allclose([units, rest, total], [expected_units, expected_rest, whole], atol=0.06 * whole)
    np.testing.assert_allclose(means.var(ddof=1), whole, rtol=0.1)
    extra = 4 * (n - 1) / (2 * (n - 2))  # exactly 2 for many units
    np.testing.assert_allclose(sums, expected_units + extra * expected_rest, rtol=0.06)


def test_three_units_leave_nothing():
    with pytest.raises(SpecError, match="at least 4 units"):
        pair_variance(np.eye(1), np.eye(1), 3)


def test_sums_of_any_number_of_leading_dimensions():
    values = np.arange(60.0).reshape(2, 5, 6)
    expected = np.stack([[unit_sums(row, 4) for row in block] for block in values])
    np.testing.assert_array_equal(unit_sums(values, 4), expected)
    np.testing.assert_array_equal(unit_sums(values[0, 0], 4), [0 + 1 + 2, 0 + 3 + 4, 1 + 3 + 5, 2 + 4 + 5])


def test_four_units_by_hand():
    """Pairs 3, -1, -1, -1, -1, 1: squares sum to 14; sums of units are 1, 1, -1, -1."""
    values = np.array([[3.0, -1, -1, -1, -1, 1]])
    sums = unit_sums(values, 4)
    np.testing.assert_array_equal(sums, [[1, 1, -1, -1]])
    found = pair_variance(values @ values.T, sums @ sums.T, 4)
    rest = (14 - 4 / 2) / 2
    alone = 4 * 4 / (4 * 3 * 4)
    np.testing.assert_allclose(
        [found.units, found.rest, found.sums], np.reshape([alone - rest / 2, rest / 6, alone], (3, 1, 1))
    )
