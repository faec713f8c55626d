from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.spatial.distance import squareform

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare_vectors
from bltvs_neuro.rsa.comparing.weighted_ranks import RankOrder, expanded_scores
from bltvs_neuro.rsa.inference import jackknife
from bltvs_neuro.rsa.inference.bootstrap import OVER, bootstrap_rsa, sample_scores
from bltvs_neuro.rsa.inference.jackknife import jackknife_rsa
from bltvs_neuro.stats import bootstrap_counts
from bltvs_neuro.stats.pairs import sums_between

from . import reference

N, K, M = 10, 4, 3
P = N * (N - 1) // 2


def world(seed: int = 0, n_models: int = M) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2, 1, (1, P))
    models = np.concatenate([truth + rng.gamma(2, 1, (n_models - 1, P)), rng.integers(0, 3, (1, P))])
    return models, truth + rng.gamma(2, 1.5, (K, P))


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_dual_bootstrap_is_rsatoolboxs_on_its_own_samples(similarity):
    models, data = world()
    theirs, w, v = reference.dual_bootstrap(models, data, similarity, n_samples=12, seed=3)
    ours = bootstrap_rsa(models, data, similarity, stimulus_counts=w, subject_counts=v)
    for i, key in enumerate(("both", "subjects", "stimuli")):
        np.testing.assert_allclose(ours.samples[key][:, :M], theirs.evaluations[:, :, 0, 0, i], atol=1e-11)
        np.testing.assert_allclose(ours.samples[key][:, M:], theirs.noise_ceiling[:, :, 0, i].T, atol=1e-11)
    np.testing.assert_allclose(ours.variance, theirs.model_var, atol=1e-12)
    np.testing.assert_allclose(ours.difference_variance[np.triu_indices(M, 1)], theirs.diff_var, atol=1e-12)
    np.testing.assert_allclose(ours.ceiling_difference_variance, theirs.noise_ceil_var, atol=1e-12)
    assert (ours.dof == theirs.dof).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_weighted_samples_are_the_expanded_ones(similarity):
    models, data = world(1)
    rng = np.random.default_rng(0)
    w = bootstrap_counts(N, 15, rng)
    w[0] = [6, 1, 1, 1, 1, 0, 0, 0, 0, 0]  # n + 2 - 2w = 0: the Sherman-Morrison formula divides by it
    w[1] = [7, 2, 1, 0, 0, 0, 0, 0, 0, 0]
    v = bootstrap_counts(K, 30, rng).reshape(15, 2, K)
    v[3, 0] = [4, 0, 0, 0]
    fast, slow = sample_scores(models, data, similarity, w, v), expanded_scores(models, data, similarity, w, v)
    np.testing.assert_allclose(fast.scores, slow.scores, atol=1e-11)
    np.testing.assert_allclose(fast.ceilings, slow.ceilings, atol=1e-11)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_two_subjects_have_a_ceiling_and_one_has_none(similarity):
    """Of two subjects each is the other's lower bound."""
    models, data = world(1)
    w, both, alone = np.ones((1, N), int), np.ones((1, 1, 2), int), np.ones((1, 1, 1), int)
    lower = compare_vectors(data[:1], data[1:2], similarity)[0, 0]
    for score in (sample_scores, expanded_scores):
        found = score(models, data[:2], similarity, w, both)
        np.testing.assert_allclose(found.ceilings[0, 0, 0], lower, atol=1e-11)
        assert found.ceilings[0, 0, 1] > lower
        assert np.isnan(score(models, data[:1], similarity, w, alone).ceilings).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_weighted_samples_of_whole_categories_are_the_expanded_ones(similarity):
    models, data = world(1)
    unit = np.array([0, 0, 1, 2, 2, 2, 3, 3, 4, 1])
    rng = np.random.default_rng(0)
    w = bootstrap_counts(5, 12, rng)
    w[0] = [3, 1, 1, 0, 0]
    w[1] = [1, 1, 0, 3, 0]
    w[2] = [1, 1, 1, 1, 1]
    w[3] = [0, 2, 3, 0, 0]  # two categories
    w[4] = [3, 2, 0, 0, 0]
    # as many stimuli in other copies of a category as in all other categories: the formula divides by n - 2 m (w - 1)
    w[5] = [0, 1, 3, 0, 1]
    v = bootstrap_counts(K, 24, rng).reshape(12, 2, K)
    fast, slow = (
        sample_scores(models, data, similarity, w, v, unit),
        expanded_scores(models, data, similarity, w, v, unit),
    )
    np.testing.assert_allclose(fast.scores, slow.scores, atol=1e-11)
    np.testing.assert_allclose(fast.ceilings, slow.ceilings, atol=1e-11)
    np.testing.assert_allclose(fast.scores[2], compare_vectors(models, data, similarity), atol=1e-11)


@pytest.mark.parametrize("similarity", ["corr_cov", "spearman"])
def test_a_category_for_each_stimulus_changes_nothing(similarity):
    models, data = world(1)
    alone = np.arange(N)
    for variance in (partial(bootstrap_rsa, n_samples=9), jackknife_rsa):
        found, again = variance(models, data, similarity), variance(models, data, similarity, clusters=alone)
        np.testing.assert_allclose(again.variance, found.variance, rtol=1e-9)
        np.testing.assert_allclose(again.difference_variance, found.difference_variance, rtol=1e-9, atol=1e-16)
        np.testing.assert_allclose(again.dof, found.dof, rtol=1e-9)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_jackknife_of_categories_leaves_whole_ones_out(similarity, monkeypatch):
    models, data = world(1)
    unit = np.arange(N) // 2
    monkeypatch.setattr(jackknife, "_surplus", lambda gram, sums, n: np.zeros_like(gram))
    found = jackknife.jackknife_rsa(models, data, similarity, over="stimuli", clusters=unit)
    i, j = np.triu_indices(N, 1)
    left = [
        compare_vectors(models[:, kept], data[:, kept], similarity).mean(axis=1)
        for kept in ((unit[i] != u) & (unit[j] != u) for u in range(5))
    ]
    np.testing.assert_allclose(found.variance, 16 * np.var(left, axis=0, ddof=1) / 5, rtol=1e-9)


def test_sums_over_pairs_of_categories():
    values, group = np.arange(1.0, 11)[None], np.array([0, 1, 0, 2, 2])
    square = squareform(values[0])
    found = sums_between(values, group)[0]
    within = np.array([square[0, 2], 0, square[3, 4]])
    between = [square[np.ix_(group == a, group == b)].sum() for a, b in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(
        found, between + np.array([within[:2].sum(), within[[0, 2]].sum(), within[1:].sum()]) / 2
    )
    assert found.sum() == values.sum()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_blocks_do_not_change_numbers(similarity, monkeypatch):
    import bltvs_neuro.rsa.comparing.weighted as weighted

    models, data = world(2)
    whole = bootstrap_rsa(models, data, similarity, n_samples=9)
    monkeypatch.setattr(weighted, "BLOCK", 120)
    cut = bootstrap_rsa(models, data, similarity, n_samples=9)
    np.testing.assert_allclose(cut.variance, whole.variance, rtol=1e-10)


def test_samples_of_two_stimuli_do_not_count():
    models, data = world()
    w = np.zeros((3, N), int)
    w[:, 0], w[:, 1] = 5, 5
    w[2, 2], w[2, 1] = 2, 3
    found = sample_scores(models, data, "pearson", w, np.ones((3, 1, K), int))
    assert np.isnan(found.scores[:2]).all()
    assert np.isfinite(found.scores[2]).all()
    # of one pair, drawn often, a cosine is defined, and says nothing either
    assert np.isnan(sample_scores(models, data, "cosine", w[:2], np.ones((2, 1, K), int)).scores).all()
    w = np.concatenate([w, bootstrap_counts(N, 30, np.random.default_rng(0))])
    result = bootstrap_rsa(models, data, "spearman", over="stimuli", stimulus_counts=w)
    again = bootstrap_rsa(models, data, "spearman", over="stimuli", stimulus_counts=w[2:])
    np.testing.assert_allclose(result.variance, again.variance, rtol=1e-10)


def test_a_model_that_is_constant_in_a_sample_is_undefined_there_only():
    models, data = world()
    i, j = np.triu_indices(N, 1)
    models[2] = (i == 0) | (j == 0)  # without stimulus 0 it is constant
    w = bootstrap_counts(N, 40, np.random.default_rng(0))
    for similarity in ("pearson", "corr_cov", "spearman"):
        result = bootstrap_rsa(models, data, similarity, over="stimuli", stimulus_counts=w)
        np.testing.assert_array_equal(np.isnan(result.samples["stimuli"][:, 2]), w[:, 0] == 0)
        assert np.isfinite(result.variance).all()
        np.testing.assert_allclose(result.variance[0], np.var(result.samples["stimuli"][:, 0], ddof=1) * N / (N - 1))


@pytest.mark.parametrize("over", OVER)
def test_seed_decides_everything(over):
    models, data = world()
    a, b, c = (bootstrap_rsa(models, data, "cosine", over=over, n_samples=20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.variance, b.variance)
    assert (a.variance != c.variance).all()
    assert (a.dof == {"both": K - 1, "stimuli": N - 1, "subjects": K - 1}[over]).all()


def test_subject_bootstrap_of_scores_is_the_standard_error_of_a_mean():
    models, data = world()
    found = bootstrap_rsa(models, data, "pearson", over="subjects", n_samples=20_000)
    np.testing.assert_allclose(found.variance, found.scores.var(axis=1, ddof=1) / K, rtol=0.05)


def test_one_subject_bootstraps_over_stimuli_alone():
    models, data = world()
    for over in ("both", "subjects"):
        with pytest.raises(SpecError, match=r"one subject cannot be resampled: bootstrap with over=.stimuli."):
            bootstrap_rsa(models, data[:1], "pearson", over=over)
    for similarity in SIMILARITIES:
        found = bootstrap_rsa(models, data[:1], similarity, over="stimuli", n_samples=10)
        assert np.isfinite(found.variance).all()
        assert np.isnan(found.ceiling_variance).all()


def test_nan_is_refused():
    models, data = world()
    data[0, 0] = np.nan
    with pytest.raises(DataError, match="without NaN; select stimuli"):
        bootstrap_rsa(models, data, "pearson")


def test_midranks_are_scipys_on_the_expanded_entries():
    from scipy.stats import rankdata

    rng = np.random.default_rng(0)
    vectors = np.stack([rng.integers(0, 5, 30), rng.normal(size=30)]).astype(float)
    for both in (vectors, vectors[:1], vectors[1:]):
        order = RankOrder(both)
        for _ in range(3):
            weights = rng.integers(0, 4, 30).astype(np.int32)
            ranks = order.twice_midranks(weights)
            for ours, x in zip(ranks, both, strict=True):
                expected = rankdata(np.repeat(x, weights))
                np.testing.assert_array_equal(np.repeat(ours, weights) / 2, expected)
