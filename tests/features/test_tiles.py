"""Tiles: which units are read together, and that what they add up to is the whole, whatever the memory."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError
from bltvs_neuro.features.tiles import Features, add_up, unit_blocks

RNG = np.random.default_rng(0)
MAPS = xr.DataArray(RNG.standard_normal((5, 3, 4, 2)), dims=("stimulus", "timestep", "channel", "x"))
VECTOR = xr.DataArray(RNG.standard_normal((5, 3)).astype(np.float32), dims=("stimulus", "unit"))
WHOLE = np.concatenate([MAPS.values.mean(axis=1).reshape(5, -1), VECTOR.values], axis=1)


@pytest.mark.parametrize(
    ("shape", "most", "sizes"),
    [((3, 4), 12, [(3, 4)]), ((3, 4), 8, [(2, 4), (1, 4)]), ((3, 4), 4, [(1, 4)] * 3), ((3, 4), 3, [(1, 3), (1, 1)] * 3),
     ((5,), 2, [(2,), (2,), (1,)]), ((2, 3, 2), 1, [(1, 1, 1)] * 12)],
)  # fmt: skip
def test_boxes_of_units(shape, most, sizes):
    whole = np.arange(np.prod(shape)).reshape(shape)
    boxes = [whole[block] for block in unit_blocks(shape, most)]
    assert [box.shape for box in boxes] == sizes
    assert np.concatenate([box.ravel() for box in boxes]).tolist() == list(range(whole.size))


@pytest.mark.parametrize("memory", [1, 240, 400, 10**6])
def test_tiles_are_the_whole_averaged_over_timesteps(memory):
    features = Features((MAPS, VECTOR), "V1")
    assert features.n_features == 11
    tiles = list(features.tiles(memory))
    np.testing.assert_array_equal(np.concatenate(tiles, axis=1), WHOLE)
    assert {tile.dtype for tile in tiles} == {np.dtype(float)}
    # of 3 timesteps, a unit takes 5 arrays of 8 bytes by row; without time, 3
    assert len(tiles) == {1: 8 + 3, 240: 8 + 2, 400: 4 + 1, 10**6: 1 + 1}[memory]


def test_wide_tiles_are_cut_for_the_cache():
    wide = xr.DataArray(np.zeros((4096, 600), np.float32), dims=("stimulus", "unit"))
    assert [tile.shape[1] for tile in Features((wide,), "V1").tiles(10**9)] == [256, 256, 88]  # 2^23 / 8 / 4096
    narrow = xr.DataArray(np.zeros((2048, 600), np.float32), dims=("stimulus", "unit"))
    assert [tile.shape[1] for tile in Features((narrow,), "V1").tiles(10**9)] == [512, 88]


def test_rows_that_are_not_finite_are_named():
    values = np.zeros((5, 3))
    values[1, 2], values[3] = np.nan, np.inf
    bad = xr.DataArray(values, dims=("stimulus", "unit"))
    with pytest.raises(DataError, match=r"V1 holds values that are not finite in 2 of 5 rows \(rows 1, 3\)"):
        list(Features((bad,), "V1").tiles(10**6))


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_sums_over_tiles(device, monkeypatch):
    """A processor by its torch name takes the way of a GPU."""
    monkeypatch.setattr("bltvs_neuro.features.tiles.pick_float64_device", str)
    tiles = [WHOLE[:, :4], WHOLE[:, 4:7], WHOLE[:, 7:]]

    def doubled(tile):
        return 2 * tile

    def shifted(tile):
        return tile + 1

    np.testing.assert_allclose(add_up(iter(tiles), doubled, None, 5, device), 4 * WHOLE @ WHOLE.T, rtol=1e-12)
    made = add_up(iter(tiles), doubled, shifted, 5, device)
    np.testing.assert_allclose(made, 2 * WHOLE @ (WHOLE + 1).T, rtol=1e-12)
