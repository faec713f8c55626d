"""Say in plain data what a store holds, finished or not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoreError
from ..schema import STIMULUS_ID
from .format.frame import finished_frame
from .parts.folder import finished_blocks, parts_folder, unfinished
from .parts.part import part_path, read_header
from .parts.shards import missing_shards, named
from .seal import Damaged
from .spec import StoreSpec


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a store, finished or not.

    Returns
    -------
    dict
        ``path``, ``finished``, ``n_stimuli`` (done), ``n_asked``, ``skipped`` (stimulus id -> reason), ``bytes`` (on
        disk), ``n_timesteps``, ``keep_bits``, ``joined`` ("copy", "virtual" or None), ``sites`` (a list of dicts with
        ``site``, ``dims``, ``shape``, ``timesteps``, ``onset``, ``status`` per timestep of the model), ``columns`` (name
        -> distinct values, of the stimuli's metadata), ``identity`` and ``provenance``, ``missing_shards`` ("2/4") where
        a job array writes it, and ``damaged`` (a sentence for each part that will be done again). Chunks of activations
        are not read, see :func:`verify`.

    Raises
    ------
    StoreError
        There is no store, or its labels are damaged.
    """
    path = Path(path)
    begun = unfinished(path)
    state = _finished(path) if begun is None else _unfinished(path, begun)
    spec: StoreSpec = state.pop("spec")
    return {
        "path": str(path),
        "finished": begun is None,
        "n_asked": len(spec.stimulus_ids),
        "n_timesteps": spec.n_timesteps,
        "keep_bits": spec.keep_bits,
        "identity": dict(spec.identity),
        "sites": [
            {
                "site": layout.site, "dims": layout.dims, "shape": layout.shape, "timesteps": layout.timesteps,
                "onset": layout.onset, "status": [layout.status(t) for t in range(spec.n_timesteps)],
            }
            for layout in spec.sites
        ],
        **state,
    }  # fmt: skip


def _finished(path: Path) -> dict[str, Any]:
    frame = finished_frame(path)
    return {
        "spec": frame.spec,
        "n_stimuli": len(frame.stimulus_ids),
        "skipped": dict(frame.skipped),
        "columns": _distinct({name: v for name, v in frame.columns.items() if name != STIMULUS_ID}),
        "bytes": path.stat().st_size + sum(part.seal.nbytes for part in frame.parts),
        "joined": "virtual" if frame.parts else "copy",
        "missing_shards": [],
        "damaged": [],
        "provenance": dict(frame.provenance),
    }


def _unfinished(path: Path, spec: StoreSpec) -> dict[str, Any]:
    folder = parts_folder(path)
    headers, damaged = [], []
    for block in finished_blocks(folder, spec):
        try:
            headers.append(read_header(part_path(folder, block), spec.digest(), block))
        except Damaged as error:
            damaged.append(str(error))
    return {
        "spec": spec,
        "n_stimuli": sum(len(header.ids) + len(header.skipped) for header in headers),
        "skipped": {i: reason for header in headers for i, reason in header.skipped},
        "columns": _distinct(spec.metadata),
        "bytes": sum(file.stat().st_size for file in folder.glob("part-*.h5")),
        "joined": None,
        "missing_shards": [str(shard) for shard in missing_shards(folder, spec)],
        "damaged": damaged,
        "provenance": {},
    }


def _distinct(columns: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    return {name: list(dict.fromkeys(values.tolist())) for name, values in columns.items()}


def refuse_unfinished(path: Path) -> None:
    """Raise when there is no finished file at ``path``, saying what there is instead."""
    spec = unfinished(path)
    if spec is None:
        return
    folder = parts_folder(path)
    done = sum(block.stop - block.start for block in finished_blocks(folder, spec))
    shards = missing_shards(folder, spec)
    if not shards and spec.shards > 1:
        raise StoreError(f"{path} is not joined yet: all {spec.shards} shards are done; run `bltvs join {path}`")
    which = f", {named(shards)} not" if shards else ""
    raise StoreError(
        f"{path} is not finished: {done} of {len(spec.stimulus_ids)} stimuli are done{which}; run the same command again "
        "to go on"
    )
