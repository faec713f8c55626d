"""What comes out of a fit: weights, times, files and maps."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.encoding import BandedRidge, Ridge
from bltvs_neuro.encoding.fit import fit_encoding, partition_encoding
from bltvs_neuro.encoding.result import EncodingResult, PartitionResult
from bltvs_neuro.errors import DataError, SpecError
from bltvs_neuro.features.select import Select
from bltvs_neuro.neural.labelled import make_responses
from bltvs_neuro.options import Run

from .reference import simulate_responses

GRID = np.logspace(-1, 5, 13)


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
