"""A small store, results and pictures, with ids that would be dangerous if anything were left unescaped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro import StimulusSet, compare_rdms, compute_rdms, open_store
from bltvs_neuro.encoding import BandedRidge, Ridge, fit_encoding, partition_encoding
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.features.select import Select
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.store import SiteLayout, open_writer

from ..store import made

HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "a&b \"'<b>",
    "%{x}ü",
)


@dataclass(frozen=True)
class Files:
    store: Path
    rsa: Path
    encoding: Path
    partition: Path
    stimuli: StimulusSet

    @property
    def all(self) -> list[Path]:
        return [self.store, self.rsa, self.encoding, self.partition]


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Files:
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    n = 24
    ids = (*HOSTILE, *(f"s{i}" for i in range(n - len(HOSTILE))))
    stimuli = StimulusSet.from_arrays(rng.integers(0, 255, (n, 20, 20, 3), dtype=np.uint8), ids=ids)
    sites = tuple(
        SiteLayout(f"{area}/{stream}", steps, ("component",), (6,), {}, onset=steps[0])
        for area, stream, steps in (("V1", "bu", (0, 1, 2)), ("V1", "td", (1, 2)), ("LOC", "bu", (1, 2)))
    )
    spec = replace(made.spec(n), stimulus_ids=ids, sites=sites, identity={"model": "m", "weights": "untrained"})
    with open_writer(folder / "acts.h5", spec) as writer:
        for block in writer.pending():
            with writer.part(block) as part:
                rows = range(block.start, block.stop)
                part.stimuli([ids[r] for r in rows], [stimuli.digest(r) for r in rows])
                for layout in sites:
                    for t in layout.timesteps:
                        part.write(layout.site, t, rng.standard_normal((len(rows), 6)).astype(np.float32))
        store = writer.finish()
    with open_store(store) as acts:
        rdms = compute_rdms(acts)
        brain = make_rdms(
            rng.random((6, n * (n - 1) // 2)), list(ids), metric="correlation", subject=["a", "b", "c"] * 2,
            roi=["IT<script>"] * 3 + ["V1"] * 3,
        )  # fmt: skip
        compare_rdms(rdms, brain, similarity="correlation", inference=Inference(bootstrap=20)).save(folder / "rsa.nc")
        responses = xr.DataArray(
            rng.standard_normal((n, 6)),
            dims=("presentation", "neuroid"),
            coords={
                "stimulus_id": ("presentation", list(ids)),
                "repetition": ("presentation", [0] * n),
                "neuroid_id": ("neuroid", [f"n{i}" for i in range(6)]),
                "roi": ("neuroid", ["<b>IT</b>"] * 3 + ["V4"] * 3),
            },
        )
        fit_encoding(acts, responses, solver=Ridge(on_edge="ignore"), cv=Folds(3)).save(folder / "encoding.nc")
        partition_encoding(
            acts,
            responses,
            sites=Select("V1", timesteps=[1, 2]),
            solver=BandedRidge(candidates=2, on_edge="ignore"),
            cv=Folds(3),
            over="stream",
        ).save(folder / "partition.nc")
    return Files(store, folder / "rsa.nc", folder / "encoding.nc", folder / "partition.nc", stimuli)
