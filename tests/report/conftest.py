"""A small store, results and pictures, with ids that would be dangerous if anything were left unescaped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro import StimulusSet, compare_rdms, compute_rdms, decode, open_store
from bltvs_neuro.encoding import BandedRidge, Ridge, fit_encoding, partition_encoding, temporal_generalisation
from bltvs_neuro.features.folds import Folds
from bltvs_neuro.features.select import Select
from bltvs_neuro.neural import to_netcdf
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.probes import Driven
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.time import time_matrix
from bltvs_neuro.store import SiteLayout, open_writer
from bltvs_neuro.training.evaluation.evaluate import Evaluation

from ..store import made

HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "a&b \"'<b>",
    "%{x}ü",
)


@dataclass(frozen=True)
class Files:
    """``all``: a result of every kind that a command writes."""

    folder: Path
    stimuli: StimulusSet
    store: Path
    rsa: Path

    @property
    def all(self) -> list[Path]:
        names = (
            "brain",
            "rsa",
            "time",
            "encoding",
            "eeg",
            "generalisation",
            "partition",
            "decoding",
            "driven",
            "evaluation",
        )
        return [self.store, *(self.folder / f"{name}.nc" for name in names)]


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
    spec = replace(
        made.spec(n), stimulus_ids=ids, sites=sites, identity={"model": "<m>", "weights": "untrained"},
        metadata={"category": np.array(["face" if r % 3 else "<b>place" for r in range(n)], dtype=object)},
    )  # fmt: skip
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
        to_netcdf(brain, folder / "brain.nc")
        compare_rdms(rdms, brain, similarity="correlation", inference=Inference(bootstrap=20)).save(folder / "rsa.nc")
        movie = make_rdms(
            np.tile(rdms.values[0], (12, 1)) + 0.1 * rng.random((12, n * (n - 1) // 2)), list(ids), metric="correlation",
            subject=[s for s in "abcdef" for _ in range(2)], time=[0.1, 0.2] * 6,
        )  # fmt: skip
        few = Inference(n_permutations=200, bootstrap=20)
        time_matrix(rdms, movie, inference=few).save(folder / "time.nc")
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
        cv, ridge = Folds(3), Ridge(on_edge="ignore")
        volume = responses.assign_coords(
            i=("neuroid", range(6)), j=("neuroid", [0] * 6), k=("neuroid", [0, 1] * 3)
        ).assign_attrs(affine=np.eye(4).tolist(), volume_shape=[6, 2, 2])
        fit_encoding(acts, volume, solver=ridge, cv=cv, ceiling=np.full(6, 0.5), n_permutations=4).save(
            folder / "encoding.nc"
        )
        shares = BandedRidge(candidates=2, on_edge="ignore")
        partition_encoding(
            acts, responses, sites=Select("V1", timesteps=[1, 2]), solver=shares, cv=cv, over="stream"
        ).save(folder / "partition.nc")
        timed = xr.concat([responses, responses + 1], dim="time").transpose("presentation", "neuroid", "time")
        timed = timed.assign_coords(time=[0.1, 0.25]).drop_vars("roi")
        fit_encoding(acts, timed, solver=ridge, cv=cv).save(folder / "eeg.nc")
        temporal_generalisation(acts, timed, "V1/td@2", solver=ridge, cv=cv).save(folder / "generalisation.nc")
        decode(acts, "category", folds=3, classifier="ridge", n_permutations=19).save(folder / "decoding.nc")
    driven = xr.Dataset(
        {"image": (("channel", "y", "x", "colour"), rng.random((2, 8, 8, 3))),
         "activation": (("channel", "step"), [[0.0, 1.5], [0.5, 2.0]])},
    )  # fmt: skip
    about = {"site": "V1/bu", "timestep": 2, "channels": [3, 7], "model": {"model": "<m>", "weights": "untrained"}}
    Driven(driven, about).save(folder / "driven.nc")
    scores = {f"top{k}{end}": ("timestep", [51.0 + k, 52.0 + k]) for k in (1, 5) for end in ("", "_ci_low", "_ci_high")}
    taken = np.array([[0, 0]] * 3 + [[0, 1]] + [[1, 1]] * 4)
    judged = xr.Dataset(
        scores | {"taken_for": (("stimulus", "timestep"), taken), "label": ("stimulus", [0] * 4 + [1] * 4),
                  "class_name": ("class", ["cat", "<i>dog"])},
        coords={"timestep": [1, 2]},
    )  # fmt: skip
    Evaluation(judged, {"model": {"model": "<m>", "weights": "untrained"}}).save(folder / "evaluation.nc")
    return Files(folder, stimuli, store, folder / "rsa.nc")


@pytest.fixture(scope="session")
def report(files, tmp_path_factory) -> Path:
    """A page of all that a command writes."""
    pytest.importorskip("plotly")
    from bltvs_neuro.report import write_report

    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(files.all, path, stimuli=files.stimuli, title=HOSTILE[0])
