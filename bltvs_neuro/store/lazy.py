"""Activations are read where they are asked for, chunk by chunk, past HDF5, and never without their seal.

HDF5 would check a chunk by fletcher32 alone, which knows no difference between zeros and a chunk that was emptied, and would
read a part that is missing as NaN. Its lock would be held as well, and its filters are slower.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .format.chunks import decoded
from .format.grid import Grid, grids
from .seal import ChunkReader, Sealed
from .spec import StoreSpec

_CACHED = 16
"""Chunks, of 1 MiB at most, that are kept where only some of their stimuli were asked for."""


class SiteReader:
    """One site's activations in one file, or in the parts of a virtual store; for any number of threads and processes.

    ``sources`` are in the order of the stimuli; ``n_asked`` is the number of stimuli that shapes their chunks.
    """

    def __init__(self, sources: Sequence[Sealed], spec: StoreSpec, site: str, n_asked: int) -> None:
        self.sources, self.keep_bits = tuple(sources), spec.keep_bits
        self.grids: list[Grid] = [grids(spec.sites, source.n_stimuli, n_asked)[site] for source in self.sources]
        self.chunk = self.grids[0].chunk
        self.shape = (sum(source.n_stimuli for source in self.sources), *self.grids[0].shape[1:])
        self._starts = np.cumsum([0, *(source.n_stimuli for source in self.sources)])
        self._begin()

    def _begin(self) -> None:
        self._some: Callable[[int, int], np.ndarray] = lru_cache(_CACHED)(self._decoded)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_some"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def read(self, key: tuple[Any, ...]) -> np.ndarray:
        """The array's ``[key]`` with slices, ints and integer arrays, each applied to its own axis."""
        axes = [_indices(k, size) for k, size in zip(key, self.shape, strict=True)]
        out = np.empty([len(index) for index in axes], np.float32)
        if out.size:
            units = [_grouped(at // size, at % size) for at, size in zip(axes[1:], self.chunk[1:], strict=True)]
            self._fill(out, self._rows(axes[0]), units)
        whole: np.ndarray = out[tuple(slice(None) if isinstance(k, slice | np.ndarray) else 0 for k in key)]
        return whole

    def _rows(self, index: np.ndarray) -> list[_Group]:
        """Groups of stimuli, each within one chunk of one file, in the order of the files."""
        source = np.searchsorted(self._starts, index, side="right") - 1
        row = index - self._starts[source]
        most = -(-self.shape[0] // self.chunk[0])
        return _grouped(source * most + row // self.chunk[0], row % self.chunk[0])

    def _fill(self, out: np.ndarray, rows: list[_Group], units: list[list[_Group]]) -> None:
        most = -(-self.shape[0] // self.chunk[0])
        for source, group in itertools.groupby(rows, key=lambda row: row[0] // most):
            grid = self.grids[source]
            with self.sources[source].seal.reading() as reader:
                for (row, pick, place), *others in itertools.product(list(group), *units):
                    number = grid.number([row % most, *(at for at, _, _ in others)])
                    values = self._chunk(reader, source, number, pick)
                    _assign(
                        out, [place, *(p for _, _, p in others)], _picked(values, [pick, *(p for _, p, _ in others)])
                    )

    def _chunk(self, reader: ChunkReader, source: int, number: int, pick: _Span) -> np.ndarray:
        whole = isinstance(pick, slice) and pick == slice(0, self.chunk[0])
        if whole:
            return decoded(reader.chunk(number), self.chunk, self.keep_bits)
        return self._some(source, number)

    def _decoded(self, source: int, number: int) -> np.ndarray:
        with self.sources[source].seal.reading() as reader:
            return decoded(reader.chunk(number), self.chunk, self.keep_bits)


_Span = slice | np.ndarray
_Group = tuple[int, _Span, _Span]  # the chunk, which of its positions, where they go


def _indices(key: Any, size: int) -> np.ndarray:
    if isinstance(key, slice):
        return np.arange(*key.indices(size))
    index = np.atleast_1d(np.asarray(key, dtype=np.intp))
    index = np.where(index < 0, index + size, index)
    if ((index < 0) | (index >= size)).any():
        raise IndexError(f"index outside an axis of size {size}")
    return index


def _grouped(chunk: np.ndarray, within: np.ndarray) -> list[_Group]:
    """Gather the positions that lie in the same chunk."""
    order = np.argsort(chunk, kind="stable")
    cuts = np.flatnonzero(np.diff(chunk[order])) + 1
    return [(int(chunk[some[0]]), _span(within[some]), _span(some)) for some in np.split(order, cuts)]


def _span(index: np.ndarray) -> _Span:
    """Positions that follow one another as a slice, which numpy copies at once."""
    if (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def _picked(values: np.ndarray, picks: list[_Span]) -> np.ndarray:
    values = values[tuple(pick if isinstance(pick, slice) else slice(None) for pick in picks)]
    for axis, pick in enumerate(picks):
        if not isinstance(pick, slice):
            values = values.take(pick, axis)
    return values


def _assign(out: np.ndarray, places: list[_Span], values: np.ndarray) -> None:
    if all(isinstance(place, slice) for place in places):
        out[tuple(places)] = values
    else:
        out[np.ix_(*(np.arange(n)[place] for place, n in zip(places, out.shape, strict=True)))] = values
