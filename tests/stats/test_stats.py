from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.data.noise import cov_from_residuals, prec_from_residuals
from rsatoolbox.util.inference_util import _dual_bootstrap
from scipy import stats as sps

from bltvs_neuro import stats
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.stats.resample import LEAST_DOF, corrected_dual_variance, corrected_variance, t_interval

RNG = np.random.default_rng(0)


def test_adjusted_p_values_match_the_definition_and_hand():
    p = RNG.uniform(size=50) ** 2
    # Benjamini and Hochberg: the least p_j * m / rank_j of all p_j that are not smaller
    rank = {value: np.sum(p <= value) for value in p}
    expected = np.array([min(q * 50 / rank[q] for q in p if q >= value) for value in p])
    np.testing.assert_allclose(stats.adjust_p_values(p, "fdr"), expected, rtol=1e-13)
    harmonic = sum(1 / k for k in range(1, 51))
    np.testing.assert_allclose(stats.adjust_p_values(p, "fdr_by"), np.minimum(expected * harmonic, 1), rtol=1e-13)
    # Yekutieli by hand: (0.01 * 3, 0.04, 0.04) * (1 + 1/2 + 1/3)
    np.testing.assert_allclose(stats.adjust_p_values([0.01, 0.04, 0.03], "fdr_by"), [0.055, 0.22 / 3, 0.22 / 3])
    np.testing.assert_allclose(stats.adjust_p_values(p, "bonferroni"), np.minimum(p * 50, 1))
    # Holm by hand: .01*3, max(.03, .03*2), max(.06, .04)
    np.testing.assert_allclose(stats.adjust_p_values([0.01, 0.04, 0.03], "holm"), [0.03, 0.06, 0.06])
    np.testing.assert_array_equal(stats.adjust_p_values(p, "none"), p)


def test_adjusting_keeps_shape_and_leaves_nan_out_of_the_family():
    p = np.array([[0.01, np.nan], [0.02, 0.5]])
    out = stats.adjust_p_values(p, "bonferroni")
    np.testing.assert_allclose(out, [[0.03, np.nan], [0.06, 1.0]])
    with pytest.raises(SpecError, match=r"unknown correction 'fdrr' \(did you mean 'fdr'\?\)"):
        stats.adjust_p_values(p, "fdrr")
    with pytest.raises(SpecError, match=r"0\.\.1"):
        stats.adjust_p_values([1.5])


def test_sign_flips_are_all_patterns_once_when_few():
    signs, exact = stats.sign_flips(4, 100, np.random.default_rng(0))
    assert exact
    assert len(np.unique(signs, axis=0)) == 16
    np.testing.assert_array_equal(signs[0], 1)
    signs, exact = stats.sign_flips(20, 100, np.random.default_rng(0))
    assert not exact
    assert signs.shape == (100, 20)


@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
def test_sign_flip_test_is_scipys_permutation_test(tail):
    x = RNG.normal(0.4, 1, 9)
    ours = stats.sign_flip_test(x, tail=tail)
    theirs = (
        sps.permutation_test((x,), np.mean, permutation_type="samples", alternative=tail, n_resamples=np.inf)
        if tail != "two-sided"
        else None
    )
    if theirs is None:
        signs, _ = stats.sign_flips(9, 512, np.random.default_rng(0))
        expected = np.mean(np.abs(signs @ x) >= abs(x.sum()) - 1e-12)
    else:
        expected = theirs.pvalue
    assert ours.exact
    np.testing.assert_allclose(ours.p_value, expected)


def test_sign_flip_family_p_is_never_smaller_and_holds_its_level():
    rejections = 0
    for seed in range(200):
        x = np.random.default_rng(seed).normal(size=(10, 15))
        test = stats.sign_flip_test(x, tail="two-sided", n_samples=400, seed=seed)
        assert np.all(test.p_family >= test.p_value)
        rejections += np.any(test.p_family <= 0.05)
    assert 1 <= rejections <= 22


def test_sign_flip_four_equal_subjects_reach_only_a_sixteenth():
    assert stats.sign_flip_test(np.ones(4)).p_value == 1 / 16
    assert np.isnan(stats.sign_flip_test(np.array([[np.nan], [1.0]])).p_value[0])


def test_bootstrap_counts_sum_to_n_and_repeat_with_the_seed():
    a = stats.bootstrap_counts(7, 50, np.random.default_rng(3))
    b = stats.bootstrap_counts(7, 50, np.random.default_rng(3))
    np.testing.assert_array_equal(a, b)
    assert set(a.sum(axis=1)) == {7}


def test_dual_variance_is_rsatoolboxs():
    v = RNG.uniform(0.1, 2, size=(3, 40))
    ours = stats.corrected_dual_variance(v[0], v[1], v[2], n_subjects=5, n_stimuli=11)
    np.testing.assert_allclose(ours, _dual_bootstrap(v, 5, 11), rtol=1e-14)
    with pytest.raises(SpecError, match="bootstrap over one factor"):
        stats.corrected_dual_variance(v[0], v[1], v[2], n_subjects=1, n_stimuli=11)


def test_t_interval_is_scipys():
    low, high = stats.t_interval(1.0, 0.2, 7, 0.9)
    np.testing.assert_allclose((low, high), sps.t.interval(0.9, 7, 1.0, 0.2))


@pytest.mark.parametrize("method", ["full", "shrinkage_eye", "shrinkage_diag"])
@pytest.mark.parametrize("dof", [None, 21])
def test_noise_covariance_is_rsatoolboxs(method, dof):
    x = RNG.normal(size=(30, 12)) @ RNG.normal(size=(12, 12))
    expected = cov_from_residuals(x.copy(), dof=dof, method=method)
    np.testing.assert_allclose(stats.noise_covariance(x, method, dof=dof), expected, atol=1e-11, rtol=1e-11)
    np.testing.assert_allclose(
        stats.noise_precision(x, method, dof=dof),
        prec_from_residuals(x.copy(), dof=dof, method=method),
        rtol=1e-7,
        atol=1e-10,
    )


def test_noise_covariance_diag_is_the_diagonal():
    x = RNG.normal(size=(30, 12))
    np.testing.assert_allclose(np.diag(stats.noise_covariance(x, "diag")), cov_from_residuals(x.copy(), method="diag"))
    np.testing.assert_allclose(stats.noise_precision(x, "diag"), 1 / x.var(axis=0, ddof=1))


def test_singular_covariance_says_what_to_do():
    x = RNG.normal(size=(5, 12))
    with pytest.raises(DataError, match="12 channels from 5 samples is singular; use 'shrinkage_diag'"):
        stats.noise_precision(x, "full")
    x[:, 3] = 1.0
    with pytest.raises(DataError, match="1 channels have no noise variance"):
        stats.noise_precision(x, "diag")
    with pytest.raises(DataError, match="1 of 12 channels"):
        stats.noise_covariance(x, "shrinkage_diag")


def test_clusters_of_a_small_map_by_hand():
    t = np.array([[3.0, 3.0, 0.0, -4.0], [0.0, 0.0, 2.5, -4.0], [np.nan, 5.0, 0.0, 0.0]])
    labels, mass = stats.find_clusters(t, 2.0, "two-sided")
    np.testing.assert_array_equal(labels, [[2, 2, 0, 1], [0, 0, 4, 1], [0, 3, 0, 0]])
    np.testing.assert_allclose(mass, [-8.0, 6.0, 5.0, 2.5])


def test_cluster_test_finds_the_planted_cluster_and_repeats():
    x = RNG.normal(size=(12, 8, 20))
    x[:, 3:6, 5:12] += 1.5
    a = stats.cluster_sign_flip_test(x, n_permutations=300, seed=1)
    b = stats.cluster_sign_flip_test(x, n_permutations=300, seed=1)
    np.testing.assert_array_equal(a.p_values, b.p_values)
    np.testing.assert_allclose(a.statistic, sps.ttest_1samp(x, 0).statistic, rtol=1e-10)
    assert a.p_values[0] == 1 / 300
    assert a.significant()[4, 8]
    assert a.significant().sum() < 60


def test_cluster_test_holds_its_level():
    hits = 0
    for seed in range(100):
        x = np.random.default_rng(seed).normal(size=(10, 30))
        found = stats.cluster_sign_flip_test(x, n_permutations=100, seed=seed)
        hits += bool(found.p_values.size and found.p_values.min() <= 0.05)
    assert hits <= 12  # 5 % of 100 and three standard errors


def test_cluster_test_refuses_one_subject():
    with pytest.raises(SpecError, match="at least 2 subjects"):
        stats.cluster_sign_flip_test(np.zeros((1, 5)))
    with pytest.raises(SpecError, match="unknown tail"):
        stats.cluster_sign_flip_test(np.zeros((3, 5)), tail="both")


def test_corrected_variances_by_hand():
    """Three subjects (factor 3/2) and four stimuli (4/3): the combination, its floor and its ceiling in turn."""
    assert corrected_variance(2.0, 5) == pytest.approx(2.5)
    assert corrected_variance(2.0, 2) == pytest.approx(4.0)
    with pytest.raises(SpecError, match="over 1 unit has no variance"):
        corrected_variance(2.0, 1)
    both, subjects, stimuli = [6.0, 10.0, 4.5], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]
    found = corrected_dual_variance(both, subjects, stimuli, n_subjects=3, n_stimuli=4)
    np.testing.assert_allclose(found, [3 + 4 - 2 * (6 - 2 - 3), 4, 4.5])
    two = corrected_dual_variance(6.0, 2.0, 3.0, n_subjects=2, n_stimuli=2)
    assert two == pytest.approx(min(max(2 * 2 + 2 * 3 - 4 * 1, 6), 6))


def test_a_t_interval_needs_one_degree_of_freedom():
    low, high = t_interval([1.0, 1.0], 0.5, [LEAST_DOF, 0.99 * LEAST_DOF], 0.9)
    np.testing.assert_allclose([low[0], high[0]], [1 - 0.5 * 6.313752, 1 + 0.5 * 6.313752], rtol=1e-6)
    assert np.isnan([low[1], high[1]]).all()
    for level in (0.0, 1.0):
        with pytest.raises(SpecError, match="between 0 and 1"):
            t_interval(1.0, 0.5, 3, level)
