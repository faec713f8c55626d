"""What a fit takes, leaves out, marks, refuses and goes on with."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA

from bltvs_neuro.encoding import OLS, PLS, BandedRidge, Ridge
from bltvs_neuro.encoding.fit import fit_encoding
from bltvs_neuro.encoding.outputs.scores import plot_best_timestep, plot_scores
from bltvs_neuro.encoding.solvers.ridge import GridEdgeWarning
from bltvs_neuro.errors import DataError, SpecError, StoreError
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.features.select import Select
from bltvs_neuro.options import Run, parse_memory
from bltvs_neuro.progress import show_progress

from .reference import make_store, simulate_responses

GRID = np.logspace(-1, 5, 13)


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
