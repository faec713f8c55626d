"""Reductions against numpy, scikit-learn and their own promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from bltvs_neuro.errors import SpecError
from bltvs_neuro.extraction import projection, reduce
from bltvs_neuro.extraction.grammar import parse_reduction
from bltvs_neuro.extraction.pca import principal_components
from bltvs_neuro.model import Grid
from bltvs_neuro.schema import Site

SITE, SHAPE = Site("V4", "bu"), (12, 8, 8)
MAPS = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(0))


def apply(spec) -> tuple[reduce.Bound, np.ndarray]:
    bound = parse_reduction(spec).bind(SITE, SHAPE, Grid(8), torch.device("cpu"))
    out = bound.apply(MAPS).numpy()
    assert out.shape == (6, *bound.shape)
    assert len(bound.dims) == len(bound.shape)
    for dim, labels in bound.coords.values():
        assert len(labels) == bound.shape[bound.dims.index(dim)]
    return bound, out


def test_full_mean_pool_and_channels():
    maps = MAPS.numpy()
    np.testing.assert_array_equal(apply(None)[1], maps)
    np.testing.assert_allclose(apply("mean")[1], maps.mean((2, 3)), atol=1e-6)
    bound, pooled = apply("pool:4")
    np.testing.assert_allclose(pooled, maps.reshape(6, 12, 4, 2, 4, 2).mean((3, 5)), atol=1e-6)
    assert bound.coords["y"][1].tolist() == [4, 20, 36, 52]  # centres of pairs of units 8 pixels apart
    np.testing.assert_array_equal(apply("channels:3,0")[1], maps[:, [3, 0]])


def test_units_keep_their_labels():
    bound, out = apply("units:50@3")
    where = tuple(
        bound.coords[name][1].astype(int) // (1 if name == "channel" else 8) for name in ("channel", "y", "x")
    )
    np.testing.assert_array_equal(out, MAPS.numpy()[:, where[0], where[1], where[2]])
    assert not np.array_equal(apply("units:50@4")[1], out)
    chosen = reduce.units({"V4/bu": [5, 700]})
    np.testing.assert_array_equal(apply(chosen)[1], MAPS.flatten(1).numpy()[:, [5, 700]])


def test_projection_is_the_sparse_product_and_keeps_distances():
    out = apply("project:300@1")[1]
    rows, columns, values = projection.sparse_projection(300, 768, reduce.site_rng(1, SITE, 768, 300))
    matrix = coo_matrix((values, (rows, columns)), (300, 768)).toarray()
    np.testing.assert_allclose(out, MAPS.flatten(1).numpy() @ matrix.T, rtol=1e-4, atol=1e-5)
    assert np.mean(matrix != 0) == pytest.approx(1 / np.sqrt(768), rel=0.1)
    ratio = pdist(out) / pdist(MAPS.flatten(1).numpy())
    assert abs(ratio - 1).max() < 0.2
    assert abs(ratio.mean() - 1) < 0.05
    other = projection.project(300, seed=1).bind(Site("V4", "td"), SHAPE, Grid(8), torch.device("cpu"))
    assert not np.array_equal(other.apply(MAPS).numpy(), out)  # another site has another projection
    np.testing.assert_array_equal(apply("project:5000")[1], MAPS.flatten(1).numpy())  # fewer units than components


def test_the_johnson_lindenstrauss_size():
    assert projection.project(n_stimuli=1000, eps=0.1).n == 5920


def test_principal_components_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    rows = (
        rng.standard_normal((40, 5)) @ rng.standard_normal((5, 9000)) + 0.1 * rng.standard_normal((40, 9000)) + 3
    ).astype(np.float32)
    mean, basis = principal_components(rows, 4)
    reference = PCA(4, svd_solver="full").fit(rows.astype(np.float64))
    np.testing.assert_allclose(mean, reference.mean_, atol=1e-5)
    signs = np.sign((basis * reference.components_).sum(1))
    np.testing.assert_allclose(basis, signs[:, None] * reference.components_, atol=1e-5)


def test_components_are_of_centred_maps_row_by_row():
    """Units count channel by channel, then line by line, as fitted components do."""
    rng = np.random.default_rng(0)
    mean, basis = rng.standard_normal(768).astype(np.float32), rng.standard_normal((3, 768)).astype(np.float32)
    bound, out = apply(projection.Components({"V4/bu": (mean, basis)}))
    maps = MAPS.numpy() - mean.reshape(SHAPE)
    np.testing.assert_allclose(out, np.einsum("bcyx,ncyx->bn", maps, basis.reshape(3, *SHAPE)), rtol=1e-4, atol=1e-4)
    assert bound.coords["component"][1].tolist() == [0, 1, 2]
    with pytest.raises(SpecError, match="have 767 units, the site has 768"):
        apply(projection.Components({"V4/bu": (mean[1:], basis[:, 1:])}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pol:4", r"unknown reduction 'pol' \(did you mean 'pool'\?\)"),
        ("pool:x", "expected average pooling"),
        ("pool:9", "cannot pool V4/bu to 9 x 9: its map is 8 x 8"),
        ("pool:0", "at least 1 x 1"),
        ("project:0", "at least 1 component"),
        ("units:769", "cannot draw 769 units of V4/bu, which has 768"),
        ("channels:1,12", "channels 0 to 11, each once; got 12"),
        ("mean:3", "cannot read the reduction 'mean:3'; expected mean over space"),
        ("full:x", "expected full maps"),
        ("project:3@1@2", "expected sparse random projection"),
        ("pca:-5", "at least 1 component; got -5"),
        ("pca:0", "at least 1 component; got 0"),
        ("pca:5@-3", "on at least 1 of the stimuli; got -3"),
        ("pca:5@0", "on at least 1 of the stimuli; got 0"),
        ("pca:1@2@3", "expected principal components"),
        ("units:5@-1", "seed= is an integer from 0"),
        (reduce.units({"V4/bu": [1.5, 2]}), "units of V4/bu are flat indices from 0 to 767"),
        (reduce.units({"V4/bu": [True, False]}), "units of V4/bu are flat indices from 0 to 767"),
        (reduce.units({"V4/bu": []}), "units of V4/bu are flat indices from 0 to 767"),
        (reduce.units({"V1/bu": [0]}), "no units are listed for V4/bu"),
    ],
)
def test_errors(spec, message):
    with pytest.raises(SpecError, match=message):
        apply(spec)
