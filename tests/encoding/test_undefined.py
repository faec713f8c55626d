"""Targets that are constant somewhere, and sweeps with one of everything: nothing is NaN without a reason, nothing crashes."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.encoding import OLS, PLS, BandedRidge, Ridge
from bltvs_neuro.encoding.fit import fit_encoding, partition_encoding
from bltvs_neuro.encoding.outputs.files import write_encoding, write_partition
from bltvs_neuro.encoding.scores.ceiling import noise_ceiling, repetition_variance, spearman_brown
from bltvs_neuro.encoding.scores.score import mean_over_folds
from bltvs_neuro.encoding.scores.time import temporal_generalisation
from bltvs_neuro.encoding.sweep.partition import best_space
from bltvs_neuro.errors import SpecError
from bltvs_neuro.features.folds import Folds, group_folds
from bltvs_neuro.features.select import Select
from bltvs_neuro.neural.labelled import make_responses

from .reference import make_store

N, CV = 30, 3


@pytest.fixture(scope="module")
def acts():
    return make_store(N, p=12)


@pytest.fixture(scope="module")
def ids(acts):
    return acts["V1/bu"]["stimulus_id"].values


@pytest.fixture(scope="module")
def odd(acts, ids):
    """A good voxel, and voxels that are constant in a test fold, in a training fold, throughout, missing, infinite."""
    rng = np.random.default_rng(0)
    x = acts["V1/bu"].sel(timestep=1).values.reshape(N, -1)
    y = np.tile(x @ rng.standard_normal((x.shape[1], 1)), (1, 6)).astype(np.float64)
    folds = group_folds(ids, CV, seed=0)
    y[folds[1].test, 1] = 2.5
    y[folds[0].train, 2] = 0.0
    y[:, 3] = 7.0
    y[4, 4] = np.nan
    y[5, 5] = np.inf
    return make_responses(y, ids, neuroid_coords={})


def fit(acts, responses, **options):
    return fit_encoding(acts, responses, **{"solver": Ridge(on_edge="ignore"), "cv": Folds(CV)} | options)


def test_every_target_says_what_it_is_and_how_many_folds_scored_it(acts, odd, caplog) -> None:
    found = fit(acts, odd, n_permutations=20)
    assert found["status"].values.tolist() == [
        "fitted", "constant in a test fold", "constant in a training fold", "constant", "missing", "infinite"
    ]  # fmt: skip
    assert found["n_folds"].values.tolist() == [3, 2, 0, 0, 0, 0]
    r, per_fold = found["r"].values, found["r_fold"].values
    assert np.isfinite(r[:, :2]).all() and np.isnan(r[:, 2:]).all()
    assert np.isnan(per_fold[:, 1, 1]).all() and np.isfinite(per_fold[:, [0, 2], 1]).all()
    np.testing.assert_allclose(r[:, 1], per_fold[:, [0, 2], 1].mean(axis=1))
    np.testing.assert_allclose(found["r2"].values[:, 1], found["r2_fold"].values[:, [0, 2], 1].mean(axis=1))
    assert np.isfinite(found["p_value"].values[:, :2]).all()
    assert "2 of 3 targets are constant in a fold" in caplog.text
    best = found.best()
    assert (best["space"].values >= 0).tolist() == [True, True, False, False, False, False]
    assert np.isfinite(best["margin"].values).tolist() == [True, True, False, False, False, False]


def test_undefined_folds_change_nothing_for_the_other_targets(acts, odd, ids) -> None:
    alone = make_responses(odd.values[:, :1], ids, neuroid_coords={})
    np.testing.assert_allclose(fit(acts, alone)["r2"].values[:, 0], fit(acts, odd)["r2"].values[:, 0], atol=1e-6)


def test_undefined_folds_and_unusable_targets_are_said(acts, odd, ids, caplog) -> None:
    fit(acts, odd)
    assert "1 of 6 targets hold NaN and 1 hold infinite values and 1 do not vary" in caplog.text
    fit(acts, make_responses(odd.values[:, :3], ids, neuroid_coords={}))
    assert "2 of 3 targets are constant in a fold" in caplog.text


def test_a_partition_has_a_mean_for_a_target_that_a_fold_leaves_undefined(acts, odd, tmp_path) -> None:
    found = partition_encoding(
        acts, odd, sites=Select("V1", timesteps=1), solver=BandedRidge(candidates=2, on_edge="ignore"), cv=Folds(CV)
    )
    assert np.isfinite(found["variance"].values[:, :, :2]).all()
    np.testing.assert_allclose(found["total"].values[:, :2], found["variance"].values[:, :, :2].sum(axis=1))
    only = found.unique(np.array([1]))  # the target alone: one fold without a score
    assert np.isfinite(only[["unique", "beyond", "ci_low", "ci_high"]]).all(axis=None)
    assert len(found.unique(np.array([2]))) == 0  # no fold at all
    assert write_partition(found, tmp_path)


@pytest.mark.parametrize("solver", [Ridge(on_edge="ignore"), PLS(2), OLS()])
def test_one_space_one_neuroid_one_roi_is_written_and_drawn(acts, odd, ids, solver, tmp_path) -> None:
    one = make_responses(odd.values[:, :1], ids, neuroid_coords={"roi": ["V1"]})
    found = fit(acts, one, sites=Select("V1/bu", timesteps=1), solver=solver, n_permutations=5)
    best = found.best()
    assert best["space"].values.tolist() == [0] and np.isnan(best["margin"].values).all()
    written = write_encoding(found, tmp_path)
    assert {path.stem for path in written} >= {"result", "scores", "best", "best_timestep"}
    single = found.dataset.assign_coords(roi="V1")  # a roi that all neuroids share
    assert write_encoding(type(found)(single), tmp_path / "single")


def test_responses_in_time_with_one_time_and_an_undefined_fold(acts, odd, ids, tmp_path) -> None:
    movie = make_responses(odd.values[:, :3, None], ids, neuroid_coords={}, time=[0.1])
    found = fit(acts, movie, sites=Select("V1/bu", timesteps=1))
    assert write_encoding(found, tmp_path)
    matrix = temporal_generalisation(acts, movie, "V1/bu@1", cv=Folds(CV))["r"]
    np.testing.assert_allclose(matrix.values[:, 0, 0], found["r"].values[0, :, 0], atol=1e-6)


def test_a_score_of_one_fold_is_the_mean_over_folds(acts, odd, ids) -> None:
    values, folds = odd.values[:, :1].copy(), group_folds(ids, CV, seed=0)
    values[folds[1].test], values[folds[2].test] = 1.0, 2.5
    movie = make_responses(values[..., None], ids, neuroid_coords={}, time=[0.1])
    found = fit(acts, movie, sites=Select("V1/bu", timesteps=1))
    assert found["n_folds"].values.tolist() == [[1]]
    of_fold = found["r_fold"].values.ravel()
    matrix = temporal_generalisation(acts, movie, "V1/bu@1", cv=Folds(CV))["r"]
    np.testing.assert_allclose(matrix.values.ravel(), of_fold[np.isfinite(of_fold)], atol=1e-6)


def test_what_has_nothing_to_tell_apart_is_refused_before_anything_is_fitted(acts, odd) -> None:
    with pytest.raises(SpecError, match="a partition by stream tells at least two streams apart.*V1/bu@1"):
        partition_encoding(acts, odd, sites=Select("V1/bu", timesteps=1))
    with pytest.raises(SpecError, match="needs responses with time"):
        temporal_generalisation(acts, odd, "V1/bu@1")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Select("V1,LGN"), "'LGN' is the same for every stimulus"),
        (Select("V1/bu,V4", streams="td"), "'V1/bu' has no stream td"),
        (
            Select("V4", timesteps="0,1"),
            "'V4' is the same for every stimulus at timesteps 0|nothing that was chosen has timestep 0",
        ),
        (Select("V1/bu,V1/bu", streams="bu,td"), "nothing that was chosen has stream td"),
    ],
)
def test_what_was_named_is_fitted_or_refused(acts, odd, choice, message) -> None:
    with pytest.raises(SpecError, match=message):
        fit(acts, odd, sites=choice)


def test_a_name_twice_counts_once(acts, odd) -> None:
    assert fit(acts, odd, sites=Select("V1/bu,V1/bu", timesteps="1,1"))["name"].values.tolist() == ["V1/bu@1"]


def test_best_space_by_hand() -> None:
    nan = np.nan
    scores = np.array([[[0.3], [nan], [0.1]], [[0.2], [nan], [0.4]]])  # (2 spaces, 3 folds, 1 target)
    best = best_space(scores)
    assert best.winner.tolist() == [1]
    # the third fold chooses space 0 for the first: -0.3 there; the first chooses 1 for the third: -0.1
    np.testing.assert_allclose(best.margin, [np.mean([0.2 - 0.3, 0.1 - 0.4])])
    assert best_space(scores[:1]).winner.tolist() == [0]
    with pytest.raises(SpecError, match="2 or more folds"):
        best_space(scores[:, :1])


def test_means_over_defined_folds() -> None:
    assert mean_over_folds(np.array([[1.0, np.nan], [3.0, np.nan]]))[0] == 2
    assert np.isnan(mean_over_folds(np.full((2, 1), np.nan)))[0]


def test_ceilings_stay_in_their_range() -> None:
    np.testing.assert_allclose(spearman_brown(np.array([0.5, -0.5, -1.0, -0.9])), [2 / 3, -1, -1, -1])
    assert spearman_brown(np.array([-0.8]), 10.0).tolist() == [-1]
    constant = [np.full((3, 2), 1.0) for _ in range(4)]
    assert np.isnan(repetition_variance(constant)).all()
    rng = np.random.default_rng(0)
    values = rng.standard_normal((12, 3))
    values[:, 1] = 3.0
    responses = make_responses(values, np.repeat(list("abcd"), 3), neuroid_coords={})
    for method in ("split_half", "ncsnr", "repetition_variance"):
        found = noise_ceiling(responses, method)
        assert np.isnan(found[1]) and (found[[0, 2]] <= 1).all(), method
