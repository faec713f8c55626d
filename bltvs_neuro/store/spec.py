"""What a store will hold, as data: sites with their timesteps and units, the stimuli, and what made the numbers.

The spec is known before the first image is read. It is written beside the parts, its digest goes into every part,
and a run whose spec differs is refused with the difference named (:mod:`.identity`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..errors import SpecError, StoreError, counted, listed
from ..schema import STIMULUS, STIMULUS_ID, TIMESTEP, Site
from .format.encode import CHUNK_ROWS, KEEP_BITS
from .format.json_text import column_from_json, column_to_json, plain_column, plain_json, sha256_json

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

STORE_VERSION = 2
ACTIVATIONS = "activations"
STATUS = "status"
STIMULUS_SHA256 = "stimulus_sha256"
MODEL_TIMESTEP = "model_timestep"
"""The root group's timestep dimension. It needs a name of its own: a site has only the timesteps that exist, and
xarray refuses a tree in which parent and child disagree about one dimension."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_AREA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_MOST_TIMESTEPS = 1_000_000
_RESERVED = {STIMULUS, TIMESTEP, STIMULUS_ID, STATUS, ACTIVATIONS}


class Block(NamedTuple):
    """A run of stimuli that is written as one part; ``start`` and ``stop`` are positions in the stimulus order."""

    index: int  # type: ignore[assignment]
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class SiteLayout:
    """One site of a store.

    Parameters
    ----------
    site : str
        ``"V4/td"``.
    timesteps : tuple of int
        The timesteps that are stored, ascending. What the model has not reached is not listed.
    dims, shape : tuple
        The unit dimensions, for example ``("channel", "y", "x")`` and their sizes.
    coords : mapping of str to (str, array)
        Unit coordinates, name -> (dimension, values of shape (size,)): integers, floats or text.
    constant : tuple of int
        Those of ``timesteps`` at which the site has the same value for every stimulus.
    onset : int, optional
        First timestep at which the model reaches the site, when known (stored timesteps may begin later).
    """

    site: str
    timesteps: tuple[int, ...]
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: Mapping[str, tuple[str, np.ndarray]] = field(default_factory=dict)
    constant: tuple[int, ...] = ()
    onset: int | None = None

    def __post_init__(self) -> None:
        if not _AREA.match(Site.parse(self.site).area):
            raise SpecError(f"the site {self.site!r} cannot be a group name; use letters, digits, dots and hyphens")
        steps = tuple(int(t) for t in self.timesteps)
        if not steps or list(steps) != sorted(set(steps)) or steps[0] < 0:
            raise SpecError(f"{self.site}: timesteps must be ascending, without repeats, from 0; got {steps}")
        if not set(self.constant) <= set(steps):
            raise SpecError(f"{self.site}: the constant timesteps {self.constant} are not all among {steps}")
        if len(self.dims) != len(self.shape) or len(set(self.dims)) != len(self.dims) or not self.dims:
            raise SpecError(f"{self.site}: dims {self.dims} and shape {self.shape} do not fit")
        if any(int(size) < 1 for size in self.shape):
            raise SpecError(f"{self.site}: every size must be at least 1; got {self.shape}")
        for name in (*self.dims, *self.coords):
            if not _NAME.match(name) or name in _RESERVED:
                raise SpecError(f"{self.site}: {name!r} cannot name a unit dimension or coordinate")
        coords: dict[str, tuple[str, np.ndarray]] = {}
        for name, (dim, values) in self.coords.items():
            array = plain_column(f"{self.site} {name}", values)
            if dim not in self.dims or array.shape != (self.shape[self.dims.index(dim)],):
                raise SpecError(f"{self.site}: coordinate {name!r} of shape {array.shape} does not fit {dim!r}")
            if name in self.dims and name != dim:
                raise SpecError(f"{self.site}: {name!r} names a dimension and a coordinate of {dim!r}")
            coords[name] = (dim, array)
        object.__setattr__(self, "timesteps", steps)
        object.__setattr__(self, "constant", tuple(int(t) for t in self.constant))
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        object.__setattr__(self, "coords", coords)

    @property
    def bytes_per_stimulus(self) -> int:
        """Bytes of one stimulus, all timesteps, as float32."""
        return 4 * len(self.timesteps) * math.prod(self.shape)

    def status(self, timestep: int) -> str:
        """``"absent"``, ``"active"`` or ``"constant"``."""
        if timestep not in self.timesteps:
            return "absent"
        return "constant" if timestep in self.constant else "active"

    def labels(self, stimulus_ids: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
        """Coordinates of the site's array. ``stimulus`` is there twice: the dimension is selected by, ids are aligned by."""
        return {
            STIMULUS: (STIMULUS, stimulus_ids.copy()),
            STIMULUS_ID: (STIMULUS, stimulus_ids.copy()),
            TIMESTEP: (TIMESTEP, np.array(self.timesteps)),
            STATUS: (TIMESTEP, np.array([self.status(t) for t in self.timesteps])),
            **{coord: (dim, values.copy()) for coord, (dim, values) in self.coords.items()},
        }

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the site's array."""
        return {"site": self.site, "onset": self.onset if self.onset is not None else self.timesteps[0]}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        coords = {name: {"dim": dim, **column_to_json(values)} for name, (dim, values) in self.coords.items()}
        values = {name: getattr(self, name) for name in ("site", "timesteps", "dims", "shape", "constant", "onset")}
        return {**plain_json(values), "coords": coords}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SiteLayout:
        """The inverse of :meth:`to_json`."""
        coords = {name: (c["dim"], column_from_json(c)) for name, c in data["coords"].items()}
        return cls(**{**data, "coords": coords, "dims": tuple(data["dims"])})


@dataclass(frozen=True, eq=False)
class StoreSpec:
    """Everything that must be known before the first block is written.

    Parameters
    ----------
    sites : tuple of SiteLayout
    n_timesteps : int
        Timesteps of the model's schedule.
    stimulus_ids : tuple of str
        Unique, in the order of the store.
    metadata : mapping of str to array
        Columns on stimulus. They are labels, not part of what must match to resume.
    identity : mapping of str to JSON
        What must match to resume: model, weights_sha256, schedule, transform, reduction, precision and so on.
    keep_bits : int or None
        Mantissa bits kept (10 is the precision of float16, 7 of bfloat16); None stores float32 as it is.
    block : int
        Stimuli in a part, a multiple of 8. A resumed run takes the block of the run it resumes.
    shards : int
        Shares into which the blocks are divided for a job array, see :mod:`.shards`; 1 when they are not.
    """

    sites: tuple[SiteLayout, ...]
    n_timesteps: int
    stimulus_ids: tuple[str, ...]
    metadata: Mapping[str, np.ndarray]
    identity: Mapping[str, JSON]
    keep_bits: int | None = None
    block: int = CHUNK_ROWS
    shards: int = 1

    def __post_init__(self) -> None:
        ids = tuple(str(i) for i in self.stimulus_ids)
        if not ids:
            raise SpecError("a store needs at least one stimulus")
        if len(set(ids)) != len(ids):
            seen: set[str] = set()
            twice = [i for i in ids if i in seen or seen.add(i)]  # type: ignore[func-returns-value]
            raise SpecError(f"stimulus ids must be unique; used more than once: {listed(dict.fromkeys(twice))}")
        plain_column("stimulus_id", np.array(ids, dtype=object))
        if any(not i for i in ids):
            raise SpecError("a stimulus id is empty")
        if not 1 <= self.n_timesteps <= _MOST_TIMESTEPS:
            raise SpecError(f"a model has 1 to {_MOST_TIMESTEPS} timesteps; got {self.n_timesteps}")
        names = [layout.site for layout in self.sites]
        if not names or len(set(names)) != len(names):
            raise SpecError(f"a store needs sites, each once; got {listed(names)}")
        for layout in self.sites:
            if layout.timesteps[-1] >= self.n_timesteps:
                raise SpecError(f"{layout.site}: timestep {layout.timesteps[-1]} of {self.n_timesteps} does not exist")
        if self.keep_bits not in KEEP_BITS:
            raise SpecError(f"keep_bits must be one of {listed(KEEP_BITS)}; got {self.keep_bits!r}")
        if self.block < CHUNK_ROWS or self.block % CHUNK_ROWS:
            raise SpecError(f"block must be a multiple of {CHUNK_ROWS} stimuli; got {self.block}")
        if not 1 <= self.shards <= math.ceil(len(ids) / self.block):
            raise SpecError(f"{math.ceil(len(ids) / self.block)} blocks cannot be divided into {self.shards} shards")
        metadata = {str(name): plain_column(str(name), values) for name, values in self.metadata.items()}
        for name, values in metadata.items():
            if values.shape != (len(ids),):
                raise SpecError(
                    f"metadata column {name!r} has shape {values.shape}; there are {counted(len(ids), 'stimuli')}"
                )
        object.__setattr__(self, "stimulus_ids", ids)
        object.__setattr__(self, "sites", tuple(self.sites))
        object.__setattr__(self, "metadata", metadata)
        object.__setattr__(self, "identity", plain_json(dict(self.identity)))

    @property
    def bytes_per_stimulus(self) -> int:
        """Bytes of one stimulus over all sites, before any compression."""
        return sum(layout.bytes_per_stimulus for layout in self.sites)

    @property
    def nbytes(self) -> int:
        """Bytes of all activations, before any compression."""
        return len(self.stimulus_ids) * self.bytes_per_stimulus

    def blocks(self) -> Iterator[Block]:
        """The blocks of stimuli in order; each becomes one part."""
        n = len(self.stimulus_ids)
        for index, start in enumerate(range(0, n, self.block)):
            yield Block(index, start, min(start + self.block, n))

    @cached_property
    def layouts(self) -> dict[str, SiteLayout]:
        """Site name -> layout."""
        return {layout.site: layout for layout in self.sites}

    def digest(self) -> str:
        """Sha256 over everything that decides the numbers; not over blocks, shards or the metadata columns."""
        data = self.to_json()
        del data["block"], data["shards"], data["metadata"]
        return sha256_json(data)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {
            "version": STORE_VERSION,
            "identity": dict(self.identity),
            "keep_bits": self.keep_bits,
            "n_timesteps": self.n_timesteps,
            "block": self.block,
            "shards": self.shards,
            "sites": [layout.to_json() for layout in self.sites],
            "stimulus_ids": list(self.stimulus_ids),
            "metadata": {name: column_to_json(values) for name, values in self.metadata.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StoreSpec:
        """The inverse of :meth:`to_json`; StoreError for data that are not a spec, or one of a newer version."""
        try:
            refuse_version(data["version"], "it")
            return cls(
                sites=tuple(SiteLayout.from_json(site) for site in data["sites"]),
                n_timesteps=int(data["n_timesteps"]),
                stimulus_ids=tuple(data["stimulus_ids"]),
                metadata={name: column_from_json(column) for name, column in data["metadata"].items()},
                identity=data["identity"],
                keep_bits=data["keep_bits"],
                block=int(data["block"]),
                shards=int(data.get("shards", 1)),
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
            raise StoreError(f"not the spec of a store: {type(error).__name__}: {error}") from None


def refuse_version(stored: object, what: object) -> None:
    """Raise StoreError where ``what`` has another store version than this package's."""
    if stored != STORE_VERSION:
        newer = isinstance(stored, int) and stored > STORE_VERSION
        todo = "update it" if newer else "run the extraction again, to another path"
        raise StoreError(f"{what} has store version {stored!r}; this bltvs_neuro reads {STORE_VERSION}: {todo}")


def default_block(n_stimuli: int, bytes_per_stimulus: int) -> int:
    """Stimuli in a part: about 256 MiB, 8 to 256 stimuli, but never so few that there are over 800 parts.

    A kill loses at most one part's work; too many parts make opening and joining slow and exceed the usual limit of
    1024 open files for a store that is joined virtually.

    Examples
    --------
    >>> default_block(92, 4000), default_block(1000, 66_000_000)
    (96, 8)
    """
    chunks = math.ceil(n_stimuli / CHUNK_ROWS)
    by_size = min((256 << 20) // max(1, bytes_per_stimulus), 256) // CHUNK_ROWS
    return CHUNK_ROWS * max(min(by_size, chunks), math.ceil(chunks / 800), 1)
