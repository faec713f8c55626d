"""Parts become one file: their chunks copied as they are, or referred to by a virtual dataset."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from ..errors import StoreError
from .encode import CHUNK_ROWS, chunk_shape, filters
from .layout import label_activations, write_frame
from .part import PartHeader
from .sink import Sink, new_hdf5
from .spec import ACTIVATIONS, SiteLayout, StoreSpec

Join = Literal["auto", "copy", "virtual"]
_MARGIN = 64 << 20


def choose_join(join: Join, path: Path, parts: Sequence[PartHeader]) -> Literal["copy", "virtual"]:
    """``"auto"`` copies when the disk has room for it."""
    if join != "auto":
        return join
    room = shutil.disk_usage(path.parent).free
    return "copy" if sum(part.nbytes for part in parts) + _MARGIN < room else "virtual"


def join_parts(
    path: Path,
    spec: StoreSpec,
    parts: Sequence[PartHeader],
    attributes: Mapping[str, Any],
    how: Literal["copy", "virtual"],
) -> None:
    """Write the finished file.

    A single part is copied as well: it lacks the frame of dimensions and labels, and changing a finished part in
    place would put it at risk.

    Raises
    ------
    StoreError
        More parts than the process may open at once.
    OSError
        The disk is full and the like; nothing is left at ``path`` and the parts are untouched.
    """
    place = {stimulus: i for i, stimulus in enumerate(spec.stimulus_ids)}
    rows = np.array([place[i] for part in parts for i in part.ids], dtype=np.intp)
    sha256s = [s for part in parts for s in part.sha256s]
    skipped = [pair for part in parts for pair in part.skipped]
    if not len(rows):
        raise StoreError(f"no stimulus of {path} could be read; nothing to join")
    with new_hdf5(path) as (file, sink):
        dims = write_frame(file, spec, rows, sha256s, skipped, attributes)
        for layout in spec.sites:
            if how == "virtual":
                _virtual(file, path, layout, parts, len(rows))
            else:
                _create(file, layout, spec, len(rows))
        if how == "copy":
            _copy(file, sink, spec, parts)
        for layout in spec.sites:
            label_activations(dims, file[f"{layout.site}/{ACTIVATIONS}"], layout)
        sink.check()


def _create(file: h5py.File, layout: SiteLayout, spec: StoreSpec, n: int) -> None:
    file.create_dataset(
        f"{layout.site}/{ACTIVATIONS}",
        shape=(n, len(layout.timesteps), *layout.shape),
        dtype="<f4",
        chunks=chunk_shape(n, layout.shape),
        **filters(spec.keep_bits),
    )


def _virtual(file: h5py.File, path: Path, layout: SiteLayout, parts: Sequence[PartHeader], n: int) -> None:
    rest = (len(layout.timesteps), *layout.shape)
    target = h5py.VirtualLayout(shape=(n, *rest), dtype="<f4")
    start = 0
    for part in parts:
        if part.ids:
            # Relative to the file's own folder, so that file and parts can be moved together.
            source = h5py.VirtualSource(
                source_name(part.path.parent.name, part.path.name),
                f"{layout.site}/{ACTIVATIONS}",
                shape=(len(part.ids), *rest),
            )
            target[start : start + len(part.ids)] = source
            start += len(part.ids)
    # Readers check for missing parts; this is the last line of defence.
    file[layout.site].create_virtual_dataset(ACTIVATIONS, target, fillvalue=np.float32("nan"))


def source_name(folder: str, part: str) -> str:
    """How a virtual dataset names a part, relative to the file's own folder; for HDF5 ``%`` begins a placeholder there."""
    return f"{folder}/{part}".replace("%", "%%")


def _copy(file: h5py.File, sink: Sink, spec: StoreSpec, parts: Iterable[PartHeader]) -> None:
    row = 0
    buffer = bytearray()
    for part in (p for p in parts if p.ids):
        with open(part.path, "rb", buffering=0) as raw, h5py.File(part.path, "r") as source_file:
            for layout in spec.sites:
                source = source_file[f"{layout.site}/{ACTIVATIONS}"]
                target = file[f"{layout.site}/{ACTIVATIONS}"]
                # Chunks only line up while all parts before this one hold whole chunks.
                if row % CHUNK_ROWS == 0 and source.chunks == target.chunks:
                    _copy_chunks(raw, source, target, row, buffer)
                else:
                    _copy_values(source, target, row)
                sink.check()
        row += len(part.ids)


def _copy_chunks(raw: io.FileIO, source: h5py.Dataset, target: h5py.Dataset, row: int, buffer: bytearray) -> None:
    """Encoded chunks as they are, checksum included: what was damaged in the part stays found.

    They are read past HDF5 into one ``buffer``, which grows as needed: fresh memory for each costs more than the copy.
    """
    chunks: list[h5py.h5d.StoreInfo] = []
    source.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if len(buffer) < chunk.size:
            buffer.extend(bytes(chunk.size - len(buffer)))
        with memoryview(buffer) as whole, whole[: chunk.size] as data:
            raw.seek(chunk.byte_offset)
            if raw.readinto(data) != chunk.size:
                raise StoreError(f"{raw.name!r} is cut off; remove it and run the same command again")
            first, *rest = chunk.chunk_offset
            target.id.write_direct_chunk((first + row, *rest), data, chunk.filter_mask)


def _copy_values(source: h5py.Dataset, target: h5py.Dataset, row: int) -> None:
    for timestep in range(source.shape[1]):
        for start in range(0, source.shape[0], CHUNK_ROWS):
            values = source[start : start + CHUNK_ROWS, timestep]
            target[row + start : row + start + len(values), timestep] = values


def refuse_too_many(path: Path, n_parts: int) -> None:
    """A virtual dataset whose sources cannot all be opened reads as NaN: say so before.

    Raises
    ------
    StoreError
    """
    try:
        import resource
    except ImportError:  # not POSIX
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        used = 64
    if n_parts + used + 16 > soft:
        raise StoreError(
            f"{path} is joined virtually from {n_parts} parts and this process may open {soft} files ({used} are "
            f"open): raise the limit (ulimit -n {2 * (n_parts + used)}), or join by copying (finish(join='copy'))"
        )
