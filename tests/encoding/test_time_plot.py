from __future__ import annotations

import sys

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.encoding import (
    BandedRidge,
    EncodingResult,
    Ridge,
    fit_encoding,
    plot_best_timestep,
    plot_map,
    plot_scores,
    plot_time_matrix,
    score_matrix,
    temporal_generalisation,
)
from bltvs_neuro.errors import SpecError
from bltvs_neuro.neural.labelled import make_responses

from .reference import make_store, simulate_responses

SECONDS = [0.05, 0.1, 0.15, 0.2]


@pytest.fixture(scope="module")
def acts() -> dict[str, xr.DataArray]:
    return make_store()


@pytest.fixture(scope="module")
def timed(acts) -> xr.DataArray:
    """Electrodes that follow V4/td: its timestep 1 at 0.1 s, timestep 2 at 0.15 s and the same signal, weaker, at 0.2 s."""
    early = simulate_responses(acts, [("V4/td", 1)], seed=1)
    late = simulate_responses(acts, [("V4/td", 2)], seed=1)
    later = simulate_responses(acts, [("V4/td", 2)], seed=1)
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((2, *early.shape))
    values = np.stack([noise[0], early.values, late.values, later.values + 0.5 * noise[1]], axis=-1)
    return make_responses(
        values.astype(np.float32), early["stimulus_id"].values, neuroid_coords={"electrode": range(20)}, time=SECONDS
    )


@pytest.fixture(scope="module")
def fitted(acts, timed) -> EncodingResult:
    return fit_encoding(acts, timed, solver=Ridge(on_edge="ignore"))


def test_the_score_matrix_peaks_where_timestep_and_time_belong_together(fitted: EncodingResult) -> None:
    matrix = score_matrix(fitted)
    assert matrix.dims == ("site", "timestep", "time")
    assert matrix["time"].values.tolist() == SECONDS
    v4 = matrix.sel(site="V4/td")
    assert np.isnan(v4.sel(timestep=0)).all()  # not reached yet
    assert v4.sel(timestep=1).values.argmax() == 1
    assert v4.sel(timestep=2).values.argmax() == 2
    assert abs(v4.sel(timestep=2).values[0]) < 0.15
    apart = score_matrix(fitted, per_neuroid=True)
    np.testing.assert_allclose(apart.mean("neuroid").sel(site="V1/bu"), matrix.sel(site="V1/bu"))
    assert apart["electrode"].values.tolist() == list(range(20)) and "area" not in apart.coords


def test_the_generalisation_matrix_has_fit_encodings_scores_on_its_diagonal(acts, timed, fitted) -> None:
    result = temporal_generalisation(acts, timed, "V4/td@2")
    assert len(result.to_frame()) == result["r"].size
    matrix = result["r"]
    assert matrix.dims == ("neuroid", "time_train", "time_test")
    at = fitted["name"].values.tolist().index("V4/td@2")
    np.testing.assert_allclose(np.diagonal(matrix.values, axis1=1, axis2=2), fitted["r"].values[at], atol=1e-5)
    mean = matrix.mean("neuroid").values
    assert mean[2, 3] > 0.4  # the signal stays
    assert abs(mean[2, 0]) < 0.15
    assert abs(mean[0, 2]) < 0.25
    with pytest.raises(SpecError, match="needs responses with time"):
        temporal_generalisation(acts, timed.isel(time=0, drop=True), "V4/td@2")


def test_missing_samples_stay_missing(acts, timed) -> None:
    values = timed.values.copy()
    values[3, 4, 1] = np.nan
    matrix = temporal_generalisation(acts, timed.copy(data=values), "V4/td@2")["r"]
    assert np.isnan(matrix.values[4, 1]).all()
    assert np.isnan(matrix.values[4, :, 1]).all()
    assert np.isfinite(np.delete(np.delete(matrix.values[4], 1, 0), 1, 1)).all()
    assert np.isfinite(np.delete(matrix.values, 4, 0)).all()


@pytest.fixture(scope="module")
def voxels(acts) -> EncodingResult:
    responses = simulate_responses(acts, [("V1/bu", 1), ("V4/td", 2), None])
    i, j, k = np.unravel_index(np.random.default_rng(0).permutation(6 * 7 * 5)[:60], (6, 7, 5))
    responses = responses.assign_coords(i=("neuroid", i), j=("neuroid", j), k=("neuroid", k))
    responses.attrs = {"affine": np.eye(4).tolist(), "volume_shape": [6, 7, 5]}
    return fit_encoding(acts, responses, solver=Ridge(on_edge="ignore"))


def test_scores_are_drawn_per_area_and_stream(voxels: EncodingResult) -> None:
    axes = plot_scores(voxels, "r2", neuroids=voxels["source"].values == "V1/bu@1")
    assert [axis.get_title() for axis in axes] == ["V1", "V4"]
    line = axes[0].lines[0]
    at = [i for i, name in enumerate(voxels["name"].values) if name.startswith("V1/bu")]
    np.testing.assert_allclose(line.get_ydata(), voxels["r2"].values[at][:, :20].mean(axis=1))
    assert np.argmax(line.get_ydata()) == 1


def test_best_timesteps_are_counted(voxels: EncodingResult, tmp_path) -> None:
    axes = plot_best_timestep(voxels, by="source")
    assert [axis.get_title() for axis in axes] == ["V1/bu@1 (n = 20)", "V4/td@2 (n = 20)", "none (n = 20)"]
    for axis in axes:
        outlined = [bar for box in axis.containers[1::2] for bar in box]
        assert sum(bar.get_height() for bar in outlined) == 20
        assert all(float(tick).is_integer() for tick in axis.get_yticks())


def test_scores_of_electrodes_are_drawn_over_time(fitted: EncodingResult) -> None:
    axes = plot_scores(fitted, "r")
    assert [axis.get_title() for axis in axes] == [
        "V1, bottom-up", "V1, top-down", "V4, bottom-up", "V4, top-down"
    ]  # fmt: skip
    drawn = {line.get_label(): line for line in axes[3].lines if str(line.get_label()).startswith("timestep")}
    at = fitted["name"].values.tolist().index("V4/td@2")
    np.testing.assert_allclose(drawn["timestep 2"].get_ydata(), fitted["r"].values[at].mean(axis=0))
    np.testing.assert_allclose(drawn["timestep 2"].get_xdata(), [50, 100, 150, 200])


def test_a_map_is_drawn_without_nilearn_and_matrices_with_gaps(
    voxels, fitted, acts, timed, tmp_path, monkeypatch
) -> None:
    from bltvs_neuro.figures import save_figure

    monkeypatch.setitem(sys.modules, "nilearn.plotting", None)
    axes = plot_map(voxels, "r2", space=0)
    sides = [t.get_text() for t in (*axes[0].get_xticklabels(), *axes[0].get_yticklabels())]
    assert sides == ["L", "R", "P", "A"]  # an affine without flips
    save_figure(axes, tmp_path / "map.png")
    matrices = plot_time_matrix(score_matrix(fitted))
    assert matrices[0].get_xlim() == pytest.approx((25, 225)) and matrices[-1].get_xlabel() == "time after onset (ms)"
    save_figure(matrices, tmp_path / "matrix.png")
    square = temporal_generalisation(acts, timed, "V4/td@2").plot()[0]
    assert (square.get_xlabel(), square.get_ylabel()) == ("tested at (ms)", "trained at (ms)")


def test_what_cannot_be_drawn_says_why(acts, voxels, fitted) -> None:
    with pytest.raises(SpecError, match="average neuroids"):
        plot_time_matrix(score_matrix(fitted, per_neuroid=True))
    with pytest.raises(SpecError, match="needs scores over space, neuroid and time"):
        score_matrix(voxels)
    joined = fit_encoding(
        acts, simulate_responses(acts, [None]), solver=BandedRidge(on_edge="ignore", candidates=3, bands="stream")
    )
    with pytest.raises(SpecError, match="join their streams"):
        plot_scores(joined)
