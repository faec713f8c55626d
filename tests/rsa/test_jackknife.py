from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as sps

from bltvs_neuro.errors import SpecError
from bltvs_neuro.rsa.comparing.concordance import tau_leave_one_out
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare_vectors
from bltvs_neuro.rsa.comparing.weighted_ranks import expanded_scores
from bltvs_neuro.rsa.inference import jackknife
from bltvs_neuro.rsa.inference.bootstrap import bootstrap_rsa, sample_scores
from bltvs_neuro.rsa.inference.jackknife import jackknife_rsa
from bltvs_neuro.rsa.inference.tests import model_tests
from bltvs_neuro.rsa.inference.variance import OVER
from bltvs_neuro.stats.pairs import unit_sums

from .simulate import draw

N, K = 12, 5


def world(n: int = N, k: int = K, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return draw(np.random.default_rng(seed), n_stimuli=n, n_subjects=k, noise=1.0)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_left_out_stimuli_are_comparisons_without_them(similarity):
    models, data = world()
    left = 1 - np.eye(N, dtype=np.int64)
    draws = np.broadcast_to(np.concatenate([np.ones((1, K), int), 1 - np.eye(K, dtype=int)]), (N, K + 1, K))
    i, j = np.triu_indices(N, 1)
    expected = np.stack(
        [compare_vectors(models[:, (i != s) & (j != s)], data[:, (i != s) & (j != s)], similarity) for s in range(N)]
    )
    fast, slow = (f(models, data, similarity, left, draws) for f in (sample_scores, expanded_scores))
    np.testing.assert_allclose(fast.scores, expected, atol=1e-12)
    np.testing.assert_allclose(fast.ceilings, slow.ceilings, atol=1e-12)
    if similarity == "tau-a":
        np.testing.assert_allclose(tau_leave_one_out(models, data)[1], expected, atol=1e-12)
        np.testing.assert_allclose(tau_leave_one_out(models, data)[0], compare_vectors(models, data, similarity))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_over_subjects_it_is_the_standard_error_of_a_mean(similarity):
    models, data = world()
    found = jackknife_rsa(models, data, similarity, over="subjects")
    np.testing.assert_allclose(found.variance, found.scores.var(axis=1, ddof=1) / K)
    np.testing.assert_allclose(found.dof, K - 1)
    differences = found.scores[0] - found.scores[1]
    np.testing.assert_allclose(found.difference_variance[0, 1], differences.var(ddof=1) / K)


@pytest.mark.parametrize("similarity", ["pearson", "spearman", "corr_cov"])
def test_it_is_the_bootstrap_without_the_surplus(similarity):
    """With many stimuli and a related model the surplus is small and both agree."""
    models, data = world(n=40, k=8)
    ours = jackknife_rsa(models[:2], data, similarity)
    boot = bootstrap_rsa(models[:2], data, similarity, n_samples=200)
    assert (np.abs(np.sqrt(ours.variance / boot.variance) - 1) < 0.2).all()
    unrelated = jackknife_rsa(models[2:], data, similarity)
    surplus = bootstrap_rsa(models[2:], data, similarity, n_samples=200)
    assert unrelated.variance[0] < surplus.variance[0]


def test_order_and_labels_of_stimuli_and_subjects_do_not_matter():
    from scipy.spatial.distance import squareform

    models, data = world()
    rng = np.random.default_rng(1)
    o = rng.permutation(N)
    moved = [np.stack([squareform(squareform(v)[np.ix_(o, o)]) for v in x]) for x in (models, data)]
    a, b = jackknife_rsa(models, data, "corr_cov"), jackknife_rsa(moved[0], moved[1][rng.permutation(K)], "corr_cov")
    for name in ("variance", "dof", "difference_variance", "ceiling_difference_variance", "ceiling_variance"):
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("over", OVER)
def test_every_contrast_has_a_variance(over):
    models, data = world()
    found = jackknife_rsa(models, data, "spearman", over=over)
    off = ~np.eye(3, dtype=bool)
    for values in (found.variance, found.ceiling_variance, found.ceiling_difference_variance):
        assert (values > 0).all()
    assert (found.difference_variance[off] > 0).all()
    p = model_tests(found)
    np.testing.assert_array_equal(np.isfinite(p.pairwise)[off], (found.difference_dof >= 1)[off])
    assert np.isnan(p.ceiling).all()  # of fewer than 6 subjects


def test_one_subject_two_subjects_and_few_stimuli():
    models, data = world()
    with pytest.raises(SpecError, match="one subject says nothing about others: take over=.stimuli."):
        jackknife_rsa(models, data[:1], "pearson")
    alone = jackknife_rsa(models, data[:1], "pearson", over="stimuli")
    assert np.isfinite(alone.variance).all() and np.isnan(alone.ceiling_variance).all()
    two = jackknife_rsa(models, data[:2], "pearson")
    assert np.isfinite(two.variance).all() and np.isnan(two.ceiling_variance).all()
    models, data = world(n=4)
    with pytest.raises(SpecError, match="at least 5 stimuli"):
        jackknife_rsa(models, data, "pearson")


def test_a_constant_model_is_undefined_and_leaves_the_others_alone():
    models, data = world()
    models = np.concatenate([models, np.ones((1, models.shape[1]))])
    with_it, without = jackknife_rsa(models, data, "pearson"), jackknife_rsa(models[:3], data, "pearson")
    np.testing.assert_allclose(with_it.variance[:3], without.variance)
    np.testing.assert_allclose(with_it.dof[:3], without.dof)
    assert np.isnan(with_it.variance[3]) and np.isnan(with_it.mean[3])


@pytest.mark.parametrize("over", ["both", "stimuli"])
def test_variances_and_degrees_by_hand(over, monkeypatch):
    """The random-effects sum with nothing taken off for pairs, from comparisons without one stimulus each."""
    models, data = world()
    monkeypatch.setattr(jackknife, "_surplus", lambda gram, sums, n: np.zeros_like(gram))
    found = jackknife.jackknife_rsa(models, data, "pearson", over=over)
    i, j = np.triu_indices(N, 1)
    whole = compare_vectors(models, data, "pearson")
    left = np.stack(
        [compare_vectors(models[:, (i != s) & (j != s)], data[:, (i != s) & (j != s)], "pearson") for s in range(N)]
    )
    each = (N - 1) * (whole - left)  # (stimuli, models, subjects)
    of_mean = each.mean(axis=2)
    stimuli = ((of_mean - of_mean.mean(axis=0)) ** 2).sum(axis=0) / (N * (N - 1))
    rest = each - each.mean(axis=2, keepdims=True)
    rest = rest - rest.mean(axis=0)
    both = over == "both"
    subjects = whole.var(axis=1, ddof=1) / K * both
    interaction = (rest**2).sum(axis=(0, 2)) / (N * (N - 1) * K * (K - 1)) * both
    variance = np.maximum(stimuli + subjects - interaction, np.maximum(stimuli, subjects) / 2)
    np.testing.assert_allclose(found.variance, variance)
    unsure = stimuli**2 / (N - 1) + subjects**2 / (K - 1) + interaction**2 / ((N - 1) * (K - 1))
    heavy = stimuli**2 * np.maximum(sps.kurtosis(of_mean, axis=0, bias=False), 0) / (2 * N)
    least = min(K - 1, 3) if both else 0
    np.testing.assert_allclose(found.dof, np.maximum(variance**2 / (unsure + heavy), least))
    np.testing.assert_allclose(found.zero_dof, np.maximum(variance**2 / unsure, least))


def test_the_surplus_is_what_pairs_add():
    """Pairs 3, -1, -1, -1, -1, 1 of four units: the jackknife has each pair once too often."""
    values = np.array([[3.0, -1, -1, -1, -1, 1]])
    sums = unit_sums(values, 4)
    rest = (14 - 4 / 2) / 2
    np.testing.assert_allclose(jackknife._surplus(values @ values.T, sums @ sums.T, 4), rest / 2 - rest / 6)
