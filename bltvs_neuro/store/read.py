"""Read a finished store lazily."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core import indexing

from ..errors import SpecError, unknown
from ..schema import STIMULUS, STIMULUS_ID, TIMESTEP, Site
from .description import refuse_unfinished
from .encode import chunk_shape
from .frame import Frame, activations_dataset, check_parts, read_frame
from .lazy import Handle, LazyActivations
from .spec import ACTIVATIONS, STATUS, StoreSpec


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
        self._handle = Handle(path)
        try:
            self._frame: Frame = read_frame(self._handle.file(), path)
            check_parts(path, self._frame)
        except BaseException:
            self._handle.close()
            raise

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, by area."""
        return tuple(self._frame.spec.layouts)

    @property
    def stimulus_ids(self) -> np.ndarray:
        """(n_stimuli,) ids in the order of every array."""
        return self._frame.stimulus_ids.copy()

    @property
    def stimulus_sha256(self) -> np.ndarray:
        """(n_stimuli,) sha256 of each stimulus's decoded pixels."""
        return self._frame.stimulus_sha256.copy()

    @property
    def stimuli(self) -> pd.DataFrame:
        """Table of ``stimulus_id`` and the metadata columns."""
        return pd.DataFrame(self._frame.columns)

    @property
    def skipped(self) -> dict[str, str]:
        """Stimulus id -> why it could not be read."""
        return dict(self._frame.skipped)

    @property
    def provenance(self) -> dict[str, Any]:
        """From what and how the numbers were made."""
        return dict(self._frame.provenance)

    @property
    def spec(self) -> StoreSpec:
        """What was asked for."""
        return self._frame.spec

    def __getitem__(self, site: str | Site) -> xr.DataArray:
        """Give one site's activations, read when they are asked for.

        Returns
        -------
        xarray.DataArray
            float32, dims (stimulus, timestep, *units); coordinates ``stimulus_id``, ``timestep``, ``status``
            ("active" or "constant" over stimuli) and the units' labels. Timesteps that were not reached are absent.
        """
        name = self._known(site)
        layout = self._frame.spec.layouts[name]
        dataset = activations_dataset(self._handle.file(), self._frame, name, self.path)
        # A virtual dataset has no chunks of its own; those of its parts follow from the number of stimuli asked for.
        chunks = dataset.chunks or chunk_shape(len(self._frame.spec.stimulus_ids), layout.shape)
        lazy = indexing.LazilyIndexedArray(
            LazyActivations(self._handle, f"{name}/{ACTIVATIONS}", dataset.shape, tuple(chunks), self._frame)
        )
        coords: dict[str, Any] = {
            STIMULUS_ID: (STIMULUS, self._frame.stimulus_ids.copy()),
            TIMESTEP: (TIMESTEP, np.array(layout.timesteps)),
            STATUS: (TIMESTEP, np.array([layout.status(t) for t in layout.timesteps])),
            **{coord: (dim, values.copy()) for coord, (dim, values) in layout.coords.items()},
        }
        variable = xr.Variable((STIMULUS, TIMESTEP, *layout.dims), lazy)
        attrs = {"site": name, "onset": layout.onset if layout.onset is not None else layout.timesteps[0]}
        # By way of a Dataset: the DataArray constructor of older xarray reads a lazy variable at once.
        label = name.replace("/", "_")
        array: xr.DataArray = xr.Dataset({label: variable}, coords=coords)[label]
        array.attrs.update(attrs)
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
        """Close the file; what was not loaded can no longer be read."""
        self._handle.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        model = self._frame.provenance.get("model", "a model")
        return f"<Store {self.path.name}: {len(self._frame.stimulus_ids)} stimuli, {model}, {', '.join(self.sites)}>"

    def _known(self, site: str | Site) -> str:
        name = str(site)
        if name not in self._frame.spec.layouts:
            raise unknown("site", name, self.sites)
        return name
