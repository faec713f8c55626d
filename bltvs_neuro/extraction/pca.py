"""Principal components of every site, fitted on a training subset before the extraction.

One basis per site serves all timesteps, so that a component means the same at each of them. The fit is exact: the
full maps of the training stimuli are spooled to disk and decomposed through their Gram matrix, site by site.
"""

from __future__ import annotations

import json
import logging
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..durable import check_outputs, make_folder, scratch_folder, told, whole_file
from ..errors import DataError, SpecError, StimulusError, StoreError, argument
from ..foreign.npy import load_npz, npz_headers
from ..model import Network, State
from ..model.released.weights import weights_sha256
from ..schema import Site
from ..stimuli import StimulusSet
from ..store.parts.lock import holding
from .batches import decoded
from .hooks import hooked
from .plan import free_bytes, human_bytes
from .precision import computing
from .projection import Components, Pca
from .reduce import Reduction
from .sites import by_site

log = logging.getLogger(__name__)

TILE = 8192


def components(path: str | os.PathLike[str]) -> Components:
    """Read bases that an earlier extraction fitted, to project other stimuli onto the same components."""
    return _load(Path(path))[0]


def fitted(
    reduction: Reduction, model: Network, stimuli: StimulusSet, states: tuple[State, ...], store: Path, batch_size: int,
    workers: int | None = None, *, replace: bool = False,
) -> Reduction:  # fmt: skip
    """Principal components fitted, or read if this store's were fitted before with the same model, sites and stimuli.

    Those of another fit are refused unless ``replace``. Other reductions are returned as they are.
    """
    if not isinstance(reduction, Pca):
        return reduction
    train = reduction.train
    if isinstance(train, int):
        rng = np.random.default_rng(reduction.seed)
        train = stimuli.subset(np.sort(rng.choice(len(stimuli), min(train, len(stimuli)), replace=False)).tolist())
    described = {
        "name": reduction.name, "train_ids": list(train.ids), "seed": reduction.seed, "weights_sha256": weights_sha256(model),
        "states": {str(site): list(steps) for site, steps in by_site(states).items()}, "config": model.config,
        **({"lesions": [one.describe() for one in model.lesions]} if model.lesions else {}),
    }  # fmt: skip
    path = store.with_name(store.name + ".components.npz")
    make_folder(path.parent)
    with told(path):
        lock = holding(path.with_name(path.name + ".lock"), 0)  # the first of several jobs fits, the others read
    with lock:
        check_outputs(path, overwrite=True)
        if path.exists():
            made, known = _load(path)
            if known == json.loads(json.dumps(described)):
                return made
            if not replace:
                raise StoreError(
                    f"{path} holds components of another fit (model, lesions, sites or training stimuli differ); remove it, or "
                    f"start anew with {argument('resume', False)}"
                )
        made = fit(reduction.n, model, train, states, path.absolute().parent, batch_size, described, workers)
        arrays = {
            f"{kind}:{site}": a
            for site, pair in made.bases.items()
            for kind, a in zip(("mean", "basis"), pair, strict=True)
        }
        with whole_file(path, overwrite=True) as part, part.open("wb") as file:
            np.savez(file, described=np.array(json.dumps(described)), **arrays)  # type: ignore[arg-type]
        return made


def fit(
    n: int, model: Network, train: StimulusSet, states: tuple[State, ...], scratch: Path, batch_size: int,
    described: dict[str, Any], workers: int | None = None,
) -> Components:  # fmt: skip
    """Fit ``n`` components per site over all stimuli of ``train`` and all timesteps at which they differ."""
    varying = tuple(state for state in states if not model.is_constant(state))
    sites = by_site(varying)
    constant = set(by_site(states)) - set(sites)
    if constant:
        raise SpecError(f"{', '.join(map(str, constant))} is constant over stimuli and has no components; leave it out")
    rows = {site: len(train) * len(steps) for site, steps in sites.items()}
    short = [str(site) for site, count in rows.items() if n >= count]
    if short:
        raise SpecError(
            f"{n} components need more than {n} rows; {short[0]} has {len(train)} stimuli x timesteps = {min(rows.values())}"
        )
    needed = sum(4 * math.prod(model.shape(site)) * count for site, count in rows.items())
    if needed > free_bytes(scratch / "x"):
        raise StoreError(
            f"fitting needs {human_bytes(needed)} of scratch space in {scratch}; use fewer training stimuli"
        )
    device = next(model.parameters()).device
    with told(scratch), scratch_folder(scratch) as folder:
        spool = {
            site: _spool(
                folder / f"{number}.npy", (len(sites[site]), len(train), math.prod(model.shape(site)))
            )
            for number, site in enumerate(sites)
        }  # fmt: skip
        at = 0
        batches = [list(range(i, min(i + batch_size, len(train)))) for i in range(0, len(train), batch_size)]
        for batch in decoded(train, model.transform, batches, workers):
            if batch.failed:
                raise StimulusError(f"cannot fit components: {batch.failed[0][1]}")
            stop = at + len(batch.rows)

            def receive(state: State, maps: Tensor, at: int = at, stop: int = stop) -> None:
                site = Site(state.area, state.stream)
                spool[site][sites[site].index(state.timestep), at:stop] = maps.flatten(1).float().cpu().numpy()

            with computing(device, "float32"), hooked(model, varying, receive):
                model.run(model.transform.scale(batch.pixels.to(device)))
            at = stop
        bases = {}
        for site, maps in spool.items():
            log.info("fitting %d components of %s", n, site)
            bases[str(site)] = principal_components(maps.reshape(-1, maps.shape[-1]), n)
        return Components(bases, described)


def _spool(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """An array on the disk, with its room taken: a full disk would end the process while it is filled."""
    array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def principal_components(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact principal components of rows (n_rows, units), maybe memory-mapped, through their Gram matrix, tile by tile.

    Returns the mean (units,) and the basis (n, units), float32: orthonormal rows by falling variance, the largest entry of
    each positive. ``n`` is smaller than the number of rows.
    """
    count, units = rows.shape
    tiles = [slice(i, min(i + TILE, units)) for i in range(0, units, TILE)]
    mean = np.empty(units)
    gram = np.zeros((count, count))
    for tile in tiles:
        block = rows[:, tile].astype(np.float64)
        mean[tile] = block.mean(axis=0)
        block -= mean[tile]
        gram += block @ block.T
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(values)[::-1][:n]
    scale = np.sqrt(np.maximum(values[order], np.finfo(np.float64).tiny))
    weights = vectors[:, order] / scale
    basis = np.empty((n, units), np.float32)
    for tile in tiles:
        basis[:, tile] = weights.T @ (rows[:, tile].astype(np.float64) - mean[tile])
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=1)[:, None], axis=1)
    basis *= np.where(largest < 0, -1, 1).astype(np.float32)
    return mean.astype(np.float32), basis


def _load(path: Path) -> tuple[Components, dict[str, Any]]:
    try:
        file = load_npz(path, list(npz_headers(path)))
        described = json.loads(str(file["described"]))
        sites = [name.partition(":")[2] for name in file if name.startswith("mean:")]
        bases = {site: (file[f"mean:{site}"], file[f"basis:{site}"]) for site in sites}
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, DataError) as error:
        raise StoreError(f"{path} is not a file of components: {error}") from None
    return Components(bases, described), described
