"""Nested choices of feature spaces: by hand, against explicit fits, and how often margins are above zero."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding import OLS, PLS, BandedRidge, Ridge, fit_encoding
from bltvs_neuro.encoding.sweep.choice import nested_choice
from bltvs_neuro.encoding.sweep.partition import corrected_interval
from bltvs_neuro.errors import SpecError
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.options import Run
from tests.calibration.encoding_best import DESIGNS, draw, margins

from .reference import gcv_loss


def test_a_nested_choice_by_hand() -> None:
    """Folds 1, 2 and 4 choose the first space, fold 3 the second; fold 5 has no score."""
    inner = np.array([[0.5, 0.4, 0.3, 0.6, np.nan], [0.1, 0.1, 0.4, 0.2, 0.9]])[:, :, None]
    outer = np.array([[0.3, 0.2, 0.4, 0.5, 0.1], [0.2, 0.2, 0.1, 0.1, 0.8]])[:, :, None]
    n_test = np.full(5, 12)
    found = nested_choice(inner, outer, n_test)
    scores, leads = np.array([0.3, 0.2, 0.1, 0.5]), np.array([0.1, 0.0, -0.3, 0.4])
    assert found.space.tolist() == [0] and found.stability.tolist() == [0.75]
    for mean, low, high, folds in (
        (found.score, found.ci_low, found.ci_high, scores),
        (found.margin, found.margin_ci_low, found.margin_ci_high, leads),
    ):
        assert mean[0] == pytest.approx(folds.mean())
        np.testing.assert_allclose([low[0], high[0]], corrected_interval(folds, n_test))


def test_without_scores_or_a_second_space() -> None:
    nothing = nested_choice(np.full((2, 3, 1), np.nan), np.zeros((2, 3, 1)), np.full(3, 9))
    assert nothing.space.tolist() == [-1] and np.isnan(nothing.score).all() and np.isnan(nothing.stability).all()
    alone = nested_choice(np.ones((1, 3, 1)), np.array([[[0.1], [0.2], [0.3]]]), np.full(3, 9))
    assert alone.space.tolist() == [0] and alone.score[0] == pytest.approx(0.2) and np.isnan(alone.margin).all()


def fit(solver, number: int = 1, folds: int = 3):
    acts, y, names = draw(DESIGNS[number], 1)
    responses = make_responses(y, names, neuroid_coords={"roi": ["A"] * 8 + ["B"] * 12})
    return fit_encoding(acts, responses, solver=solver, cv=Folds(folds), run=Run(dtype="float64")), acts, y


def test_the_criterion_sees_training_rows_alone() -> None:
    """By explicit generalised cross-validation of the training rows, in units of the error of their mean."""
    result, acts, y = fit(Ridge(alphas=[10.0], on_edge="ignore"))
    rows = result["tested_in"].values != 1
    x = acts["V1/bu"].values[rows, 2].astype(float)
    n, some = rows.sum(), y[rows]
    of_mean = n * ((some - some.mean(axis=0)) ** 2).sum(axis=0) / (n - 1) ** 2
    np.testing.assert_allclose(result["r2_inner"].values[2, 1], 1 - gcv_loss(x, some, 10.0) / of_mean, rtol=1e-6)


@pytest.mark.parametrize(
    "solver", [Ridge(by="loo", on_edge="ignore"), OLS(), BandedRidge(bands="area", candidates=3, on_edge="ignore")]
)
def test_every_solver_with_a_criterion_can_nest(solver) -> None:
    found = fit(solver)[0].best(nested=True)
    assert found["stability"].min() > 0.3 and np.isfinite(found["score"]).all()


def test_a_region_is_chosen_for_as_a_whole() -> None:
    result = fit(Ridge(on_edge="ignore"))[0]
    found = result.best(nested=True, by="roi")
    assert found["roi"].values.tolist() == ["A", "B"]
    inner, outer = (result[key].values[:, :, 8:].mean(axis=2, keepdims=True) for key in ("r2_inner", "r2_fold"))
    by_hand = nested_choice(inner, outer, result["n_test"].values)
    assert found["score"].values[1] == pytest.approx(by_hand.score[0])
    assert found["chosen"].values[1] == result["name"].values[by_hand.space[0]]
    with pytest.raises(SpecError, match="by= is a coordinate of the neuroids; got 'nowhere'"):
        result.best(nested=True, by="nowhere")


def test_partial_least_squares_cannot_nest() -> None:
    result = fit(PLS(2))[0]
    assert not result.can_nest
    with pytest.raises(SpecError, match="needs a solver with a criterion on training rows; pls has none"):
        result.best(nested=True)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_margins_of_equal_timesteps_are_rarely_above_zero(number) -> None:
    """15 held-out data sets of 20 voxels, at most 300 independent ones: .025 plus three standard errors of a third of them."""
    every = [margins(DESIGNS[number], seed) for seed in range(40_000, 40_015)]
    assert np.mean([one["above"] for one in every]) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 100)
    assert np.mean([one["plain"] for one in every]) > 0.3  # what a filled marker was before
