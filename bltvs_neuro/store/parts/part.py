"""A part: the activations of one block of stimuli in an HDF5 file of its own, immutable once it has its name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...errors import SpecError, StoreError, counted, listed
from ...schema import STIMULUS_ID
from ...versions import versions
from ..format.chunks import ChunkWriter, Target
from ..format.encode import CHUNK_ROWS, chunk_shape, filters, total_of
from ..seal import Damaged, Seal, read_seal
from ..spec import ACTIVATIONS, STIMULUS_SHA256, STORE_VERSION, Block, StoreSpec
from .sink import NewFile, new_hdf5

_MAX_REASON = 500


def part_path(folder: Path, block: Block) -> Path:
    """Where the part of a block lies."""
    return folder / f"part-{block.start:07d}-{block.stop:07d}.h5"


@dataclass(frozen=True)
class PartHeader:
    """What a finished part says about itself."""

    path: Path
    ids: tuple[str, ...]
    sha256s: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    nonfinite: dict[str, int]
    versions: dict[str, str]
    seal: Seal
    attributes: dict[str, Any]


class Part:
    """Accepts the rows of one block; see :meth:`bltvs_neuro.store.write.Writer.part`."""

    def __init__(self, new: NewFile, spec: StoreSpec, block: Block, chunks: ChunkWriter) -> None:
        self._new, self._spec, self._block, self._chunks = new, spec, block, chunks
        self._rows = block.stop - block.start
        self._columns: dict[tuple[str, int], _Column] = {}
        for layout in spec.sites:
            chunk = chunk_shape(len(spec.stimulus_ids), layout.shape)
            rest = (len(layout.timesteps), *layout.shape)
            # The room is a multiple of the chunk, so that the last part's chunks have the shape of all others.
            room = max(CHUNK_ROWS, -(-self._rows // CHUNK_ROWS) * CHUNK_ROWS)
            dataset = new.file.create_dataset(
                f"{layout.site}/{ACTIVATIONS}",
                shape=(self._rows, *rest),
                maxshape=(room, *rest),
                dtype="<f4",
                chunks=chunk,
                **filters(spec.keep_bits),
            )
            new.targets.append(Target(dataset))
            for index, timestep in enumerate(layout.timesteps):
                self._columns[layout.site, timestep] = _Column(chunks, new.targets[-1], index)
        self._ids: list[str] = []
        self._sha256s: list[str] = []
        self._skipped: dict[str, str] = {}
        self.nonfinite: dict[str, int] = {}

    def write(self, site: str, timestep: int, rows: np.ndarray) -> None:
        """Append ``rows`` (k, *unit shape), float32: the next ``k`` stimuli of the block at this site and timestep.

        They must not be changed afterwards: they may be encoded later. SpecError for what does not fit the store; OSError
        where the disk is full and the like: leave the part's ``with`` block with it.
        """
        column = self._columns.get((site, int(timestep)))
        if column is None:
            steps = [t for s, t in self._columns if s == site]
            sites = list(self._spec.layouts)
            raise SpecError(
                f"{site} has the timesteps {listed(steps, 24)}, not {timestep}"
                if steps
                else f"site {site!r} is not in the spec; it has {listed(sites, 24)}"
            )
        array = np.asarray(rows)
        shape = self._spec.layouts[site].shape
        if array.ndim != 1 + len(shape) or array.shape[1:] != shape:
            raise SpecError(
                f"{site} at timestep {timestep}: rows must have shape (k, {', '.join(map(str, shape))}); got {array.shape}"
            )
        if column.count + len(array) > self._rows:
            raise SpecError(
                f"{site} at timestep {timestep}: {column.count + len(array)} rows for a block of {self._rows} stimuli"
            )
        array = array.astype(np.float32, copy=False)
        if not np.isfinite(total_of(array)):
            count = int(array.size - np.count_nonzero(np.isfinite(array)))
            if count:
                name = f"{site}@{timestep}"
                self.nonfinite[name] = self.nonfinite.get(name, 0) + count
        column.append(array)

    def stimuli(self, ids: Sequence[str], sha256s: Sequence[str]) -> None:
        """Append the ids of the stimuli that were read, and the sha256 of each one's pixels."""
        if len(ids) != len(sha256s):
            raise SpecError(f"{counted(len(ids), 'stimulus ids')} and {len(sha256s)} hashes")
        self._ids += [str(i) for i in ids]
        self._sha256s += [str(s) for s in sha256s]

    def skip(self, stimulus_id: str, reason: str) -> None:
        """Record that a stimulus of this block could not be read, and why."""
        text = "".join(c if c.isprintable() else " " for c in str(reason))
        self._skipped[str(stimulus_id)] = text[:_MAX_REASON]

    @property
    def disk_failed(self) -> bool:
        """Whether a write to the disk has failed."""
        return self._new.sink.error is not None

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Check that the block is whole, then write the labels and who computed it."""
        expected = [i for i in self._spec.stimulus_ids[self._block.start : self._block.stop] if i not in self._skipped]
        if self._ids != expected:
            wrong = next((i for i, (a, b) in enumerate(zip(self._ids, expected, strict=False)) if a != b), None)
            got = (
                f"{self._ids[wrong]!r} where {expected[wrong]!r} is due"
                if wrong is not None
                else (f"{len(self._ids)} of {len(expected)} stimuli")
            )
            raise SpecError(f"block {self._block.index} is not whole: got {got}")
        for (site, timestep), column in self._columns.items():
            if column.count != len(expected):
                raise SpecError(
                    f"block {self._block.index} is not whole: {site} at timestep {timestep} has "
                    f"{column.count} of {len(expected)} rows"
                )
        # Before the last rows are written: HDF5 encodes a chunk anew that lies across the new end.
        for target in self._new.targets:
            if target.dataset.shape[0] != len(expected):
                target.dataset.resize(len(expected), axis=0)
        for column in self._columns.values():
            column.flush()
        self._chunks.drain()
        file = self._new.file
        write_text(file, STIMULUS_ID, self._ids)
        write_text(file, STIMULUS_SHA256, self._sha256s)
        write_text(file, "skipped_id", list(self._skipped))
        write_text(file, "skipped_reason", list(self._skipped.values()))
        header = {
            "bltvs_part_version": STORE_VERSION,
            "digest": self._spec.digest(),
            "start": self._block.start,
            "stop": self._block.stop,
            "versions": versions() | {"hdf5": h5py.version.hdf5_version},
            "nonfinite": self.nonfinite,
            "attributes": dict(attributes),
        }
        text_attribute(file, "bltvs_part", json.dumps(header, sort_keys=True))


class _Column:
    """One (site, timestep) of a part: gathers rows until they fill a chunk."""

    def __init__(self, chunks: ChunkWriter, target: Target, timestep: int) -> None:
        self.chunks, self.target, self.timestep = chunks, target, timestep
        self.count = self._written = 0
        self._buffer: np.ndarray | None = None

    def append(self, rows: np.ndarray) -> None:
        size = self.target.chunk[0]
        while len(rows):
            waiting = self.count - self._written
            if not waiting and len(rows) >= size:  # whole chunks go straight through
                self.count += size
                self._put(rows[:size])
                rows = rows[size:]
                continue
            if self._buffer is None:
                self._buffer = np.empty((size, *rows.shape[1:]), np.float32)
            taken = min(size - waiting, len(rows))
            self._buffer[waiting : waiting + taken] = rows[:taken]
            self.count += taken
            rows = rows[taken:]
            if self.count - self._written == size:
                self.flush()

    def flush(self) -> None:
        waiting = self.count - self._written
        if waiting and self._buffer is not None:
            self._put(self._buffer[:waiting])
        self._buffer = None

    def _put(self, rows: np.ndarray) -> None:
        self.chunks.put(self.target, self._written, self.timestep, rows)
        self._written += len(rows)


@contextlib.contextmanager
def new_part(folder: Path, spec: StoreSpec, block: Block, attributes: Mapping[str, Any]) -> Iterator[Part]:
    """Write a part; it has its name only when all of it is on disk."""
    with new_hdf5(part_path(folder, block)) as new, ChunkWriter(spec.keep_bits, check=new.sink.check) as chunks:
        part = Part(new, spec, block, chunks)
        yield part
        part.finish(attributes)


def read_header(path: Path, digest: str, block: Block) -> PartHeader:
    """Read what a part says about itself, its seal and labels checked; of its chunks nothing is read."""
    seal = read_seal(path)
    seal.check_labels()
    with h5py.File(path, "r") as file:
        data = json.loads(read_attribute(file, "bltvs_part")) if "bltvs_part" in file.attrs else {}
        if data.get("digest") != digest:
            raise StoreError(f"{path} belongs to another extraction; remove it or write to another path")
        if (data["start"], data["stop"]) != (block.start, block.stop):
            raise StoreError(
                f"{path} holds stimuli {data['start']} to {data['stop'] - 1}, not {block.start} to {block.stop - 1}: it has "
                "the name of another part; give it its own, or remove it"
            )
        return PartHeader(
            path=path,
            ids=tuple(read_text(file[STIMULUS_ID])),
            sha256s=tuple(read_text(file[STIMULUS_SHA256])),
            skipped=tuple(zip(read_text(file["skipped_id"]), read_text(file["skipped_reason"]), strict=True)),
            nonfinite=data["nonfinite"],
            versions=data["versions"],
            seal=seal,
            attributes=data["attributes"],
        )


def find_parts(
    folder: Path, blocks: Iterable[Block], digest: str, known: Mapping[int, PartHeader] | None, *, chunks: bool
) -> tuple[dict[int, PartHeader], dict[int, Damaged]]:
    """The sound parts of ``blocks`` and the damaged ones; chunks of those ``known`` by their seal are not read again."""
    found: dict[int, PartHeader] = {}
    damaged: dict[int, Damaged] = {}
    for block in blocks:
        path = part_path(folder, block)
        if not path.exists():
            continue
        try:
            header = read_header(path, digest, block)
            before = (known or {}).get(block.index)
            if chunks and (before is None or before.seal.digest != header.seal.digest):
                header.seal.check_chunks()
            found[block.index] = header
        except Damaged as error:
            damaged[block.index] = error
    return found, damaged


def text_attribute(item: h5py.Group | h5py.Dataset, name: str, text: str) -> None:
    """A fixed-length UTF-8 attribute: what netCDF calls text, and under HDF5's checksums (a vlen string is not)."""
    data = text.encode() or b"\0"
    item.attrs.create(name, np.bytes_(data), dtype=h5py.string_dtype("utf-8", len(data)))


def read_attribute(item: h5py.Group | h5py.Dataset, name: str) -> str:
    """A text attribute."""
    value = item.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def write_text(group: h5py.Group, name: str, values: Sequence[str]) -> h5py.Dataset:
    """A one-dimensional dataset of variable-length UTF-8 text."""
    dtype = h5py.string_dtype("utf-8")
    return group.create_dataset(name, data=np.array(list(values), dtype=object), dtype=dtype)


def read_text(dataset: h5py.Dataset) -> list[str]:
    """The inverse of :func:`write_text`; HDF5 may loop for ever in what is damaged, so check the file's seal before."""
    return [v.decode() if isinstance(v, bytes) else str(v) for v in dataset[()]]
