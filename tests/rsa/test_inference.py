from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.util.inference_util import t_test_0, t_test_nc, t_tests
from scipy import stats as sps

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare_vectors
from bltvs_neuro.rsa.inference.bootstrap import bootstrap_rsa
from bltvs_neuro.rsa.inference.tests import label_permutation_test, model_tests

N, K = 12, 6
P = N * (N - 1) // 2


def world(seed: int = 0, n_models: int = 4):
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2, 1, (1, P))
    models = np.concatenate([truth + rng.gamma(2, 2, (n_models - 1, P)), rng.gamma(2, 1, (1, P))])
    return models, truth + rng.gamma(2, 1.5, (K, P))


def test_t_tests_are_rsatoolboxs():
    found = bootstrap_rsa(*world(), "pearson", n_samples=50)
    ours = model_tests(found)
    evaluations = found.mean[None]
    np.testing.assert_allclose(ours.zero, t_test_0(evaluations, found.variance, K - 1), atol=1e-12)
    theirs = t_test_nc(evaluations, found.ceiling_difference_variance[:, 0], found.ceiling.lower, K - 1)
    above = found.mean > found.ceiling.lower  # theirs are two-sided
    np.testing.assert_allclose(ours.ceiling, np.where(above, 1 - theirs / 2, theirs / 2), atol=1e-12)
    models, data = world()
    assert np.isnan(model_tests(bootstrap_rsa(models, data[:5], "pearson", n_samples=50)).ceiling).all()
    pairs = t_tests(evaluations, found.difference_variance[np.triu_indices(4, 1)], K - 1)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(ours.pairwise[off], pairs[off], atol=1e-12)


def test_sign_flips_against_wilcoxons_cousin_by_enumeration():
    found = bootstrap_rsa(*world(), "spearman", over="subjects", n_samples=10)
    ours = model_tests(found, "sign_flip")
    signs = np.array(np.meshgrid(*[[1, -1]] * K)).reshape(K, -1).T
    for m in range(4):
        null = signs @ found.scores[m]
        assert ours.zero[m] == np.mean(null >= null.max() * 0 + found.scores[m].sum() - 1e-12)
    assert ours.zero.min() >= 1 / 64
    d = found.scores[0] - found.scores[1]
    assert ours.pairwise[0, 1] == np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-12)


def test_sign_flip_of_one_subject_raises():
    models, data = world()
    found = bootstrap_rsa(models, data[:1], "pearson", over="stimuli", n_samples=5)
    with pytest.raises(SpecError, match="use test=.t. over stimuli"):
        model_tests(found, "sign_flip")
    with pytest.raises(SpecError, match="unknown test"):
        model_tests(found, "flip")
    assert np.isnan(model_tests(found).ceiling).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_label_permutations_are_comparisons_with_shuffled_stimuli(similarity):
    from scipy.spatial.distance import squareform

    models, data = world()
    found = label_permutation_test(models, data, similarity, n_permutations=6, seed=4)
    rng = np.random.default_rng(4)
    np.testing.assert_allclose(found.null[0], compare_vectors(models, data, similarity).mean(axis=1), atol=1e-12)
    for null in found.null[1:]:
        o = rng.permutation(N)
        shuffled = np.stack([squareform(squareform(d)[np.ix_(o, o)]) for d in data])
        np.testing.assert_allclose(null, compare_vectors(models, shuffled, similarity).mean(axis=1), atol=1e-12)
    assert (found.p_family >= found.p_value).all()


def test_label_permutations_hold_their_level_and_find_the_truth():
    rejected = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rejected += (
            label_permutation_test(
                rng.gamma(2, 1, (1, P)), rng.gamma(2, 1, (1, P)), "spearman", n_permutations=99, seed=seed
            ).p_value[0]
            <= 0.05
        )
    assert 2 <= rejected <= 19  # 5 % of 200 and three standard errors
    _, data = world()
    assert label_permutation_test(data[:1], data[1:], "pearson", n_permutations=200).p_value[0] == 1 / 200


def test_label_permutation_refuses_nan():
    models, data = world()
    data[0, 0] = np.nan
    with pytest.raises(DataError, match="without NaN"):
        label_permutation_test(models, data, "pearson")


def test_p_values_are_those_of_the_t_distribution():
    found = bootstrap_rsa(*world(), "corr_cov", n_samples=50)
    t = found.mean / np.sqrt(found.variance)
    np.testing.assert_allclose(model_tests(found).zero, sps.t.sf(t, K - 1))
