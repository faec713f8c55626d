"""Noise covariances by hand, and in units other than 1."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.data.noise import cov_from_residuals

from bltvs_neuro import stats
from bltvs_neuro.errors import SpecError

METHODS = ("full", "shrinkage_eye", "shrinkage_diag")


def test_two_samples_and_one_channel_are_enough():
    np.testing.assert_array_equal(stats.noise_covariance([[0.0, 0.0], [2.0, 4.0]], "full"), [[2, 4], [4, 8]])
    np.testing.assert_array_equal(stats.noise_covariance([[1.0], [2.0], [6.0]], "full"), [[7.0]])
    np.testing.assert_array_equal(stats.noise_covariance([[1.0], [2.0], [6.0]], "shrinkage_diag"), [[7.0]])


@pytest.mark.parametrize("shape", [(5,), (1, 3), (2, 2, 2)])
def test_residuals_of_another_shape_are_refused(shape):
    with pytest.raises(SpecError, match="at least 2 samples; got shape"):
        stats.noise_covariance(np.zeros(shape))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_covariances_follow_the_unit(method, unit):
    """EEG in volts is about 1e-6: nothing may be compared with 1."""
    x = np.random.default_rng(2).normal(size=(40, 3)) @ np.array([[1.0, 0.4, 0.2], [0, 1.0, 0.3], [0, 0, 1.0]])
    np.testing.assert_allclose(
        stats.noise_covariance(x * unit, method), stats.noise_covariance(x, method) * unit**2, rtol=1e-10
    )
    np.testing.assert_allclose(
        stats.noise_precision(x * unit, method), stats.noise_precision(x, method) / unit**2, rtol=1e-8
    )


def test_little_correlation_is_shrunk_as_rsatoolbox_does():
    """Two channels: the squared correlations sum to less than 1."""
    x = np.random.default_rng(4).normal(size=(50, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
    found = stats.noise_covariance(x, "shrinkage_diag")
    np.testing.assert_allclose(found, cov_from_residuals(x.copy(), method="shrinkage_diag"), rtol=1e-12)
    assert 0 < found[0, 1] / stats.noise_covariance(x, "full")[0, 1] < 1


def test_no_correlation_is_shrunk_to_the_diagonal():
    """Orthogonal channels, and such whose correlation is far below its own error: the weight ends at 1."""
    x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    np.testing.assert_array_equal(stats.noise_covariance(x, "shrinkage_diag"), np.eye(2) * 4 / 3)
    x[0, 0] = 1.01
    found = stats.noise_covariance(x, "shrinkage_diag")
    np.testing.assert_allclose(found, np.diag(x.var(axis=0, ddof=1)), rtol=1e-14)
    assert abs(stats.noise_covariance(x, "full")[0, 1]) > 1e-3
