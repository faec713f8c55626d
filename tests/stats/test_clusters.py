"""Cluster tests on maps so small that every number can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro import stats
from bltvs_neuro.stats.clusters import ClusterTest


def test_significant_points_are_those_of_clusters_at_or_below_alpha():
    labels = np.array([1, 2, 3, 0])
    found = ClusterTest(np.zeros(4), labels, np.zeros(3), np.zeros(3), np.array([0.2, 0.05, 0.06]), 2.0, 20, False)
    np.testing.assert_array_equal(found.significant(), [False, True, False, False])
    np.testing.assert_array_equal(found.significant(0.06), [False, True, True, False])


def test_a_point_at_the_threshold_or_without_a_value_is_in_no_cluster():
    t = np.array([0.5, 0.75, np.nan, -0.5, -0.75])
    labels, mass = stats.find_clusters(t, 0.5, "two-sided")
    np.testing.assert_array_equal(labels, [0, 1, 0, 0, 2])
    np.testing.assert_array_equal(mass, [0.75, -0.75])
    assert stats.find_clusters(t, 0.5, "less")[1].tolist() == [-0.75]


def test_two_subjects_by_hand():
    """Values -1 and 2: t is 1/3; with one sign flipped it is 3 or -3, with both -1/3."""
    found = stats.cluster_sign_flip_test(np.array([[-1.0], [2.0]]), threshold=0.1)
    np.testing.assert_allclose(found.statistic, [1 / 3])
    np.testing.assert_allclose(found.mass, [1 / 3])
    np.testing.assert_array_equal(found.p_values, [2 / 4])
    assert (found.n_permutations, found.exact) == (4, True)
    both = stats.cluster_sign_flip_test(np.array([[-1.0], [2.0]]), threshold=0.1, tail="two-sided")
    np.testing.assert_array_equal(both.p_values, [1.0])


def test_thresholds_are_those_of_printed_tables():
    """t of 3 degrees of freedom: 2.353 leaves 5 % above it, 3.182 leaves 2.5 %."""
    x = np.array([[1.0], [2.0], [-1.0], [0.5]])
    for tail, expected in (("greater", 2.353363), ("less", 2.353363), ("two-sided", 3.182446)):
        assert stats.cluster_sign_flip_test(x, tail=tail).threshold == pytest.approx(expected, abs=1e-6)


def test_without_a_choice_there_are_1000_permutations_of_seed_0():
    x = np.random.default_rng(3).normal(0.3, 1, size=(12, 20))
    found, said = stats.cluster_sign_flip_test(x, threshold=1.0), dict(n_permutations=1000, seed=0)
    np.testing.assert_array_equal(found.p_values, stats.cluster_sign_flip_test(x, threshold=1.0, **said).p_values)
    assert (found.n_permutations, found.exact) == (1000, False)


def test_t_values_do_not_depend_on_the_unit():
    x = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 0.0], [5.0, -1.0, 0.0]])
    expected = [3 / np.sqrt(4 / 3), 1 / np.sqrt(3 / 3), 1 / np.sqrt(3 / 3)]
    for unit in (1e-6, 1.0, 1e6):
        np.testing.assert_allclose(stats.cluster_sign_flip_test(x * unit).statistic, expected, rtol=1e-9)


def test_equal_values_of_all_subjects_give_one_finite_t():
    """Without variance t has no bound: it stays at sqrt(n / eps), whatever the value, and 0 for zeros."""
    x = np.repeat([[3.0, 0.25, 0.0]], 4, axis=0)
    largest = np.sqrt(4 / np.finfo(np.float64).eps)
    np.testing.assert_allclose(stats.cluster_sign_flip_test(x).statistic, [largest, largest, 0.0])
