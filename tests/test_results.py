"""Results of every kind: saved whole, read as what they are, damage found."""

from __future__ import annotations

from importlib.metadata import version

import h5py
import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.errors import DataError, OutputError, SpecError
from bltvs_neuro.results import Result


class Weights(Result):
    kind = "weights"


class Heights(Result):
    kind = "heights"


@pytest.fixture
def result() -> Weights:
    dataset = xr.Dataset(
        {
            "kg": (("who", "time"), np.array([[1.5, np.nan], [2.0, 3.0]])),
            "known": ("who", [True, False]),
            "total": ((), 6.5),
            "half": ("who", np.array([0.5, np.inf], np.float32)),
        },
        coords={"who": ["é", "b c"], "time": [0.1, 0.2], "n": ("who", np.array([3, 4], object).astype(np.int64))},
    )
    return Weights(dataset, {"scale": "kitchen", "n": 2})


def test_a_file_keeps_values_types_and_provenance(result, tmp_path):
    again = Weights.load(result.save(tmp_path / "w.nc"))
    xr.testing.assert_identical(again.dataset, result.dataset)
    assert {n: v.dtype.kind for n, v in again.dataset.variables.items()} == {
        n: v.dtype.kind for n, v in result.dataset.variables.items()
    }
    assert again.provenance == {"scale": "kitchen", "n": 2}
    Weights.load(again.save(tmp_path / "again.nc"))
    with h5py.File(tmp_path / "w.nc") as file:
        assert file.attrs["kind"] == "weights" and "numpy" in file.attrs["versions"] and "T" in file.attrs["created"]
    with pytest.raises(OutputError, match=r"w\.nc"):
        result.save(tmp_path / "w.nc")


def test_another_kind_is_named(result, tmp_path):
    path = result.save(tmp_path / "w.nc")
    with pytest.raises(DataError, match=r"w\.nc holds a result of kind 'weights', and Heights reads 'heights'"):
        Heights.load(path)
    xr.Dataset({"x": 1.0}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(DataError, match="holds no result, or one of an older version"):
        Weights.load(tmp_path / "x.nc")


@pytest.mark.parametrize("change", ["value", "text", "provenance", "truth"])
def test_a_changed_file_is_damaged(result, tmp_path, change):
    path = result.save(tmp_path / "w.nc")
    with h5py.File(path, "r+") as file:
        if change == "value":
            file["kg"][0, 0] = 1.25
        elif change == "text":
            file["who"][0] = "è"
        elif change == "truth":
            file["known"][0] = 0
        else:
            file.attrs["provenance"] = '{"scale": "bathroom"}'
    with pytest.raises(DataError, match=r"w\.nc is damaged: its values are not those"):
        Weights.load(path)


def test_notebooks_show_a_table(result):
    shown = Weights(result.dataset, {"scale": "<kitchen>"})._repr_html_()
    assert "<strong>Weights</strong>" in shown and "2 who × 2 time" in shown and "<table" in shown
    assert "&lt;kitchen&gt;" in shown and "<kitchen>" not in shown


def test_a_quantity_that_is_not_there_is_named(result):
    assert result["kg"].sum() == 6.5
    with pytest.raises(SpecError, match="quantity 'lb'.*kg"):
        result["lb"]


def test_analyses_take_the_path_of_a_store(tmp_path):
    import bltvs_neuro as bn
    from bltvs_neuro.neural import make_responses

    model = bn.BLT_VS(timesteps=2, num_classes=3, bio_unroll=False, image_size=128, width=0.0625).eval()
    path = bn.extract(model, bn.StimulusSet.shapes(12), tmp_path / "acts.h5", "V1", reduce="pool:2")
    with bn.open_store(path) as acts:
        ids = acts.stimulus_ids
        assert bn.compute_rdms(path).identical(bn.compute_rdms(acts))
    responses = make_responses(np.random.default_rng(0).normal(size=(12, 2)), ids, neuroid_coords={})
    options = {"sites": "V1/bu@1", "solver": bn.Ridge(on_edge="ignore"), "cv": bn.Folds(3)}
    assert bn.fit_encoding(str(path), responses, **options)["r"].shape == (1, 2)
    labels = ["a", "b"] * 6
    assert bn.decode(path, labels, folds=2, sites="V1/bu@1", classifier="ridge").chance == 0.5


def test_the_version_is_that_of_the_installation():
    import bltvs_neuro as bn

    assert bn.__version__ == version("bltvs_neuro")
