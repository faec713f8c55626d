"""What the package writes itself: stores in their three forms, results, saved estimators."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

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


SHOWN = (
    "store", "rdms", "rsa", "rsa_time", "encoding", "partition", "generalisation", "decoding", "driven", "evaluation",
)  # fmt: skip
"""What a report takes."""


def _result(kind: str, root: Path) -> Path:
    """A result of a kind, from a store."""
    from bltvs_neuro import open_store

    store = write_store(root)
    if kind == "store":
        return store
    with open_store(store) as acts:
        path = _made(kind, acts, root / f"{kind}.nc")
    store.unlink()
    return path


def _made(kind: str, acts: Any, path: Path) -> Path:
    import bltvs_neuro as bn
    from bltvs_neuro.encoding import temporal_generalisation
    from bltvs_neuro.neural import make_rdms, to_netcdf
    from bltvs_neuro.rsa import time_matrix
    from bltvs_neuro.training.evaluation.evaluate import evaluate
    from bltvs_neuro.training.pictures.data import Labelled

    rng, ids = np.random.default_rng(0), list(acts.stimulus_ids)
    voxels = {"roi": list("xyy")}
    if kind == "rdms":
        return to_netcdf(bn.compute_rdms(acts), path)
    if kind == "rsa":
        brain = make_rdms(rng.random((3, 276)), ids, metric="correlation", subject=list("abc"))
        return bn.compare_rdms(bn.compute_rdms(acts), brain, inference=Inference(bootstrap=20)).save(path)
    if kind == "rsa_time":
        times = [0.1, 0.2, 0.1, 0.2]
        movie = make_rdms(rng.random((4, 276)), ids, metric="correlation", subject=list("aabb"), time=times)
        few = Inference(bootstrap=5, n_permutations=9)
        return time_matrix(bn.compute_rdms(acts), movie, inference=few).save(path)
    if kind == "decoding":
        return bn.decode(acts, "category", folds=3, classifier="ridge").save(path)
    if kind == "generalisation":
        values = rng.standard_normal((24, 3, 2))
        timed = bn.make_responses(values, ids, neuroid_coords=voxels, time=[0.1, 0.2])
        return temporal_generalisation(acts, timed, "V1/bu@1", cv=bn.Folds(3)).save(path)
    if kind in ("encoding", "partition"):
        responses = bn.make_responses(rng.standard_normal((24, 3)), ids, neuroid_coords=voxels)
        if kind == "encoding":
            return bn.fit_encoding(acts, responses, solver=bn.Ridge(on_edge="ignore"), cv=bn.Folds(3)).save(path)
        solver = bn.BandedRidge(candidates=2, on_edge="ignore")
        return bn.partition_encoding(
            acts, responses, sites="V1/bu", solver=solver, cv=bn.Folds(3), over="timestep"
        ).save(path)
    model = bn.BLT_VS(timesteps=1, num_classes=2, bio_unroll=False, image_size=128, width=0.0625).eval()
    if kind == "driven":
        return bn.drive(model, "LGN/bu", 0, 0, steps=1).save(path)
    pictures = bn.StimulusSet.from_arrays(rng.integers(0, 255, (4, 32, 32, 3), np.uint8))
    return evaluate(model, Labelled(pictures, np.array([0, 1, 0, 1]), ("disc", "ring")), bootstrap=5).save(path)


def _shown(path: Path) -> Any:
    """A file as a report takes it in."""
    from bltvs_neuro.report.inputs import read_inputs

    (one,) = read_inputs([path])
    if one.kind == "store":
        return _open(path)
    return (one.value if one.kind == "rdms" else one.value.dataset).load()


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
        for kind in SHOWN
    },
    "decoding": Target(partial(_result, "decoding"), _read_decoding, free=("*",)),
    "estimator": Target(_estimator, _read_estimator, ("*",)),
}
