"""Whole fits: recovered signal, and scikit-learn's scores fold by fold."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bltvs_neuro.encoding import OLS, PLS, BandedRidge, Ridge
from bltvs_neuro.encoding.fit import fit_encoding
from bltvs_neuro.encoding.result import EncodingResult
from bltvs_neuro.encoding.scores.ceiling import noise_ceiling
from bltvs_neuro.encoding.scores.score import pearson, r2
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.folds import Folds, group_folds
from bltvs_neuro.features.select import Select
from bltvs_neuro.options import Run

from .reference import make_store, simulate_responses

GRID = np.logspace(-1, 5, 13)


def test_every_site_and_timestep_is_there_and_the_constant_ones_are_named(result: EncodingResult) -> None:
    assert result["name"].values.tolist() == [
        "V1/bu@0", "V1/bu@1", "V1/bu@2", "V1/td@0", "V1/td@1", "V1/td@2",
        "V4/bu@1", "V4/bu@2", "V4/td@1", "V4/td@2",
    ]  # fmt: skip
    assert result.provenance["left_out"] == ["LGN/bu@0", "LGN/bu@1", "LGN/bu@2"]
    assert result["timestep"].values.tolist() == [0, 1, 2, 0, 1, 2, 1, 2, 1, 2]
    assert set(result["n_features"].values) == {120}


def test_scores_equal_scikit_learn_fold_by_fold(acts, responses) -> None:
    ours = fit_encoding(
        acts,
        responses,
        sites=Select("V4/td", timesteps=2),
        solver=Ridge(alphas=GRID, by="loo", window=None, on_edge="ignore"),
        cv=Folds(4),
        run=Run(dtype="float64"),
    )
    ids = acts["V4/td"]["stimulus_id"].values.tolist()
    row = np.array([ids.index(s) for s in responses["stimulus_id"].values])
    x, y = (
        acts["V4/td"].sel(timestep=2).values.reshape(80, -1)[row].astype(np.float64),
        responses.values.astype(np.float64),
    )
    for f, fold in enumerate(group_folds(responses["stimulus_id"].values, 4, seed=0)):
        model = RidgeCV(GRID, alpha_per_target=True).fit(x[fold.train], y[fold.train])
        np.testing.assert_allclose(ours["alpha"].values[0, f], model.alpha_)
        theirs = model.predict(x[fold.test])
        np.testing.assert_allclose(ours["r_fold"].values[0, f], pearson(y[fold.test], theirs), atol=1e-6)
        np.testing.assert_allclose(ours["r2_fold"].values[0, f], r2(y[fold.test], theirs), atol=1e-6)


def test_the_right_area_timestep_and_stream_wins_with_a_margin(result: EncodingResult) -> None:
    best = result.best("r2")
    for source in ("V1/bu@1", "V4/td@2"):
        voxels = best["source"].values == source
        won = result["name"].values[best["space"].values[voxels]]
        assert (won == source).mean() >= 0.9
        assert (best["margin"].values[voxels]).mean() > 0.05
    assert set(best["area"].values[best["source"].values == "V1/bu@1"]) == {"V1"}
    noise = best["source"].values == "none"
    assert abs(best["margin"].values[noise].mean()) < 4 * best["margin"].values[noise].std() / np.sqrt(20) + 0.02


def test_signal_is_above_chance_and_noise_is_not(result: EncodingResult) -> None:
    above = result.above_chance()
    source = result["source"].values
    at = result["name"].values.tolist().index("V4/td@2")
    assert above.values[at, source == "V4/td@2"].mean() > 0.9
    assert above.values[:, source == "none"].mean() < 0.05
    assert abs(result["r"].values[:, source == "none"].mean()) < 0.05


def test_a_known_r2_is_recovered_within_its_interval() -> None:
    # few features, many stimuli: what is left to learn costs little, and the formula for least squares says how much
    acts = {"V4/td": make_store(600, p=20)["V4/td"]}
    for q in (0.3, 0.7):
        responses = simulate_responses(acts, [("V4/td", 2)], r2=q, per_source=100)
        for solver in (Ridge(on_edge="ignore"), OLS(), PLS(10)):
            found = fit_encoding(acts, responses, sites=Select(timesteps=2), solver=solver)
            r2 = found["r2"].values[0]
            n, p = 480, 20
            expected = 1 - (1 - q) * (1 + (p + 1) / (n - p - 2))
            assert abs(r2.mean() - expected) < 4 * r2.std() / np.sqrt(100) + 0.005, (solver, q)


def test_normalised_scores_of_the_true_model_are_one() -> None:
    acts = {"V4/td": make_store(600, p=20)["V4/td"]}
    responses = simulate_responses(acts, [("V4/td", 2)], r2=0.3, per_source=100, repetitions=3)
    for ceiling in ("split_half", "ncsnr", "repetition_variance"):
        found = fit_encoding(
            acts, responses, sites=Select(timesteps=2), solver=Ridge(on_edge="ignore"), ceiling=ceiling
        )
        assert found["r2_normalised"].values.mean() == pytest.approx(0.97, abs=0.03)
        assert found["r_normalised"].values.mean() == pytest.approx(0.99, abs=0.02)
        given = fit_encoding(
            acts,
            responses,
            sites=Select(timesteps=2),
            solver=Ridge(on_edge="ignore"),
            ceiling=noise_ceiling(responses, ceiling),
        )
        np.testing.assert_array_equal(given["r2_normalised"].values, found["r2_normalised"].values)
    with pytest.raises(SpecError, match=r"ceiling has shape \(100,\)"):
        fit_encoding(acts, responses, ceiling=np.ones(3))
    with pytest.raises(SpecError, match="one of averaged responses"):
        fit_encoding(acts, responses, cv=Folds(repetitions="single"), ceiling="ncsnr")


def test_single_trials_keep_repeats_and_runs_together_and_choose_by_kfold(acts) -> None:
    noise = simulate_responses(acts, [None], repetitions=4, per_source=60)
    rng = np.random.default_rng(0)
    ids = noise["stimulus_id"].values
    shared = {s: rng.standard_normal(60) for s in sorted(set(ids))}  # the same noise at every showing
    noise = noise.copy(data=noise.values + np.stack([shared[s] for s in ids]).astype(np.float32))
    honest = fit_encoding(
        acts, noise, sites=Select("V1/bu", timesteps=1), solver=Ridge(on_edge="ignore"), cv=Folds(repetitions="single")
    )
    assert honest.provenance["spec"]["by"] == "kfold"
    assert honest["r"].values.mean() < 0.04
    # the leak, on purpose: every presentation under a name of its own
    leaky_ids = [f"{s}#{i}" for i, s in enumerate(ids)]
    row = [acts["V1/bu"]["stimulus_id"].values.tolist().index(s) for s in ids]
    leaky_acts = {"V1/bu": acts["V1/bu"].isel(stimulus=row).assign_coords(stimulus_id=("stimulus", leaky_ids))}
    leaky = fit_encoding(
        leaky_acts,
        noise.assign_coords(stimulus_id=("presentation", leaky_ids)),
        sites=Select(timesteps=1),
        solver=Ridge(on_edge="ignore"),
    )
    assert leaky["r"].values.mean() > 0.3
    with pytest.raises(DataError, match=r"4 stimuli \(or groups\) cannot be split into 5 folds"):
        fit_encoding(acts, noise, cv=Folds(groups=("stimulus_id", "run"), repetitions="single"))
    with pytest.raises(SpecError, match=r"groups 'run' is no coordinate.*repetitions='single'"):
        fit_encoding(acts, noise, cv=Folds(groups="run"))


def test_scaling_selection_and_pca_are_fitted_inside_the_training_fold() -> None:
    acts = {"V1/bu": make_store(80)["V1/bu"].isel(timestep=[1], channel=[0])}
    many = np.random.default_rng(0).standard_normal((80, 1, 1, 2, 2000)).astype(np.float32)
    acts = {"V1/bu": xr.DataArray(many, dims=acts["V1/bu"].dims, coords=acts["V1/bu"].coords)}
    noise = simulate_responses(acts, [None], per_source=1)
    scores = []
    for seed in range(6):
        chosen = make_pipeline(StandardScaler(), SelectKBest(f_regression, k=20))
        inside = fit_encoding(
            acts, noise, sites="all@1", solver=Ridge(on_edge="ignore"), run=Run(seed=seed), transform=chosen
        )
        scores.append(inside["r"].values.item())
    assert abs(np.mean(scores)) < 0.2
    ids = acts["V1/bu"]["stimulus_id"].values.tolist()
    y = noise.values[:, 0]
    x = acts["V1/bu"].sel(timestep=1).values.reshape(80, -1)[[ids.index(s) for s in noise["stimulus_id"].values]]
    outside = SelectKBest(f_regression, k=20).fit_transform(x, y)  # the leak, on purpose: all rows choose the features
    leaky_acts = {
        "V1/bu": xr.DataArray(
            outside[:, None].astype(np.float32),
            dims=("stimulus", "timestep", "unit"),
            coords={"stimulus_id": ("stimulus", noise["stimulus_id"].values), "timestep": [1]},
        )
    }
    assert fit_encoding(leaky_acts, noise, solver=Ridge(on_edge="ignore"))["r"].values.item() > 0.5


def test_transform_and_zscore_equal_a_scikit_learn_pipeline(acts, responses) -> None:
    ids = acts["V1/bu"]["stimulus_id"].values.tolist()
    x = acts["V1/bu"].sel(timestep=1).values.reshape(80, -1)[[ids.index(s) for s in responses["stimulus_id"].values]]
    y = responses.values.astype(np.float64)
    folds = group_folds(responses["stimulus_id"].values, 4, seed=0)
    split = PredefinedSplit(np.array([next(k for k, f in enumerate(folds) if i in f.test) for i in range(80)]))
    ridge = RidgeCV(GRID, alpha_per_target=True)
    for options, steps in (({"transform": "zscore"}, [StandardScaler()]), ({"transform": PCA(10)}, [PCA(10)])):
        ours = fit_encoding(
            acts,
            responses,
            sites=Select("V1/bu", timesteps=1),
            solver=Ridge(alphas=GRID, by="loo", window=None, on_edge="ignore"),
            cv=Folds(4),
            run=Run(dtype="float64"),
            **options,
        )
        theirs = cross_val_predict(make_pipeline(*steps, ridge), x.astype(np.float64), y, cv=split)
        for f, fold in enumerate(folds):
            np.testing.assert_allclose(ours["r_fold"].values[0, f], pearson(y[fold.test], theirs[fold.test]), atol=1e-6)


def test_banded_ridge_over_streams_finds_the_stream(acts, responses) -> None:
    found = fit_encoding(acts, responses, solver=BandedRidge(on_edge="ignore", candidates=12, bands="stream"))
    assert found["band"].values.tolist() == ["bu", "td"]
    assert "stream" not in found.dataset.coords
    assert found["area"].values.tolist() == ["V1", "V1", "V1", "V4", "V4"]
    source = found["source"].values
    at = 4  # V4 t2
    share = found["share"].values[at][:, source == "V4/td@2"].mean(axis=1)
    assert share[1] > 0.15 > 0.06 > abs(share[0])
    np.testing.assert_allclose(found["gamma"].values.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found["share"].values.sum(axis=1), found["r2"].values, atol=1e-5)
    for bands, n in (("timestep", 4), ("area", 5)):
        other = fit_encoding(acts, responses, solver=BandedRidge(on_edge="ignore", candidates=5, bands=bands))
        assert other.dataset.sizes["space"] == n if bands == "timestep" else True
