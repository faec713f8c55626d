from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.grams import centre_cross, centre_train, feature_tiles, fold_grams, gram

from .reference import make_features


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 6, 5, 4)).astype(np.float32) + 2


@pytest.mark.parametrize("tile_bytes", [1, 12 * 4 * 3, 12 * 4 * 4, 12 * 4 * 11, 12 * 4 * 20, 12 * 4 * 55, 10**9])
def test_tiles_cover_every_feature_once_in_order_and_within_bytes(maps: np.ndarray, tile_bytes: int) -> None:
    tiles = list(feature_tiles(make_features(maps), tile_bytes=tile_bytes))
    assert max(tile.nbytes for tile in tiles) <= max(tile_bytes, 12 * 4)
    np.testing.assert_array_equal(np.concatenate(tiles, axis=1), maps.reshape(12, -1))


def test_only_one_tile_is_read_at_a_time(maps: np.ndarray) -> None:
    class Lazy:
        """Stands for a file: counts what is asked for at once."""

        shape, dtype, largest = maps.shape, maps.dtype, 0

        def __getitem__(self, key):
            block = maps[key]
            self.largest = max(self.largest, block.size)
            return block

    lazy = Lazy()
    k = gram(lazy, tile_bytes=12 * 4 * 20)
    assert lazy.largest == 12 * 20
    np.testing.assert_allclose(k, gram(maps), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("tile_bytes", [12 * 4 * 7, 10**9])
def test_gram_of_a_fold_equals_features_centred_over_the_training_rows(maps: np.ndarray, tile_bytes: int) -> None:
    x = maps.reshape(12, -1).astype(np.float64)
    train, test = np.array([0, 2, 3, 5, 7, 8, 11]), np.array([1, 4, 6])
    k = gram(make_features(maps.astype(np.float64)), tile_bytes=tile_bytes)
    centred = x - x[train].mean(axis=0)
    np.testing.assert_allclose(centre_train(k, train), centred[train] @ centred[train].T, rtol=0, atol=1e-12 * 100)
    np.testing.assert_allclose(centre_cross(k, test, train), centred[test] @ centred[train].T, rtol=0, atol=1e-12 * 100)


def test_a_large_common_mean_costs_no_digits_in_float32() -> None:
    x = np.random.default_rng(0).standard_normal((20, 300)).astype(np.float32)
    exact = centre_train(gram(x.astype(np.float64)), np.arange(20))
    shifted = centre_train(gram((x.astype(np.float64) + 100).astype(np.float32)), np.arange(20))
    assert np.abs(shifted - exact).max() / np.abs(exact).max() < 1e-5


def test_zscore_uses_the_training_rows_of_each_fold_only(maps: np.ndarray) -> None:
    x = maps.reshape(12, -1).astype(np.float64)
    x[:, 3] = 1 / 3  # constant everywhere
    trains = [np.arange(8), np.arange(4, 12)]
    x[:4, 5] = 7.0
    x[4:, 5] = 1.1  # constant over the second training fold only
    made = fold_grams(make_features(x), trains, scale="zscore", tile_bytes=12 * 8 * 9)
    assert (made.n_features, made.n_constant) == (120, 1)
    for train, k in zip(trains, made.grams, strict=True):
        z = x[train] - x[train].mean(axis=0)
        deviation = z.std(axis=0)
        z = np.where(deviation > 1e-12, z / np.where(deviation > 1e-12, deviation, 1), 0)
        np.testing.assert_allclose(centre_train(k, train), z @ z.T, atol=1e-10)


def test_without_scaling_one_gram_serves_all_folds(maps: np.ndarray) -> None:
    made = fold_grams(make_features(maps), [np.arange(8), np.arange(4, 12)])
    assert made.grams[0] is made.grams[1]


def test_bad_features_say_what_is_wrong(maps: np.ndarray) -> None:
    with pytest.raises(SpecError, match="choose one timestep first"):
        gram(make_features(maps).rename(stimulus="timestep"))
    with pytest.raises(SpecError, match="without empty axes"):
        gram(np.empty((3, 0)))
    maps[2, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite for 1 of 12 stimuli"):
        gram(maps)
    with pytest.raises(SpecError, match=r"unknown scale 'zscor'.*did you mean 'zscore'"):
        fold_grams(np.ones((3, 2)), [None], scale="zscor")  # type: ignore[arg-type]


@pytest.mark.parametrize(("factor", "said"), [(1e25, "too large for float32"), (1e-25, "too small for float32")])
def test_products_beyond_the_range_of_float32_are_refused(factor, said):
    x = np.random.default_rng(0).normal(size=(6, 4))
    with pytest.raises(DataError, match=said):
        gram((x * factor).astype(np.float32))
    wide = fold_grams((x * factor).astype(np.float32), [None], dtype="float64").grams[0]
    np.testing.assert_allclose(wide / factor**2, gram(x), rtol=1e-5)
    assert not gram(np.ones((6, 2))).any()  # nothing varies: that is no underflow
