"""Unique variance: its intervals, and the warning where a band is linear in the others."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bltvs_neuro.encoding import BandedRidge, partition_encoding
from bltvs_neuro.encoding.sweep.linear import PENALTIES, LinearBandWarning, linear_share
from bltvs_neuro.features.folds import Folds, group_folds
from bltvs_neuro.neural.labelled import make_responses
from tests.calibration.encoding_unique import DESIGNS, draw, unique_of_td

from .reference import ridge_refit


def gram(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) @ (x - x.mean(axis=0)).T


def test_the_share_is_that_of_explicit_ridges() -> None:
    rng = np.random.default_rng(0)
    rest = rng.standard_normal((40, 8))
    band = rest[:, :5] @ rng.standard_normal((5, 6)) + rng.standard_normal((40, 6))
    folds = group_folds(np.arange(40), 4)

    def best(x: np.ndarray, y: np.ndarray) -> float:
        left = np.zeros(len(PENALTIES))
        whole = 0.0
        for train, test in folds:
            size = np.sum((x[train] - x[train].mean(axis=0)) ** 2) / len(train)
            whole += np.sum((y[test] - y[train].mean(axis=0)) ** 2)
            for k, penalty in enumerate(PENALTIES):
                left[k] += np.sum((y[test] - ridge_refit(x[train], y[train], x[test], penalty * size)) ** 2)
        return 1 - left.min() / whole

    found = linear_share([gram(band)] * 4, [gram(rest)] * 4, folds)
    assert found == pytest.approx(best(rest, band) / min(best(rest, rest), best(band, band)), rel=1e-6)
    assert 0.5 < found < 0.9


def test_linear_functions_and_independent_bands() -> None:
    rng = np.random.default_rng(0)
    rest, other = rng.standard_normal((60, 30)), rng.standard_normal((60, 30))
    folds = group_folds(np.arange(60), 5)
    turned = rest @ rng.standard_normal((30, 12))
    assert linear_share([gram(turned)] * 5, [gram(rest)] * 5, folds) > 0.98
    assert linear_share([gram(other)] * 5, [gram(rest)] * 5, folds) < 0.05
    many = rng.standard_normal((60, 400))  # more features than stimuli
    assert linear_share([gram(many @ rng.standard_normal((400, 400)))] * 5, [gram(many)] * 5, folds) > 0.5
    assert np.isnan(linear_share([gram(0 * rest)] * 5, [gram(rest)] * 5, folds))


def partition(number: int, **coords):
    acts, y, names = draw(DESIGNS[number], 0)
    responses = make_responses(y, names, neuroid_coords=coords)
    return partition_encoding(acts, responses, solver=BandedRidge(candidates=6, on_edge="ignore"), cv=Folds(4))


def test_a_warning_names_the_band_that_is_linear_in_the_others() -> None:
    with pytest.warns(
        LinearBandWarning, match=r"bu in V4/0 \(1\.00\), td in V4/0 \(1\.00\).*ridge on the others can reach"
    ):
        partition(6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LinearBandWarning)
        partition(0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_intervals_of_useless_bands_hold_zero(number) -> None:
    """20 held-out data sets: 0.95, less three standard errors."""
    rows = [unique_of_td(DESIGNS[number], seed) for seed in range(50_000, 50_020)]
    beyond, low, high = (np.array([row[key] for row in rows]) for key in ("beyond", "ci_low", "ci_high"))
    held, width = np.mean((low <= 0) & (high >= 0)), np.mean(high - low)
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 20)
    print(DESIGNS[number].name, beyond.mean(), held, width, width / 4 / beyond.std(ddof=1))  # noqa: T201
