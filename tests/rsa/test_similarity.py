from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as sps

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.neural.align import select_stimuli
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.comparing.similarity import SIMILARITIES, compare, compare_vectors

from . import reference

RNG = np.random.default_rng(2)
N = 14
P = N * (N - 1) // 2
IDS = [f"s{i}" for i in range(N)]


def vectors(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 1, (n, P))


def tied(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (n, P)).astype(float)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("make", [vectors, tied])
def test_similarities_are_rsatoolboxs(similarity, make):
    a, b = make(5, 0), vectors(4, 1)
    np.testing.assert_allclose(compare_vectors(a, b, similarity), reference.compare(a, b, similarity), atol=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_missing_pairs_are_rsatoolboxs(similarity):
    a, b = vectors(5, 0), vectors(4, 1)
    gone = RNG.permutation(P)[:17]
    a[:, gone] = b[:, gone] = np.nan
    np.testing.assert_allclose(compare_vectors(a, b, similarity), reference.compare(a, b, similarity), atol=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_missing_pairs_are_left_out_pair_of_rdms_by_pair_of_rdms(similarity):
    a, b = vectors(4, 0), vectors(3, 1)
    for i, v in enumerate((*a, *b)):
        v[RNG.permutation(P)[: 3 * (i % 4)]] = np.nan
    ours = compare_vectors(a, b, similarity)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            both = np.where(np.isnan(x) | np.isnan(y), np.nan, 1.0)
            expected = reference.compare((x * both)[None], (y * both)[None], similarity)
            np.testing.assert_allclose(ours[i, j], expected[0, 0], atol=1e-12)


@pytest.mark.parametrize("similarity", ["cosine_cov", "corr_cov"])
@pytest.mark.parametrize("shape", ["none", "vector", "matrix"])
def test_whitened_similarities_are_the_definition(similarity, shape):
    a, b = vectors(3, 0), vectors(2, 1)
    root = RNG.normal(size=(N, 3 * N))
    sigma = {"none": np.eye(N), "vector": np.diag(RNG.uniform(0.5, 2, N)), "matrix": root @ root.T / N}[shape]
    given = {"none": None, "vector": np.diag(sigma), "matrix": sigma}[shape]
    v = reference.entry_covariance(N, sigma)
    x, y = (u - u.mean(axis=1, keepdims=True) if similarity == "corr_cov" else u for u in (a, b))
    inner = lambda p, q: p @ np.linalg.solve(v, q.T)  # noqa: E731
    expected = inner(x, y) / np.sqrt(np.outer(np.diag(inner(x, x)), np.diag(inner(y, y))))
    np.testing.assert_allclose(compare_vectors(a, b, similarity, sigma_k=given), expected, atol=1e-11)


def test_sigma_matrix_is_rsatoolboxs_within_its_solver():
    a, b = vectors(3, 0), vectors(2, 1)
    root = RNG.normal(size=(N, 3 * N))
    sigma = root @ root.T / N
    expected = reference.compare(a, b, "corr_cov", sigma_k=sigma)  # conjugate gradients stop at 1e-5
    np.testing.assert_allclose(compare_vectors(a, b, "corr_cov", sigma_k=sigma), expected, atol=1e-4)


def test_sigma_with_missing_stimuli_uses_the_rest_and_refuses_missing_pairs():
    a, b = vectors(2, 0), vectors(2, 1)
    sigma = np.diag(RNG.uniform(0.5, 2, N))
    i, j = np.triu_indices(N, 1)
    a[:, (i == 3) | (j == 3)] = np.nan
    keep = [k for k in range(N) if k != 3]
    ok = (i != 3) & (j != 3)
    expected = compare_vectors(a[:, ok], b[:, ok], "cosine_cov", sigma_k=sigma[np.ix_(keep, keep)])
    np.testing.assert_allclose(compare_vectors(a, b, "cosine_cov", sigma_k=sigma), expected, atol=1e-12)
    b[0, 5] = np.nan
    with pytest.raises(DataError, match="only whole stimuli can be missing"):
        compare_vectors(a, b, "cosine_cov", sigma_k=sigma)
    with pytest.raises(SpecError, match="takes no sigma_k"):
        compare_vectors(a, b, "pearson", sigma_k=sigma)
    with pytest.raises(DataError, match="not positive definite"):
        compare_vectors(b, b, "cosine_cov", sigma_k=-sigma)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_undefined_similarities(similarity):
    a = np.stack([np.full(P, 0.1), np.zeros(P)])
    ours = compare_vectors(a, vectors(1, 0), similarity)
    if similarity in ("rho-a", "tau-a"):
        np.testing.assert_array_equal(ours, 0)
    elif SIMILARITIES[similarity].centered:
        assert np.isnan(ours).all()
    else:
        assert np.isfinite(ours[0, 0])
        assert np.isnan(ours[1, 0])


def test_tied_models_win_with_spearman_and_not_with_rho_a():
    truth = np.repeat([0.0, 1.0], [40, P - 40])
    data = truth + RNG.normal(0, 2, P)
    spearman, rho_a = (compare_vectors(truth[None], data[None], s)[0, 0] for s in ("spearman", "rho-a"))
    np.testing.assert_allclose(spearman, sps.spearmanr(truth, data).statistic, atol=1e-12)
    rng = np.random.default_rng(0)
    broken = np.mean([sps.spearmanr(truth + rng.uniform(0, 1e-3, P), data).statistic for _ in range(800)])
    assert abs(rho_a - broken) < 0.005
    assert rho_a < spearman


def test_stimuli_are_matched_by_id_not_by_position():
    a = make_rdms(vectors(2, 0), IDS, metric="m", name=["x", "y"])
    b = make_rdms(vectors(2, 1), IDS, metric="m", subject=["s", "t"])
    shuffled = select_stimuli(b, RNG.permutation(IDS))
    ours = compare(a, shuffled, "corr")
    np.testing.assert_allclose(ours.values, compare(a, b, "pearson").values, atol=1e-14)
    assert ours["subject_b"].values.tolist() == ["s", "t"]
    assert ours["name_a"].values.tolist() == ["x", "y"]
    assert ours.attrs["similarity"] == "pearson"


def test_unequal_sets_of_stimuli_raise_or_intersect():
    a = make_rdms(vectors(1, 0), IDS, metric="m")
    b = select_stimuli(make_rdms(vectors(1, 1), IDS, metric="m"), IDS[3:])
    with pytest.raises(DataError, match="3 stimuli are in the first RDMs but not in the second RDMs: s0, s1, s2"):
        compare(a, b)
    expected = compare(select_stimuli(a, IDS[3:]), b)
    np.testing.assert_array_equal(compare(a, b, on_mismatch="intersect").values, expected.values)
    with pytest.raises(SpecError, match=r"unknown similarity 'pearsn' \(did you mean 'pearson'\?\)"):
        compare(a, a, "pearsn")


def test_asymmetric_matrix_is_refused_where_rdms_are_made():
    square = RNG.uniform(size=(N, N))
    np.fill_diagonal(square, 0)
    with pytest.raises(DataError, match="not symmetric"):
        make_rdms(square, IDS, metric="m")
