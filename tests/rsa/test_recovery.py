"""Recovery on simulated worlds. Slow: run with ``pytest -m slow tests/rsa/test_recovery.py``.

What holds, and what does not. The corrected dual bootstrap is near its nominal level for pearson with tens of stimuli and
subjects. It errs on the safe side with few subjects, because it takes one less than the smaller factor as degrees of
freedom (four subjects: intervals cover more than 99 %), and for models that are truly unrelated under the whitened and the
rank similarities, because a bootstrap of stimuli overestimates the variance of a similarity that is zero. The permutation
of stimulus labels is exact for that null, whatever the similarity.
"""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.rsa.bootstrap import bootstrap_rsa
from bltvs_neuro.rsa.inference import label_permutation_test, model_tests
from bltvs_neuro.rsa.similarity import compare_vectors
from bltvs_neuro.stats import t_interval

from .simulate import draw, draw_subjects

N_SIMULATIONS = 1000


def report(record_property, **figures: float) -> None:
    for name, value in figures.items():
        record_property(name, value)
        print(f"{name}: {value:.4f}")  # noqa: T201 - measured figures, shown with -s


@pytest.mark.slow
def test_dual_bootstrap_intervals_and_tests_generalise_to_stimuli_and_subjects(record_property):
    rng = np.random.default_rng(1)
    means, bounds, best, rejected = [], [], [], []
    for seed in range(N_SIMULATIONS):
        models, data = draw(rng, n_stimuli=50, n_subjects=30, noise=1.0)
        found = bootstrap_rsa(models, data, "pearson", n_samples=200, seed=seed)
        bounds.append(t_interval(found.mean, np.sqrt(found.variance), found.dof))
        means.append(found.mean)
        best.append(found.mean.argmax() == 0)
        rejected.append(model_tests(found).zero[2] <= 0.05)
    truth = np.mean(means, axis=0)
    covered = np.mean([(low <= truth) & (truth <= high) for low, high in bounds], axis=0)
    report(
        record_property, best=np.mean(best), true=covered[0], half=covered[1], null=covered[2], reject=np.mean(rejected)
    )
    assert np.mean(best) > 0.99
    assert (np.abs(covered - 0.95) <= 0.02).all()
    assert abs(np.mean(rejected) - 0.05) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("similarity", ["pearson", "corr_cov", "spearman"])
def test_subject_bootstrap_generalises_to_subjects(similarity, record_property):
    rng = np.random.default_rng(2)
    true = None
    means, bounds, rejected = [], [], []
    for seed in range(N_SIMULATIONS):
        models, data, true = draw_subjects(rng, true, n_stimuli=20, n_subjects=20, noise=1.5)
        found = bootstrap_rsa(models, data, similarity, over="subjects", n_samples=400, seed=seed)
        bounds.append(t_interval(found.mean, np.sqrt(found.variance), found.dof))
        means.append(found.mean)
        unrelated = draw_subjects(rng, None, n_stimuli=20, n_subjects=20, noise=1.5, common="no")[1]
        null = bootstrap_rsa(models, unrelated, similarity, over="subjects", n_samples=400, seed=seed)
        rejected.append(model_tests(null).zero[0] <= 0.05)
    truth = np.mean(means)
    covered = np.mean([(low[0] <= truth) & (truth <= high[0]) for low, high in bounds])
    report(record_property, covered=covered, reject=np.mean(rejected))
    assert abs(covered - 0.95) <= 0.02
    assert abs(np.mean(rejected) - 0.05) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("similarity", ["corr_cov", "spearman"])
def test_label_permutations_reject_unrelated_models_at_their_level(similarity, record_property):
    rng = np.random.default_rng(3)
    rejected = []
    for seed in range(N_SIMULATIONS):
        models, data = draw(rng, n_stimuli=20, n_subjects=4, noise=1.0)
        rejected.append(
            label_permutation_test(models[2:], data, similarity, n_permutations=199, seed=seed).p_value[0] <= 0.05
        )
    report(record_property, reject=np.mean(rejected))
    assert abs(np.mean(rejected) - 0.05) <= 0.02


def test_the_true_site_wins_and_scores_are_ordered():
    models, data = draw(np.random.default_rng(0), n_stimuli=24, n_subjects=8, noise=1.0)
    found = bootstrap_rsa(models, data, "corr_cov", n_samples=100)
    assert found.mean.argmax() == 0
    assert model_tests(found).pairwise[0, 2] < 0.05
    np.testing.assert_allclose(found.mean, compare_vectors(models, data, "corr_cov").mean(axis=1))
