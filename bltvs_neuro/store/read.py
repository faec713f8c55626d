"""Read a finished store lazily."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends.common import BackendArray
from xarray.core import indexing

from ..errors import SpecError, StoreError, counted, listed, unknown
from ..notebook import card, line, told
from ..schema import STIMULUS, TIMESTEP, Site
from .description import refuse_unfinished
from .format.frame import finished_frame
from .lazy import SiteReader


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a finished store for reading.

    Parameters
    ----------
    path : path

    Returns
    -------
    Store
        A mapping: ``store["V4/td"]`` is a lazy DataArray (stimulus, timestep, *units).

    Raises
    ------
    StoreError
        No file, an unfinished extraction (says how much is done), another kind of file, a damaged one, or one whose
        parts are missing.

    Examples
    --------
    >>> with open_store("acts.h5") as acts:
    ...     print(acts.sites, acts["V1/bu"].sel(timestep=1).shape, acts.status("V1/bu", 7))
    ('V1/bu', 'V1/td') (30, 36) absent
    """
    path = Path(path)
    refuse_unfinished(path)
    return Store(path)


class Store(Mapping[str, xr.DataArray]):
    """A finished store; close it, or use it in a ``with`` block.

    Attributes
    ----------
    path : Path
    spec : StoreSpec
        What was asked for.
    sites : tuple of str
        ``"V1/bu"``, in the order of the areas.
    stimulus_ids, stimulus_sha256 : array of str, (n_stimuli,)
    stimuli : pandas.DataFrame
        ``stimulus_id`` and the metadata of the stimulus set.
    skipped : dict of str to str
        Stimuli that could not be read, with the reason; they are in no array.
    provenance : dict
        From which model, weights, stimuli, options and versions the numbers came.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = _Open(path)
        self._frame = frame = finished_frame(path)
        self.spec = frame.spec
        self.sites = tuple(frame.spec.layouts)
        self.stimulus_ids, self.stimulus_sha256 = frame.stimulus_ids.copy(), frame.stimulus_sha256.copy()
        self.stimuli = pd.DataFrame(frame.columns)
        self.skipped, self.provenance = dict(frame.skipped), dict(frame.provenance)

    def __getitem__(self, site: str | Site) -> xr.DataArray:
        """One site's activations, float32 (stimulus, timestep, *units), read when they are asked for.

        Coordinates are ``stimulus_id`` (also as ``stimulus``, for ``.sel(stimulus="cat.png")``), ``timestep``, ``status``
        ("active" or "constant" over stimuli) and the units' labels. Timesteps that were not reached are absent.
        """
        name = self._known(site)
        layout = self._frame.spec.layouts[name]
        reader = SiteReader(self._frame.sources, self._frame.spec, name, self._frame.n_chunked)
        lazy = indexing.LazilyIndexedArray(LazyActivations(self._open, reader))
        variable = xr.Variable((STIMULUS, TIMESTEP, *layout.dims), lazy)
        # By way of a Dataset: the DataArray constructor of older xarray reads a lazy variable at once.
        label = name.replace("/", "_")
        array: xr.DataArray = xr.Dataset({label: variable}, coords=layout.labels(self._frame.stimulus_ids))[label]
        array.attrs.update(layout.attrs)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def __contains__(self, site: object) -> bool:
        return str(site) in self._frame.spec.layouts

    def status(self, site: str | Site, timestep: int) -> str:
        """``"absent"`` (not reached, or not recorded), ``"active"`` or ``"constant"`` over stimuli."""
        return self._frame.spec.layouts[self._known(site)].status(int(timestep))

    def at(self, site: str | Site, timestep: int) -> xr.DataArray:
        """One site at one timestep; SpecError, with the timesteps that exist, where it is absent."""
        name = self._known(site)
        layout = self._frame.spec.layouts[name]
        if timestep not in layout.timesteps:
            onset = "" if layout.onset is None else f" (its onset is {layout.onset})"
            steps = ", ".join(map(str, layout.timesteps))
            raise SpecError(f"{name} is absent at timestep {timestep}{onset}; the store has timesteps {steps}")
        return self[name].isel({TIMESTEP: layout.timesteps.index(timestep)})

    def close(self) -> None:
        """Close the store; what was not loaded can no longer be read."""
        self._open.closed = True

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return line(f"Store {self.path.name}", self._facts())

    def _repr_html_(self) -> str:
        """For notebooks: what it is of, and its sites."""
        layouts = self.spec.layouts.values()
        sites = pd.DataFrame(
            {
                "site": [one.site for one in layouts],
                "timesteps": [f"{one.timesteps[0]} to {one.timesteps[-1]}" for one in layouts],
                "units": [
                    " × ".join(f"{n} {dim}" for dim, n in zip(one.dims, one.shape, strict=True)) for one in layouts
                ],
            }
        )
        texts = {
            "provenance": json.dumps(self.provenance, indent=1, default=str),
            "stimuli": self.stimuli.head(20).to_string(),
        }
        return card(f"Store {self.path.name}", self._facts(), sites, texts=texts)

    def _facts(self) -> dict[str, Any]:
        state = "closed" if self._open.closed else ""
        reduced = told(self.provenance.get("reduction"), ("name",)).get("name")
        about = {"": counted(len(self.stimulus_ids), "stimulus"), "state": state, "sites": listed(self.sites, 4)}
        skipped = f"{len(self.skipped):,}" if self.skipped else ""
        return about | told(self.provenance, ("model", "weights")) | {"reduced by": reduced, "skipped": skipped}

    def _known(self, site: str | Site) -> str:
        name = str(site)
        if name not in self._frame.spec.layouts:
            raise unknown("site", name, self.sites)
        return name


class _Open:
    """Whether a store is open still; its arrays ask."""

    def __init__(self, path: Path) -> None:
        self.path, self.closed = path, False


class LazyActivations(BackendArray):
    """One site's activations behind xarray's lazy indexing; it can be pickled and outlives a fork."""

    def __init__(self, store: _Open, reader: SiteReader) -> None:
        self.store, self.reader = store, reader
        self.shape, self.dtype = reader.shape, np.dtype(np.float32)

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        if self.store.closed:
            raise StoreError(f"{self.store.path} was closed; open it again, or .load() what you need before closing")
        return self.reader.read(key)
