"""Tests of models, bootstrap variances and dropped stimuli where each number has its own source."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats as sps

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.labelled import make_rdms, rdm_stimulus_ids
from bltvs_neuro.rsa.comparing.missing import drop_missing
from bltvs_neuro.rsa.comparing.similarity import compare_vectors
from bltvs_neuro.rsa.inference import tests
from bltvs_neuro.rsa.inference.bootstrap import _covariance, best_share, bootstrap_rsa, bootstrap_scores
from bltvs_neuro.rsa.inference.ceiling import NoiseCeiling, spearman_brown
from bltvs_neuro.rsa.inference.limits import bounded_interval, reasons
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.inference.tests import label_permutation_test, model_tests
from bltvs_neuro.rsa.inference.variance import OVER, Spread


def made_up(k: int = 4) -> Spread:
    """Two models whose variances and degrees of freedom all differ."""
    scores = np.array([[0.30, 0.35, 0.20, 0.25], [0.40, -0.05, 0.15, 0.10]])[:, :k]
    lower, upper = np.array([0.4, 0.3, 0.5, 0.2])[:k], np.array([0.5, 0.4, 0.6, 0.3])[:k]
    ceiling = NoiseCeiling(float(lower.mean()), float(upper.mean()), lower, upper, tuple("abcd")[:k])
    return Spread(
        scores=scores, ceiling=ceiling, over="both", variance=np.array([0.01, 0.0025]), zero_dof=np.array([7.0, 1.0]),
        difference_variance=np.array([[0.0, 0.04], [0.04, 0.0]]), difference_dof=np.array([[0.0, 5.0], [5.0, 0.0]]),
        ceiling_difference_variance=np.array([[0.09, 9.0], [0.16, 9.0]]), dof=np.array([6.0, 8.0]),
        ceiling_difference_dof=np.array([[3.0, 90.0], [1.0, 90.0]]), ceiling_variance=np.ones(2), ceiling_dof=np.ones(2),
    )  # fmt: skip


def test_t_tests_take_the_variance_and_degrees_of_their_own_contrast(monkeypatch):
    found = made_up()
    mean, lower = found.mean, 0.35
    p = model_tests(found)
    np.testing.assert_allclose(p.zero, [sps.t.sf(mean[0] / 0.1, 7), sps.t.sf(mean[1] / 0.05, 1)])
    assert np.isnan(p.ceiling).all()  # of 4 subjects
    monkeypatch.setattr(tests, "LEAST_SUBJECTS", 4)
    below = [sps.t.cdf((mean[0] - lower) / 0.3, 3), sps.t.cdf((mean[1] - lower) / 0.4, 1)]
    np.testing.assert_allclose(model_tests(found).ceiling, below)
    apart = 2 * sps.t.sf(abs(mean[0] - mean[1]) / 0.2, 5)
    np.testing.assert_allclose(p.pairwise, [[1, apart], [apart, 1]])
    few = model_tests(replace(found, zero_dof=np.array([0.99, 1.0])))
    np.testing.assert_array_equal(np.isnan(few.zero), [True, False])
    few = model_tests(replace(found, ceiling_difference_dof=np.array([[0.99, 90.0], [1.0, 0.5]])))
    np.testing.assert_array_equal(np.isnan(few.ceiling), [True, False])


@pytest.mark.parametrize("k", [2, 4])
def test_sign_flips_of_scores_of_distances_to_the_ceiling_and_of_differences(k, monkeypatch):
    monkeypatch.setattr(tests, "LEAST_SUBJECTS", k)
    found = made_up(k)
    signs = np.array(list(product([1, -1], repeat=k)))

    def two_sided(x: np.ndarray) -> float:
        return float(np.mean(np.abs(signs @ x) >= abs(x.sum()) - 1e-12))

    p = model_tests(found, "sign_flip")
    np.testing.assert_array_equal(p.zero, [np.mean(signs @ x >= x.sum() - 1e-12) for x in found.scores])
    below = [found.ceiling.lower_per_subject - x for x in found.scores]
    np.testing.assert_array_equal(p.ceiling, [np.mean(signs @ x >= x.sum() - 1e-12) for x in below])
    apart = two_sided(found.scores[0] - found.scores[1])
    np.testing.assert_array_equal(p.pairwise, [[1, apart], [apart, 1]])


def test_without_a_choice_flips_are_10000_and_permutations_1000_of_seed_0():
    rng = np.random.default_rng(0)
    scores = rng.normal(0.1, 0.2, (2, 15))
    found = replace(made_up(), scores=scores, ceiling=NoiseCeiling(0.3, 0.4, scores[0] + 0.1, scores[1], ()))
    free, said = model_tests(found, "sign_flip"), model_tests(found, "sign_flip", n_flips=10_000, seed=0)
    np.testing.assert_array_equal(free.zero, said.zero)
    x, y = rng.random((1, 15)), rng.random((1, 15))
    free, said = (label_permutation_test(x, y, "pearson", **o) for o in ({}, {"n_permutations": 1000, "seed": 0}))
    np.testing.assert_array_equal(free.null, said.null)
    np.testing.assert_allclose(free.score, compare_vectors(x, y, "pearson")[:, 0])
    assert free.p_value[0] == np.mean(free.null[:, 0] >= free.null[0, 0] - 1e-12)


def test_an_interval_that_ends_at_the_range_is_not_cut():
    half = sps.t.ppf(0.975, 4)
    low, high, cut = bounded_interval([0.0, 0.0], [1 / half, 1.01 / half], [4, 4], 0.95)
    np.testing.assert_allclose([low, high], [[-1, -1], [1, 1]])
    assert cut.tolist() == [bool(low[0] < -1), True]
    assert bounded_interval([1.0, -1.0], [0.0, 0.0], [4, 4], 0.95)[2].tolist() == [False, False]


def test_one_degree_of_freedom_is_enough_to_give_an_interval():
    assert reasons(replace(made_up(), dof=np.array([1.0, 0.99])))[0] == ""
    assert "0.99 degrees of freedom" in reasons(replace(made_up(), dof=np.array([1.0, 0.99])))[1]


def test_least_counts_of_an_inference():
    assert (Inference().bootstrap, Inference().n_permutations, Inference().confidence) == (1000, 1000, 0.95)
    Inference(bootstrap=0, n_permutations=1)
    Inference(variance="bootstrap", bootstrap=2)
    for wrong in (
        {"bootstrap": -1}, {"n_permutations": 0}, {"bootstrap": 10**12},
        {"n_permutations": 10**12}, {"confidence": 0.0}, {"confidence": 1.0},
    ):  # fmt: skip
        with pytest.raises(SpecError, match=f"got {next(reversed(wrong.values())):,}"):
            Inference(**wrong)
    Inference(variance="bootstrap", bootstrap=2).check_variance()
    Inference(variance="jackknife", bootstrap=0).check_variance()
    with pytest.raises(SpecError, match="got 1"):
        Inference(variance="bootstrap", bootstrap=1).check_variance()


@pytest.mark.parametrize("over", OVER)
def test_scores_alone_are_those_of_the_whole_bootstrap(over):
    rng = np.random.default_rng(0)
    models, data = rng.random((2, 28)), rng.random((3, 28))
    whole = bootstrap_rsa(models, data, "cosine", over=over, n_samples=6, seed=4)
    found = bootstrap_scores(models, data, "cosine", over=over, n_samples=6, seed=4)
    np.testing.assert_allclose(found, whole.samples[over][:, :2])
    free, said = (bootstrap_scores(models, data, "cosine", **o) for o in ({}, {"n_samples": 1000, "seed": 0}))
    np.testing.assert_array_equal(free, said)


def test_two_subjects_and_three_stimuli_can_be_resampled():
    models, data = np.array([[1.0, 2.0, 4.0]]), np.array([[1.0, 3.0, 2.0], [2.0, 1.0, 5.0]])
    found = bootstrap_rsa(models, data, "cosine", over="subjects", subject_counts=np.array([[1, 1], [2, 0], [0, 2]]))
    a, b = compare_vectors(models, data, "cosine")[0]
    np.testing.assert_allclose(found.samples["subjects"][:, 0], [(a + b) / 2, a, b])
    # counts of two subjects: the variance over samples doubled
    np.testing.assert_allclose(found.variance, np.var([(a + b) / 2, a, b], ddof=1) * 2)
    assert found.zero_dof.shape == (1,) and found.zero_dof[0] == 1
    assert bootstrap_rsa(models, data, "cosine", over="stimuli", n_samples=3).dof[0] == 2


def test_without_a_choice_there_are_1000_samples_of_seed_0():
    rng = np.random.default_rng(0)
    models, data = rng.random((1, 10)), rng.random((2, 10))
    free, said = (bootstrap_rsa(models, data, "cosine", **o) for o in ({}, {"n_samples": 1000, "seed": 0}))
    np.testing.assert_array_equal(free.samples["both"], said.samples["both"])


def test_best_shares_by_hand():
    samples = np.array([[0.1, 0.3, 0.2], [0.5, 0.4, np.nan], [np.nan] * 3, [0.0, -0.1, -0.2], [0.2, 0.9, 0.1]])
    np.testing.assert_array_equal(best_share(samples), [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(best_share(samples[:1]), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(best_share(samples[2:3]), [0.0, 0.0, 0.0])


def test_covariances_of_samples_without_a_score_are_pandas():
    x = np.random.default_rng(0).normal(5, 1, (12, 4))
    x[[0, 3], 1] = x[[3, 7], 2] = x[1:, 3] = np.nan
    np.testing.assert_allclose(_covariance(x), pd.DataFrame(x).cov())
    x[1, 3] = 4.0  # two samples are enough
    np.testing.assert_allclose(_covariance(x), pd.DataFrame(x).cov())
    np.testing.assert_allclose(_covariance(x[:, :1]), [[x[:, 0].var(ddof=1)]])


def test_a_reliability_needs_a_positive_factor():
    np.testing.assert_allclose(spearman_brown(0.5, 0.5), 0.25 / 0.75)
    for factor in (0, -1):
        with pytest.raises(SpecError, match=f"positive; got {factor}"):
            spearman_brown(0.5, factor)


def missing(n: int, *pairs: tuple[int, int]):
    """An RDM of stimuli a, b, ... without some pairs."""
    i, j = np.triu_indices(n, 1)
    values = np.arange(1.0, len(i) + 1)
    values[[any({a, b} == set(p) for p in pairs) for a, b in zip(i, j, strict=True)]] = np.nan
    return make_rdms(values[None], list("abcdefgh")[:n], metric="m")


def test_the_stimuli_that_lack_most_are_dropped(caplog):
    """Stimulus b has no pair in the brain; then c lacks two pairs, d and e one each."""
    models = missing(7, (2, 3), (2, 4))
    brain = missing(7, *((1, other) for other in range(7) if other != 1))
    with caplog.at_level(logging.WARNING):
        left, right = drop_missing(models, brain, "drop")
    assert list(rdm_stimulus_ids(left)) == list(rdm_stimulus_ids(right)) == list("adefg")
    assert "2 of 7 stimuli have missing dissimilarities and are dropped: b, c" in caplog.text
    assert not np.isnan(left.values).any() and not np.isnan(right.values).any()
    with pytest.raises(
        DataError, match=r"8 dissimilarities are missing \(NaN\) in model RDM 0, neural RDM 0.*any: b\."
    ):
        drop_missing(models, brain, "raise")


def test_three_stimuli_may_remain_and_nothing_is_dropped_without_need():
    whole = missing(4)
    assert drop_missing(whole, whole, "drop")[0] is whole
    assert list(rdm_stimulus_ids(drop_missing(whole, missing(4, (0, 1)), "drop")[0])) == list("bcd")
    with pytest.raises(DataError, match="only 2 of 4 stimuli have all"):
        drop_missing(whole, missing(4, (0, 1), (0, 2), (2, 3)), "drop")
