"""What the package writes itself: stores in their three forms, results, saved estimators."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bltvs_neuro.errors import StoreError
from bltvs_neuro.rsa.inference.options import Inference

from ..store import made
from .target import Target

SPEC = made.spec(24, 8)


def write_store(root: Path, join: str = "copy") -> Path:
    """A small finished store; "virtual" leaves the values in its parts."""
    return made.write(root / "acts.h5", SPEC, join=join)


def _unfinished(root: Path) -> Path:
    from bltvs_neuro.store import open_writer

    path = root / "acts.h5"
    with open_writer(path, SPEC) as writer:
        for block in list(writer.pending())[:2]:
            with writer.part(block) as part:
                rows = range(block.start, block.stop)
                part.stimuli([SPEC.stimulus_ids[r] for r in rows], [f"{r:064x}" for r in rows])
                for layout in SPEC.sites:
                    for t in layout.timesteps:
                        values = np.stack([made.values(layout.site, t, r, layout.shape) for r in rows])
                        part.write(layout.site, t, values)
    return path


def _open(path: Path) -> Any:
    from bltvs_neuro.store import open_store

    with open_store(path) as store:
        arrays = {site: store[site].load() for site in store.sites}
        held = {f"{site} {name}": array[name].values for site, array in arrays.items() for name in array.coords}
        return {
            "ids": store.stimulus_ids, "sha256": store.stimulus_sha256, "about": store.provenance,
            "table": store.stimuli.to_csv(), **held, **{site: array.values for site, array in arrays.items()},
        }  # fmt: skip


def _verified(path: Path) -> Any:
    """The content of a store that ``verify`` finds sound."""
    from bltvs_neuro.store import verify

    report = verify(path)
    if not report.ok:
        raise StoreError(" / ".join(report.damage))
    return _open(path)


def _resumed(path: Path) -> Any:
    """What comes of an unfinished store when the same extraction goes on."""
    made.write(path, SPEC, join="copy")
    held = _verified(path)
    return {key: value for key, value in held.items() if key != "about"}


def _results(root: Path) -> dict[str, Path]:
    """One file of each kind of result, from a store."""
    from bltvs_neuro import compare_rdms, compute_rdms, open_store
    from bltvs_neuro.encoding import BandedRidge, Ridge, fit_encoding, partition_encoding
    from bltvs_neuro.features.folds import Folds
    from bltvs_neuro.neural import make_rdms, make_responses

    rng = np.random.default_rng(0)
    with open_store(write_store(root)) as acts:
        ids = list(acts.stimulus_ids)
        brain = make_rdms(rng.random((3, 276)), ids, metric="correlation", subject=list("abc"))
        responses = make_responses(rng.standard_normal((24, 3)), ids, neuroid_coords={"roi": list("xyy")})
        compare_rdms(compute_rdms(acts), brain, similarity="correlation", inference=Inference(bootstrap=20)).save(
            root / "rsa.nc"
        )
        fit_encoding(acts, responses, solver=Ridge(on_edge="ignore"), cv=Folds(3)).save(root / "encoding.nc")
        shared = partition_encoding(
            acts,
            responses,
            sites="V1/bu",
            solver=BandedRidge(candidates=2, on_edge="ignore"),
            cv=Folds(3),
            over="timestep",
        )
        shared.save(root / "partition.nc")
    return {kind: root / f"{kind}.nc" for kind in ("rsa", "encoding", "partition")} | {"store": root / "acts.h5"}


def _result(kind: str, root: Path) -> Path:
    kept = _results(root)
    for other, path in kept.items():
        if other != kind:
            path.unlink()
    return kept[kind]


def _shown(path: Path) -> Any:
    """A file as a report takes it in."""
    from bltvs_neuro.report.inputs import read_inputs

    (one,) = read_inputs([path])
    if one.kind == "store":
        return _open(path)
    data: xr.Dataset = one.value.dataset
    return data.load()


def _decoding(root: Path) -> Path:
    from bltvs_neuro import open_store
    from bltvs_neuro.probes import decode

    store = write_store(root)
    with open_store(store) as acts:
        path = decode(acts, "category", folds=3, classifier="ridge").save(root / "decoding.nc")
    store.unlink()
    return path


def _read_decoding(path: Path) -> Any:
    from bltvs_neuro.probes import Decoding

    return Decoding.load(path).dataset


def _estimator(root: Path) -> Path:
    from bltvs_neuro.encoding import Ridge
    from bltvs_neuro.encoding.solvers.saved_estimators import save_estimator

    rng = np.random.default_rng(0)
    return save_estimator(Ridge().fit(rng.random((20, 5)), rng.random((20, 2))), root / "ridge.npz")


def _read_estimator(path: Path) -> Any:
    from bltvs_neuro.encoding.solvers.saved_estimators import load_estimator

    return {key: value for key, value in vars(load_estimator(path)).items() if not key.startswith("_")}


TARGETS: dict[str, Target] = {
    "store-verified": Target(write_store, _verified, ("*",)),
    "store-opened": Target(write_store, _open, ("*",)),
    "store-virtual": Target(partial(write_store, join="virtual"), _verified, ("*",)),
    "store-resumed": Target(_unfinished, _resumed, ("*",)),
    **{
        f"report-{kind}": Target(partial(_result, kind), _shown, ("*.h5",), ("*.nc",), covers=f"report:{kind}")
        for kind in ("store", "rsa", "encoding", "partition")
    },
    "decoding": Target(_decoding, _read_decoding, free=("*",)),
    "estimator": Target(_estimator, _read_estimator, ("*",)),
}
