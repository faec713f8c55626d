from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bltvs_neuro.encoding import OLS, PLS, BandedRidge, Ridge
from bltvs_neuro.encoding.fit import fit_encoding, partition_encoding
from bltvs_neuro.encoding.outputs.partition import plot_partition
from bltvs_neuro.encoding.outputs.scores import plot_best_timestep, plot_scores
from bltvs_neuro.encoding.result import EncodingResult, PartitionResult
from bltvs_neuro.encoding.scores.ceiling import noise_ceiling
from bltvs_neuro.encoding.scores.score import pearson, r2
from bltvs_neuro.encoding.solvers.ridge import GridEdgeWarning
from bltvs_neuro.errors import DataError, SpecError, StoreError
from bltvs_neuro.features.folds import Folds, group_folds
from bltvs_neuro.features.select import Select
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.options import Run, parse_memory
from bltvs_neuro.progress import show_progress

from .reference import make_store, simulate_responses

GRID = np.logspace(-1, 5, 13)


@pytest.fixture(scope="module")
def acts() -> dict[str, xr.DataArray]:
    return make_store()


@pytest.fixture(scope="module")
def responses(acts) -> xr.DataArray:
    return simulate_responses(acts, [("V1/bu", 1), ("V4/td", 2), None])


@pytest.fixture(scope="module")
def result(acts, responses) -> EncodingResult:
    return fit_encoding(acts, responses, solver=Ridge(on_edge="ignore"), cv=Folds(4), n_permutations=500)


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


@pytest.fixture(scope="module")
def repeated_partitions() -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Twenty experiments: independent streams of V4, voxels that follow td, and what is found for bu and td."""
    found = []
    for seed in range(20):
        acts = {site: x for site, x in make_store(90, p=60, seed=seed).items() if site.startswith("V4")}
        responses = simulate_responses(acts, [("V4/td", 2)], per_source=40, seed=100 + seed)
        result = partition_encoding(
            acts,
            responses,
            sites=Select(timesteps=2),
            solver=BandedRidge(candidates=6, on_edge="ignore"),
            run=Run(seed=seed),
            over="stream",
        )
        table = result.unique().set_index("part")
        found.append((table.loc["bu"], table.loc["td"]))
    return found


def test_unique_variance_of_a_useless_stream_is_zero_within_its_interval_and_of_a_useful_one_is_not(
    repeated_partitions,
) -> None:
    useless, useful = (pd.DataFrame(rows) for rows in zip(*repeated_partitions, strict=True))
    covered = ((useless["ci_low"] <= 0) & (useless["ci_high"] >= 0)).sum()
    assert covered >= 17  # 19 of 20 are expected; 16 or fewer have probability 0.016
    assert (useful["ci_low"] > 0.1).all()
    error = useless["beyond"].std() / np.sqrt(20)
    assert abs(useless["beyond"].mean()) < 3 * error
    # as cross-validated it is below zero, by many standard errors: the test above can tell
    assert useless["unique"].mean() < -4 * useless["unique"].std() / np.sqrt(20)


def test_parts_of_a_partition_sum_to_the_joint_model_and_independent_streams_share_nothing() -> None:
    acts = make_store(300, p=40)
    responses = simulate_responses(acts, [("V4/td", 2)], per_source=80)
    found = partition_encoding(
        acts,
        responses,
        sites=Select("V4", timesteps=2),
        solver=BandedRidge(candidates=10, on_edge="ignore"),
        over="stream",
    )
    assert isinstance(found, PartitionResult)
    part = {str(p): found["variance"].values[0, i] for i, p in enumerate(found["part"].values)}
    assert part["td"].mean() > 0.4
    # nothing is shared: R2(bu) + R2(td) - R2(both) is what bu shows for responses of other stimuli, below zero by what
    # a ridge pays for features that tell nothing
    rng, ids = np.random.default_rng(0), acts["V4/bu"]["stimulus_id"].values
    chance = []
    for _ in range(19):
        shuffled = responses.assign_coords(stimulus_id=("presentation", rng.permutation(ids)))
        fit = fit_encoding(
            acts, shuffled, sites=Select("V4/bu", timesteps=2), solver=BandedRidge(on_edge="ignore", bands="stream")
        )
        chance.append(fit["r2"].values.mean() - part["bu"].mean())
    assert min(chance) < part["bu & td"].mean() < max(chance)
    assert max(chance) < 0.01  # so that the range tells
    table = found.unique(np.arange(40)).set_index("part")
    assert table.loc["td", "unique"] == pytest.approx(part["td"][:40].mean())
    assert table.loc["td", "beyond"] == pytest.approx(table.loc["td", "unique"] - table.loc["td", "useless"])
    both = fit_encoding(
        acts,
        responses,
        sites=Select("V4", timesteps=2),
        solver=BandedRidge(on_edge="ignore", candidates=10, bands="stream"),
    )
    np.testing.assert_allclose(found["total"].values, both["r2"].values, atol=1e-5)


def test_the_figure_of_a_partition_shows_what_the_table_says() -> None:
    acts = {site: x for site, x in make_store(60, p=20).items() if site.startswith("V4")}
    responses = simulate_responses(acts, [("V4/td", 2)], per_source=12)
    found = partition_encoding(
        acts,
        responses,
        sites=Select(timesteps="0:3"),
        solver=BandedRidge(candidates=4, on_edge="ignore"),
        over="stream",
    )
    some = np.arange(6)
    (axis,) = plot_partition(found, neuroids=some)
    table = found.unique(some)
    drawn = 0
    for line in axis.lines:
        if not str(line.get_label()).startswith("unique "):
            continue
        rows = table[
            table["part"] == {"bottom-up": "bu", "top-down": "td"}[str(line.get_label()).removeprefix("unique ")]
        ].set_index("timestep")
        (band,) = [c for c in axis.collections if c.get_facecolor()[0, :3] == pytest.approx(to_rgb(line.get_color()))]
        corners = band.get_paths()[0].vertices
        for step, value in zip(line.get_xdata(), line.get_ydata(), strict=True):
            if step in rows.index:
                assert value == pytest.approx(rows.loc[step, "beyond"])
                edges = corners[np.isclose(corners[:, 0], step), 1]
                assert (edges.min(), edges.max()) == pytest.approx(
                    (rows.loc[step, "ci_low"], rows.loc[step, "ci_high"])
                )
                drawn += 1
    assert drawn == len(table) > 2


def test_a_sweep_goes_on_where_it_stopped_and_refuses_another(acts, responses, tmp_path) -> None:
    options = {"sites": "V1", "cv": Folds(3), "solver": Ridge(on_edge="ignore")}
    seen = []

    def stop_after_two(progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), show_progress(stop_after_two):
        fit_encoding(acts, responses, resume_path=tmp_path / "parts", **options)
    assert [p.label for p in seen] == ["V1/bu@0", "V1/bu@1"]
    assert seen[0].total == 6
    assert seen[0].seconds_left >= 0
    before = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "parts").glob("*.npz")}
    assert len(before) == 2
    resumed = fit_encoding(acts, responses, resume_path=tmp_path / "parts", **options)
    after = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "parts").glob("*.npz")}
    assert len(after) == 6
    assert all(after[name] == stamp for name, stamp in before.items())
    plain = fit_encoding(acts, responses, **options)
    xr.testing.assert_identical(resumed.dataset, plain.dataset)
    with pytest.raises(StoreError, match=r"another sweep \(differs in seed\)"):
        fit_encoding(acts, responses, run=Run(seed=1), resume_path=tmp_path / "parts", **options)
    with pytest.raises(StoreError, match=r"another sweep \(differs in responses_sha256\)"):
        fit_encoding(acts, responses + 1, resume_path=tmp_path / "parts", **options)
    name = next((tmp_path / "parts").glob("*.npz"))
    name.write_bytes(name.read_bytes()[:100])
    with pytest.raises(StoreError, match="is damaged"):
        fit_encoding(acts, responses, resume_path=tmp_path / "parts", **options)


def test_bad_targets_are_marked_never_dropped(acts, responses, caplog) -> None:
    values = responses.values.copy()
    values[3, 5] = np.nan
    values[:, 7] = 0.25
    bad = responses.copy(data=values)
    found = fit_encoding(acts, bad, sites="V1/bu", solver=Ridge(on_edge="ignore"), n_permutations=20)
    assert found["status"].values[[5, 7]].tolist() == ["missing", "constant"]
    assert (np.delete(found["status"].values, [5, 7]) == "fitted").all()
    assert np.isnan(found["r2"].values[:, [5, 7]]).all()
    assert np.isnan(found["q_value"].values[:, [5, 7]]).all()
    assert not found.above_chance().values[:, [5, 7]].any()
    assert found.best()["space"].values[[5, 7]].tolist() == [-1, -1]
    good = fit_encoding(acts, responses, sites="V1/bu", solver=Ridge(on_edge="ignore"))
    keep = np.delete(np.arange(60), [5, 7])
    np.testing.assert_allclose(found["r2"].values[:, keep], good["r2"].values[:, keep], atol=1e-5)
    assert "1 of 60 targets hold NaN and 1 do not vary (neuroids 5, 7)" in caplog.text
    with pytest.raises(DataError, match="60 of 60 targets hold NaN"):
        fit_encoding(acts, responses * np.nan)
    with pytest.raises(DataError, match="60 of 60 targets hold infinite values"):
        fit_encoding(acts, responses.copy(data=np.full(responses.shape, np.inf, np.float32)))


def test_stimuli_are_matched_by_id_and_differences_are_named(acts, responses) -> None:
    fewer = responses.isel(presentation=slice(3, None))
    gone = sorted(set(responses["stimulus_id"].values) - set(fewer["stimulus_id"].values))
    with pytest.raises(DataError, match=rf"3 stimuli are in the store but not in the neural data: {', '.join(gone)}"):
        fit_encoding(acts, fewer)
    found = fit_encoding(acts, fewer, sites="V4/td", solver=Ridge(on_edge="ignore"), cv=Folds(on_mismatch="intersect"))
    assert found.provenance["stimuli_not_shared"] == {"store": 3, "neural": 0}
    same = {k: v.isel(stimulus=np.isin(v["stimulus_id"], fewer["stimulus_id"])) for k, v in acts.items()}
    np.testing.assert_allclose(
        found["r2"], fit_encoding(same, fewer, sites="V4/td", solver=Ridge(on_edge="ignore"))["r2"], atol=1e-6
    )
    other = responses.assign_coords(stimulus_id=("presentation", [f"x{i}" for i in range(80)]))
    with pytest.raises(
        DataError, match=r"no stimulus of the store is in the neural data: one of the 80 in the store is s"
    ):
        fit_encoding(acts, other, cv=Folds(on_mismatch="intersect"))


def test_constant_sites_asked_for_by_name_are_refused(acts, responses) -> None:
    with pytest.raises(SpecError, match="'LGN/bu' is the same for every stimulus at timesteps 0, 1, 2"):
        fit_encoding(acts, responses, sites=["LGN/bu", "V1/bu"])
    with pytest.raises(SpecError, match="unknown area 'V7'"):
        fit_encoding(acts, responses, sites="V7")
    assert (
        fit_encoding(acts, responses, sites=Select("V1:V4", timesteps=0), solver=Ridge(on_edge="ignore")).dataset.sizes[
            "space"
        ]
        == 2
    )


def test_streams_are_chosen_and_constant_sites_left_out(acts, responses) -> None:
    found = fit_encoding(acts, responses, sites=Select(streams="bu"), solver=Ridge(on_edge="ignore"))
    assert set(found["stream"].values) == {"bu"}
    assert found.provenance["left_out"] == ["LGN/bu@0", "LGN/bu@1", "LGN/bu@2"]
    with pytest.raises(SpecError, match="unknown stream 'up'"):
        fit_encoding(acts, responses, sites=Select(streams="up"))
    with pytest.raises(SpecError, match="'LGN' has no stream td|there is no"):
        fit_encoding(acts, responses, sites=Select("LGN", streams="td"))


def test_the_default_grid_keeps_gcv_from_fitting_noise_where_features_are_as_many_as_rows() -> None:
    acts = make_store(100, p=80)
    noise = simulate_responses(acts, [None], per_source=200)
    found = fit_encoding(acts, noise, sites=Select("V4/td", timesteps=2), solver=Ridge(on_edge="ignore"))
    assert found["r2"].values.mean() > -0.2  # -0.11; with alphas down to 1e-7 times the variance -1.03


def test_layers_of_other_networks_have_no_stream(acts, responses) -> None:
    layers = {"conv1": acts["V1/bu"], "conv2": acts["V4/td"]}
    found = fit_encoding(layers, responses, sites=Select("conv1:conv2", streams="bu"), solver=Ridge(on_edge="ignore"))
    assert found["area"].values.tolist() == ["conv1"] * 3 + ["conv2"] * 2
    assert set(found["stream"].values) == {""}
    assert found["name"].values[-1] == "conv2@2"
    same = fit_encoding(acts, responses, sites="V4/td", solver=Ridge(on_edge="ignore"))
    np.testing.assert_array_equal(found["r2"].values[3:], same["r2"].values)
    plot_scores(found)
    plot_best_timestep(found)


def test_a_sweep_warns_once_of_the_grids_edge_with_numbers(acts, responses) -> None:
    with pytest.warns(GridEdgeWarning) as caught:
        fit_encoding(acts, responses, sites="V1", solver=Ridge(alphas=[100000.0, 1000000.0]), cv=Folds(3))
    assert len(caught) == 1
    assert re.search(
        r"of 1080 fits \(feature spaces x folds x targets\) chose the smallest alpha \(1e\+05\)", str(caught[0].message)
    )


def test_options_that_do_not_exist_are_named(acts, responses) -> None:
    with pytest.raises(SpecError, match=r"solver= is one of Ridge, BandedRidge, PLS, OLS\(...\); got 'ridge'"):
        fit_encoding(acts, responses, solver="ridge")
    with pytest.raises(SpecError, match="inner_folds= is an integer of at least 2; got 1"):
        fit_encoding(acts, responses, solver=Ridge(inner_folds=1))
    with pytest.raises(SpecError, match="seed= is an integer from 0 to 4294967295; got -1"):
        Run(seed=-1)
    with pytest.raises(SpecError, match="folds= is an integer of at least 2; got 1"):
        Folds(1)


def test_constant_features_count_for_nothing_and_are_counted(acts, responses) -> None:
    v1 = acts["V1/bu"]
    padded = {"V1/bu": xr.concat([v1, xr.full_like(v1.isel(channel=[0]), 0.1)], dim="channel")}
    plain = fit_encoding(
        {"V1/bu": v1}, responses, solver=Ridge(alphas=GRID, on_edge="ignore"), run=Run(dtype="float64")
    )
    for scale in (None, "zscore"):
        plain = fit_encoding(
            {"V1/bu": v1},
            responses,
            solver=Ridge(alphas=GRID, on_edge="ignore"),
            transform=scale,
            run=Run(dtype="float64"),
        )
        found = fit_encoding(
            padded, responses, solver=Ridge(alphas=GRID, on_edge="ignore"), transform=scale, run=Run(dtype="float64")
        )
        assert found["n_constant"].values.tolist() == [4, 4, 4]
        np.testing.assert_allclose(found["r2"], plain["r2"], atol=1e-4)


def test_fewer_stimuli_than_folds_and_other_bad_arguments(acts, responses) -> None:
    few = {k: v.isel(stimulus=slice(0, 4)) for k, v in acts.items()}
    some = responses.isel(presentation=np.isin(responses["stimulus_id"], few["V1/bu"]["stimulus_id"]))
    with pytest.raises(DataError, match=r"4 stimuli \(or groups\) cannot be split into 5 folds"):
        fit_encoding(few, some)
    for options, text in (
        ({"solver": BandedRidge(bands="roi")}, "unknown bands 'roi'"),
        ({"transform": "minmax"}, "unknown transform 'minmax'; valid: zscore"),
        ({"solver": Ridge(by="aic")}, "unknown by 'aic'"),
        ({"run": Run(memory="10KiB")}, "memory= grants"),
        ({"solver": BandedRidge(keep_dual=True)}, "keep_dual=True is for ridge with one band"),
        ({"solver": Ridge(keep_dual=True), "transform": "zscore"}, "keep_dual=True is for features without transform"),
        ({"solver": OLS()}, "use solver='ridge'"),
        ({"solver": BandedRidge(), "transform": PCA(2)}, "a transformer goes with solvers of one band"),
        ({"solver": PLS(100)}, "rank of the training features"),
        ({"n_permutations": -1}, "n_permutations= is at least 0"),
    ):
        with pytest.raises(SpecError, match=text):
            fit_encoding(acts, responses, **options)
    with pytest.raises(SpecError, match="text such as '2GiB'"):
        Run(memory="lots")
    assert parse_memory("2MB") == 2_000_000
    with pytest.raises(DataError, match="presentation, neuroid"):
        fit_encoding(acts, responses.rename(presentation="image"))


def test_dual_coefficients_predict_and_give_weights(acts, responses) -> None:
    found = fit_encoding(
        acts,
        responses,
        sites=Select("V4/td", timesteps=2),
        solver=Ridge(alphas=GRID, on_edge="ignore", keep_dual=True),
        run=Run(dtype="float64"),
    )
    ids = acts["V4/td"]["stimulus_id"].values.tolist()
    x = (
        acts["V4/td"]
        .sel(timestep=2)
        .values.reshape(80, -1)
        .astype(np.float64)[[ids.index(s) for s in found["stimulus_id"].values]]
    )
    x -= x.mean(axis=0)
    weights = x.T @ found["dual"].values[0]
    y = responses.values.astype(np.float64)
    alpha = found["dual_alpha"].values[0]
    for j in (0, 30, 59):
        exact = np.linalg.solve(x.T @ x + alpha[j] * np.eye(120), x.T @ (y[:, j] - y[:, j].mean()))
        np.testing.assert_allclose(weights[:, j], exact, atol=1e-6)


def test_times_are_targets_of_their_own(acts) -> None:
    base = simulate_responses(acts, [("V4/td", 2)])
    values = np.stack([base.values, np.random.default_rng(0).standard_normal(base.shape)], axis=-1)
    timed = make_responses(
        values.astype(np.float32), base["stimulus_id"].values, neuroid_coords={"electrode": range(20)}, time=[0.1, 0.2]
    )
    found = fit_encoding(acts, timed, sites="V4/td", solver=Ridge(on_edge="ignore"))
    assert found["r"].dims == ("space", "neuroid", "time")
    assert found["time"].values.tolist() == [0.1, 0.2]
    assert found["r"].values[1, :, 0].mean() > 0.3 > abs(found["r"].values[1, :, 1].mean())


@pytest.mark.parametrize("kind", ["encoding", "partition"])
def test_results_survive_saving(kind: str, acts, responses, result, tmp_path) -> None:
    made = (
        result
        if kind == "encoding"
        else partition_encoding(acts, responses, sites="V4", solver=BandedRidge(candidates=5, on_edge="ignore"))
    )
    path = made.save(tmp_path / "result.h5")
    loaded = type(made).load(path)
    xr.testing.assert_equal(loaded.dataset, made.dataset)
    assert loaded.provenance == made.provenance
    assert [f.name for f in tmp_path.iterdir()] == ["result.h5"]
    with pytest.raises(DataError, match="holds a result of kind"):
        (PartitionResult if kind == "encoding" else EncodingResult).load(path)
    frame = made.to_frame()
    rows = made.dataset.sizes["space"] * 60 * (1 if kind == "encoding" else made.dataset.sizes["part"])
    assert len(frame) == rows
    made.to_csv(tmp_path / "table.csv")
    assert {"area", "voxel", "source", "status"} <= set((tmp_path / "table.csv").read_text().splitlines()[0].split(","))
    (tmp_path / "no.h5").write_text("x")
    with pytest.raises(DataError, match="cannot be opened as HDF5"):
        EncodingResult.load(tmp_path / "no.h5")


def test_maps_lie_where_the_voxels_are(acts, responses, tmp_path) -> None:
    import nibabel

    index = np.random.default_rng(0).permutation(4 * 5 * 6)[:60]
    i, j, k = np.unravel_index(index, (4, 5, 6))
    placed = responses.assign_coords(i=("neuroid", i), j=("neuroid", j), k=("neuroid", k))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    placed.attrs = {"affine": affine.tolist(), "volume_shape": [4, 5, 6]}
    found = fit_encoding(acts, placed, sites="V4/td", solver=Ridge(on_edge="ignore"))
    found = EncodingResult.load(found.save(tmp_path / "r.h5"))
    image = nibabel.load(found.to_nifti(tmp_path / "map.nii.gz", "r2", space=1))
    np.testing.assert_array_equal(image.affine, affine)
    np.testing.assert_allclose(image.get_fdata()[i, j, k], found["r2"].values[1], rtol=1e-6)
    assert np.isnan(image.get_fdata()).sum() == 60
    with pytest.raises(SpecError, match="choose with isel"):
        found.to_volume("r2")
    with pytest.raises(DataError, match="came without a volume"):
        fit_encoding(acts, responses, sites="V4/td", solver=Ridge(on_edge="ignore")).to_volume("r2", space=0)
    with pytest.raises(SpecError, match="unknown quantity 'r3'"):
        found["r3"]
