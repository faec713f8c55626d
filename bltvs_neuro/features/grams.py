"""Gram first: one exact stimulus x stimulus matrix per feature space, streamed from lazy activations.

Ridge, banded ridge and PLS see the features only through inner products between stimuli. The Gram of all stimuli
serves every training fold (double-centring over the training rows is centring the features over them), every alpha and
every target; it is computed once, tile by tile, and the features are never held as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..errors import DataError, SpecError, argument, unknown
from ..schema import STIMULUS
from .tiles import unit_blocks

Scale = Literal["none", "zscore"]
DEFAULT_TILE_BYTES = 256 * 2**20


def feature_tiles(
    features: Any, *, tile_bytes: int = DEFAULT_TILE_BYTES, dtype: Literal["float32", "float64"] = "float32"
) -> Iterator[np.ndarray]:
    """Read features, (stimulus, *unit dims) or (n, p), maybe lazy, in tiles (n, width) of at most ``tile_bytes``.

    Features keep the order of a flattened array; those that are float64 stay so. SpecError for another form, DataError for
    a feature that is NaN or infinite.
    """
    if hasattr(features, "dims") and features.dims[0] != STIMULUS:
        raise SpecError(
            f"features have dims (stimulus, unit ...); got {tuple(features.dims)}: choose one timestep first"
        )
    shape = tuple(features.shape)
    if len(shape) < 2 or 0 in shape:
        raise SpecError(f"features have shape (stimuli, units ...) without empty axes; got {shape}")
    kind = np.dtype(np.float64 if features.dtype == np.float64 else dtype)
    most = max(1, int(tile_bytes) // (shape[0] * kind.itemsize))
    for window in unit_blocks(shape[1:], most):
        block = features[(slice(None), *window)]
        # (n, *block) -> (n, width)
        tile = np.asarray(block.values if hasattr(block, "dims") else block, dtype=kind).reshape(shape[0], -1)
        with np.errstate(over="ignore", invalid="ignore"):
            suspect = not np.isfinite(tile.sum(dtype=tile.dtype))  # one quick pass; large values may overflow
        if suspect and not np.isfinite(tile).all():
            bad = int((~np.isfinite(tile)).any(axis=1).sum())
            raise DataError(f"features are NaN or infinite for {bad} of {shape[0]} stimuli; extract them again")
        yield tile


class FeatureGrams(NamedTuple):
    """What one pass over a feature space gives."""

    grams: list[np.ndarray]
    """One (n, n) float64 Gram per training fold (the same array for each when no scaling was asked for)."""
    n_features: int
    n_constant: int
    """Features that are the same for every stimulus: they count as zero, in every model."""


def gram(features: Any, *, tile_bytes: int = DEFAULT_TILE_BYTES) -> np.ndarray:
    """The Gram (n, n) of a feature space, exact: float32 tiles, added up in float64; no projection, no sampling.

    Each feature is centred over all stimuli first. That changes no model with an intercept (any training fold is centred
    again) and keeps a large common mean from eating the digits.

    Examples
    --------
    >>> gram(np.array([[1.0], [2.0], [3.0]])).tolist()
    [[1.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]]
    """
    return fold_grams(features, [None], tile_bytes=tile_bytes).grams[0]


def fold_grams(
    features: Any, trains: Sequence[np.ndarray | None], *, scale: Scale = "none",
    tile_bytes: int = DEFAULT_TILE_BYTES, dtype: Literal["float32", "float64"] = "float32",
) -> FeatureGrams:  # fmt: skip
    """Grams for several training folds (row positions, None for all rows) in one pass over the features.

    ``"zscore"`` divides each feature by its standard deviation over the fold's training rows (never the test rows); a
    feature that is constant there counts as zero. ``"none"`` needs one Gram for all folds. Products of tiles have
    ``dtype``, and are added up in float64 either way; DataError where they leave its range.
    """
    if scale not in get_args(Scale):
        raise unknown("scale", scale, get_args(Scale))
    shared = scale == "none"
    totals: list[np.ndarray] = []
    n_features = n_constant = 0
    for tile in feature_tiles(features, tile_bytes=tile_bytes, dtype=dtype):
        n = tile.shape[0]
        if not totals:
            totals = [np.zeros((n, n)) for _ in range(1 if shared else len(trains))]
        n_features += tile.shape[1]
        constant = _constant(tile)
        n_constant += len(constant)
        centred = tile - tile.mean(axis=0, dtype=np.float64).astype(tile.dtype)
        centred[:, constant] = 0  # a rounded mean would leave a speck
        if shared:
            with np.errstate(over="ignore", invalid="ignore"):  # looked at in the end
                totals[0] += centred @ centred.T  # BLAS sees the symmetry (syrk): half the work
            continue
        for total, train in zip(totals, trains, strict=True):
            scaled = centred * _inverse_deviation(centred if train is None else centred[train])
            total += scaled @ scaled.T
    for total in totals:
        _check_range(total, n_features > n_constant, dtype)
    return FeatureGrams(totals * len(trains) if shared else totals, n_features, n_constant)


def _check_range(total: np.ndarray, varies: bool, dtype: str) -> None:
    """Refuse a Gram whose products left the range of their precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        infinite = not np.isfinite(total.sum())
    if infinite or (varies and not total.any()):
        raise DataError(
            f"products of the features are too {'large' if infinite else 'small'} for {dtype}; scale the features, or use "
            f"{argument('dtype', 'float64')}"
        )


def _constant(tile: np.ndarray) -> np.ndarray:
    """Positions of the columns that are the same in every row."""
    may_be = np.flatnonzero((tile[:4] == tile[0]).all(axis=0))  # a few rows tell most columns apart
    some = tile[:, may_be]
    return may_be[(some == some[0]).all(axis=0)]


def _inverse_deviation(rows: np.ndarray) -> np.ndarray:
    """1 / standard deviation of each column; zero where the column is constant."""
    varies = rows.min(axis=0) != rows.max(axis=0)
    deviation = np.std(rows, axis=0, dtype=np.float64)
    return np.where(varies, 1 / np.where(varies, deviation, 1), 0).astype(rows.dtype)


def centre_train(gram: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The Gram (n_train, n_train) of the training rows, with features centred over them (double-centring)."""
    block = gram[np.ix_(train, train)]
    means = block.mean(axis=0)
    block -= means
    block -= means[:, None] - means.mean()
    return block


def centre_both(gram: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`centre_train` and :func:`centre_cross` give, with the training block read once."""
    block, cross = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    means = block.mean(axis=0)
    cross -= cross.mean(axis=1, keepdims=True)
    cross -= means - means.mean()
    block -= means
    block -= means[:, None] - means.mean()
    return block, cross


def centre_cross(gram: np.ndarray, test: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The cross-Gram (n_test, n_train), with features centred over the training rows."""
    block = gram[np.ix_(test, train)]
    inner = gram[np.ix_(train, train)].mean(axis=0)
    return block - block.mean(axis=1, keepdims=True) - (inner - inner.mean())
