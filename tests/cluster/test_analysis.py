"""RDMs and encoding models by the workers of a cluster have the bits of one machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bltvs_neuro as bn
from bltvs_neuro.encoding import BandedRidge, Ridge, fit_encoding, partition_encoding
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.options import Run
from bltvs_neuro.progress import show_progress

from ..store import made


@pytest.fixture(scope="module")
def acts(tmp_path_factory) -> Path:
    return made.write(tmp_path_factory.mktemp("store") / "acts.h5", made.spec())


@pytest.fixture(scope="module")
def responses() -> xr.DataArray:
    rng = np.random.default_rng(0)
    ids = list(made.spec().stimulus_ids)
    return xr.DataArray(
        rng.standard_normal((len(ids), 6)),
        dims=("presentation", "neuroid"),
        coords={
            "stimulus_id": ("presentation", ids),
            "repetition": ("presentation", [0] * len(ids)),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(6)]),
        },
    )


def test_rdms(client, acts, monkeypatch):
    monkeypatch.chdir(acts.parent)  # workers are in another folder
    with bn.open_store("acts.h5") as store:
        here = bn.compute_rdms(store)
        there = bn.compute_rdms(store, run=bn.Run(cluster=client))
        assert here.identical(there)
        assert here.values.tobytes() == there.values.tobytes()
        by_euclid = bn.compute_rdms(store, metric="euclidean", combine="mean_timesteps", run=bn.Run(cluster=client))
        assert by_euclid.identical(bn.compute_rdms(store, metric="euclidean", combine="mean_timesteps"))


@pytest.mark.parametrize("variance", ["jackknife", "bootstrap"])
def test_comparisons(client, acts, variance):
    rng = np.random.default_rng(1)
    ids = list(made.spec().stimulus_ids)
    brain = make_rdms(
        rng.random((6, len(ids) * (len(ids) - 1) // 2)), ids, metric="correlation", subject=["a", "b", "c"] * 2,
        roi=["V1"] * 3 + ["IT"] * 3,
    )  # fmt: skip
    with bn.open_store(acts) as store:
        rdms = bn.compute_rdms(store)
    options = dict(similarity="corr_cov", inference=bn.Inference(bootstrap=50, variance=variance))
    here = bn.compare_rdms(rdms, brain, run=bn.Run(seed=3), **options).dataset
    there = bn.compare_rdms(rdms, brain, run=bn.Run(seed=3, cluster=client), **options).dataset
    assert here.identical(there)
    assert here["roi"].values.tolist() == ["V1", "IT"]


def test_encoding(client, acts, responses, tmp_path):
    with bn.open_store(acts) as store:
        options = dict(cv=Folds(3), solver=Ridge(on_edge="ignore"), n_permutations=20)
        here = fit_encoding(store, responses, **options).dataset
        seen = []
        with show_progress(seen.append):
            there = fit_encoding(
                store, responses, run=Run(cluster=client), resume_path=tmp_path / "parts", **options
            ).dataset
        assert here.identical(there)
        assert [p.done for p in seen] == [1, 2, 3, 4]
        seen.clear()
        with show_progress(seen.append):
            again = fit_encoding(
                store, responses, run=Run(cluster=client), resume_path=tmp_path / "parts", **options
            ).dataset
        assert again.identical(here)
        assert [(p.done, p.total) for p in seen] == [(4, 4)]  # nothing was fitted again
        one = partition_encoding(
            store,
            responses,
            sites="V1/bu",
            solver=BandedRidge(candidates=3, on_edge="ignore"),
            cv=Folds(3),
            over="timestep",
        )
        two = partition_encoding(
            store,
            responses,
            sites="V1/bu",
            solver=BandedRidge(candidates=3, on_edge="ignore"),
            cv=Folds(3),
            run=Run(cluster=client),
            over="timestep",
        )
        assert one.dataset.identical(two.dataset)
