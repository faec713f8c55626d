"""Parts become one file: their chunks copied as they are, or referred to by a virtual dataset."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from ..errors import StoreError
from .format.chunks import ChunkWriter, Target
from .format.encode import CHUNK_ROWS, chunk_shape, filters
from .format.grid import grids
from .format.layout import label_activations, write_frame
from .lazy import SiteReader
from .parts.part import PartHeader
from .parts.sink import NewFile, new_hdf5
from .seal import Sealed
from .spec import ACTIVATIONS, SiteLayout, StoreSpec

Join = Literal["auto", "copy", "virtual"]
_MARGIN = 64 << 20


def choose_join(join: Join, path: Path, parts: Sequence[PartHeader]) -> Literal["copy", "virtual"]:
    """``"auto"`` copies when the disk has room for it."""
    if join != "auto":
        return join
    room = shutil.disk_usage(path.parent).free
    return "copy" if sum(part.seal.nbytes for part in parts) + _MARGIN < room else "virtual"


def join_parts(
    path: Path, spec: StoreSpec, parts: Sequence[PartHeader], attributes: Mapping[str, Any],
    how: Literal["copy", "virtual"],
) -> None:  # fmt: skip
    """Write the finished file; where that fails (Damaged, OSError) nothing is left at ``path``, and the parts are untouched.

    Every chunk that is copied is held against its part's seal, and its CRC-32 goes from there into the new one. A single
    part is copied as well: it lacks the frame of dimensions and labels, and changing a finished part in place would put it
    at risk.
    """
    place = {stimulus: i for i, stimulus in enumerate(spec.stimulus_ids)}
    rows = np.array([place[i] for part in parts for i in part.ids], dtype=np.intp)
    sha256s = [s for part in parts for s in part.sha256s]
    skipped = [pair for part in parts for pair in part.skipped]
    if not len(rows):
        raise StoreError(f"no stimulus of {path} could be read; nothing to join")
    asked = len(spec.stimulus_ids)
    sources = [Sealed(part.path, len(part.ids), part.seal.digest) for part in parts if part.ids]
    with new_hdf5(path) as new:
        dims = write_frame(new.file, spec, rows, sha256s, skipped, attributes)
        if how == "virtual":
            for layout in spec.sites:
                _virtual(new.file, layout, parts, len(rows))
        else:
            new.targets.extend(_create(new.file, layout, spec, len(rows)) for layout in spec.sites)
            # Chunks only line up while all parts but the last hold whole chunks, of the same shape.
            if all(len(part.ids) % CHUNK_ROWS == 0 for part in parts[:-1]) and min(asked, CHUNK_ROWS) == min(
                len(rows), CHUNK_ROWS
            ):
                _copy_chunks(new, spec, sources)
            else:
                _copy_values(new, spec, sources)
        for layout in spec.sites:
            label_activations(dims, new.file[f"{layout.site}/{ACTIVATIONS}"], layout)
        new.sink.check()


def _create(file: h5py.File, layout: SiteLayout, spec: StoreSpec, n: int) -> Target:
    return Target(
        file.create_dataset(
            f"{layout.site}/{ACTIVATIONS}",
            shape=(n, len(layout.timesteps), *layout.shape),
            dtype="<f4",
            chunks=chunk_shape(n, layout.shape),
            **filters(spec.keep_bits),
        )
    )


def _virtual(file: h5py.File, layout: SiteLayout, parts: Sequence[PartHeader], n: int) -> None:
    rest = (len(layout.timesteps), *layout.shape)
    target = h5py.VirtualLayout(shape=(n, *rest), dtype="<f4")
    start = 0
    for part in parts:
        if part.ids:
            # Relative to the file's own folder, so that both can be moved together; for HDF5 % begins a placeholder.
            source = h5py.VirtualSource(
                f"{part.path.parent.name}/{part.path.name}".replace("%", "%%"),
                f"{layout.site}/{ACTIVATIONS}",
                shape=(len(part.ids), *rest),
            )
            target[start : start + len(part.ids)] = source
            start += len(part.ids)
    # Other HDF5 readers get this where a part is missing.
    file[layout.site].create_virtual_dataset(ACTIVATIONS, target, fillvalue=np.float32("nan"))


def _copy_chunks(new: NewFile, spec: StoreSpec, sources: Sequence[Sealed]) -> None:
    """Encoded chunks as they are; the numbers of a part's chunks are in the order of their places."""
    row = 0
    for source in sources:
        with source.seal.reading() as reader:
            for grid, target in zip(
                grids(spec.sites, source.n_stimuli, len(spec.stimulus_ids)).values(), new.targets, strict=True
            ):
                for number in range(grid.first, grid.first + grid.n_chunks):
                    offset = [at * size for at, size in zip(grid.place(number), grid.chunk, strict=True)]
                    offset[0] += row
                    target.write(tuple(offset), reader.chunk(number), int(source.seal.rows["crc"][number]))
                new.sink.check()
        row += source.n_stimuli


def _copy_values(new: NewFile, spec: StoreSpec, sources: Sequence[Sealed]) -> None:
    """Chunks are made anew, as stimuli that were skipped have shifted what follows; rounding again changes nothing."""
    with ChunkWriter(spec.keep_bits, check=new.sink.check) as chunks:
        for layout, target in zip(spec.sites, new.targets, strict=True):
            reader = SiteReader(sources, spec, layout.site, len(spec.stimulus_ids))
            for timestep in range(len(layout.timesteps)):
                for row in range(0, reader.shape[0], target.chunk[0]):
                    key = (slice(row, row + target.chunk[0]), timestep, *[slice(None)] * len(layout.shape))
                    chunks.put(target, row, timestep, reader.read(key))
        chunks.drain()
