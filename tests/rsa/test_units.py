"""Similarities, influences and shares of variance do not depend on the unit, and hold at the smallest sizes."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import SpecError
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.commonality import MOST_GROUPS, commonality
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare, compare_vectors
from bltvs_neuro.rsa.inference.ceiling import average_rdms, noise_ceiling
from bltvs_neuro.rsa.inference.influence import influence, prepare
from bltvs_neuro.rsa.inference.options import Inference

RNG = np.random.default_rng(0)
N = 7
A, B = RNG.gamma(2, 1, (2, 3, N * (N - 1) // 2))
IDS = [f"s{i}" for i in range(N)]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_similarities_and_influences_do_not_depend_on_the_unit(similarity, unit):
    np.testing.assert_allclose(compare_vectors(A * unit, B, similarity), compare_vectors(A, B, similarity))
    kind = SIMILARITIES[similarity]
    expected, found = (influence(prepare(x, kind), prepare(B, kind), kind) for x in (A, A * unit))
    np.testing.assert_allclose(found[0], expected[0], atol=1e-10)
    np.testing.assert_allclose(found[1], np.diag(compare_vectors(A, B, similarity)))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_influences_of_pairs_of_rdms_are_those_of_each(similarity):
    kind = SIMILARITIES[similarity]
    together = influence(prepare(A, kind), prepare(B, kind), kind)[0]
    for i in range(3):
        alone = influence(prepare(A[i : i + 1], kind), prepare(B[i : i + 1], kind), kind)[0]
        np.testing.assert_allclose(together[i], alone[0], atol=1e-12)


def test_the_influence_of_a_constant_rdm_is_undefined_with_ranks_corrected_for_ties():
    kind = SIMILARITIES["spearman"]
    flat = np.ones((1, A.shape[1]))
    values, similarity = influence(prepare(flat, kind), prepare(B[:1], kind), kind)
    assert np.isnan(similarity).all() and np.isnan(values).all()


@pytest.mark.parametrize("similarity", ["pearson", "spearman", "tau-a", "cosine"])
def test_two_pairs_have_a_similarity(similarity):
    x, y = np.array([[1.0, 2.0, np.nan]]), np.array([[3.0, 5.0, 0.0], [5.0, 3.0, 9.0]])
    expected = {"cosine": [13 / np.sqrt(5 * 34), 11 / np.sqrt(5 * 34)]}.get(similarity, [1.0, -1.0])
    np.testing.assert_allclose(compare_vectors(x, y, similarity), [expected])


def test_a_covariance_of_stimuli_goes_with_one_set_of_stimuli():
    a, b = (make_rdms(x, IDS, metric="m") for x in (A, B))
    sigma = np.linspace(0.5, 2, N)
    np.testing.assert_allclose(
        compare(a, b, "cosine_cov", sigma_k=sigma).values, compare_vectors(A, B, "cosine_cov", sigma_k=sigma)
    )
    with pytest.raises(SpecError, match="one set of stimuli"):
        compare(a, b, "cosine_cov", sigma_k=sigma, on_mismatch="intersect")


def test_two_subjects_are_each_others_lower_ceiling():
    """The similarity of either with the other; above it that with the mean of both, of unit variance each."""
    found = noise_ceiling(make_rdms(A[:2], IDS, metric="m", subject=["a", "b"]), "pearson")
    r = np.corrcoef(A[:2])[0, 1]
    np.testing.assert_allclose(found.lower_per_subject, [r, r])
    np.testing.assert_allclose(found.upper_per_subject, np.sqrt((1 + r) / 2))


def test_a_mean_rdm_keeps_its_metric_and_what_else_was_noted():
    rdms = make_rdms(A[:2], IDS, metric="euclidean", attrs={"source": "made up"}, subject=["a", "a"], session=[1, 2])
    mean = average_rdms(rdms)
    assert mean.attrs["metric"] == "euclidean" and mean.attrs["source"] == "made up"


def test_shares_of_variance_do_not_depend_on_the_unit_and_there_are_1000_samples_of_seed_0():
    brain = make_rdms(A, IDS, metric="m", subject=list("abc"))
    for unit in (1.0, 1e-8):
        groups = {"x": make_rdms(B[:1] * unit, IDS, metric="m"), "y": make_rdms(B[1:2], IDS, metric="m")}
        found = commonality(groups, brain)
        if unit == 1.0:
            expected = found.table
            said = commonality(groups, brain, inference=Inference(bootstrap=1000), seed=0).table
            np.testing.assert_array_equal(said["se"], expected["se"])
    np.testing.assert_allclose(found.table["r2"], expected["r2"], atol=1e-9)
    np.testing.assert_allclose(found.table["se"], expected["se"], rtol=1e-6)


def test_as_many_groups_as_are_allowed_divide_all_that_is_explained():
    groups = {str(i): make_rdms(RNG.random((1, 21)), IDS, metric="m") for i in range(MOST_GROUPS)}
    brain = RNG.random(21)
    found = commonality(
        groups, make_rdms(brain[None], IDS, metric="m"), inference=Inference(over="stimuli", bootstrap=200)
    )
    design = np.column_stack([np.ones(21), *(g.values[0] for g in groups.values())])
    left = brain - design @ np.linalg.lstsq(design, brain, rcond=None)[0]
    np.testing.assert_allclose(found.table["r2"].sum(), 1 - left.var() / brain.var())
    assert len(found.table) == 2**MOST_GROUPS - 1
