"""Read a store: a mapping from site to a lazy, labelled array."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from xarray.core import indexing

from ..errors import SpecError, StoreError, listed, unknown
from ..schema import STIMULUS, STIMULUS_ID, TIMESTEP, Status
from .encode import chunk_shape
from .frame import Frame, activations_dataset, check_parts, read_frame
from .lazy import Handle, LazyActivations, open_hdf5
from .spec import ACTIVATIONS, STATUS, StoreSpec
from .specfile import SPEC_FILE, parts_folder, read_spec


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a finished store for reading.

    Parameters
    ----------
    path : path
        Of the file, not of its folder of parts.

    Returns
    -------
    Store
        A mapping: ``acts["V4/td"]`` is a lazy DataArray (stimulus, timestep, *unit dims). Use it in a ``with`` block,
        or close it when done. It can be pickled, used by several threads, and used in a forked process.

    Raises
    ------
    StoreError
        The extraction has not finished, the file is damaged or no store, or a part is missing.

    Examples
    --------
    >>> with open_store("acts.h5") as acts:  # doctest: +SKIP
    ...     late = acts["V4/td"].sel(timestep=5).load()
    """
    return Store(Path(path))


class Store(Mapping[str, xr.DataArray]):
    """What :func:`open_store` returns."""

    def __init__(self, path: Path) -> None:
        refuse_unfinished(path)
        self.path = path
        self._handle = Handle(path)
        try:
            self._frame = read_frame(self._handle.file(), path)
            check_parts(path, self._frame)
        except BaseException:
            self._handle.close()
            raise
        self._checked: set[str] = set()

    # the mapping

    def __getitem__(self, site: str) -> xr.DataArray:
        """The activations of a site, read when their values are asked for.

        Returns
        -------
        DataArray of float32, dims (stimulus, timestep, *unit dims)
            Coordinates ``stimulus_id`` (stimulus), ``timestep``, ``status`` (timestep: "active" or "constant") and the
            unit coordinates. Timesteps at which the site does not exist are absent.

        Raises
        ------
        SpecError
            The store has no such site.
        """
        spec = self._frame.spec
        layout = spec.layouts.get(str(site))
        if layout is None:
            raise unknown("site", site, self.sites)
        n = len(self._frame.stimulus_ids)
        if layout.site not in self._checked:
            activations_dataset(self._handle.file(), self._frame, layout.site, self.path)
            self._checked.add(layout.site)
        shape = (n, len(layout.timesteps), *layout.shape)
        # The chunks of a virtual store are those of its parts, which count in the number of stimuli asked for.
        chunks = chunk_shape(n, layout.shape)
        lazy = LazyActivations(self._handle, f"{layout.site}/{ACTIVATIONS}", shape, chunks)
        coords: dict[str, Any] = {
            STIMULUS_ID: (STIMULUS, self._frame.stimulus_ids),
            TIMESTEP: (TIMESTEP, np.array(layout.timesteps)),
            STATUS: (TIMESTEP, np.array([layout.status(t) for t in layout.timesteps])),
        }
        for name, (dim, values) in layout.coords.items():
            coords[name] = (dim, values.astype(str) if values.dtype.kind == "O" else values)
        variable = xr.Variable((STIMULUS, TIMESTEP, *layout.dims), indexing.LazilyIndexedArray(lazy))
        attrs = {"site": layout.site} | ({} if layout.onset is None else {"onset": layout.onset})
        return xr.DataArray(variable, coords=coords, name=ACTIVATIONS).assign_attrs(attrs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.spec.layouts)

    def __len__(self) -> int:
        return len(self._frame.spec.layouts)

    def __contains__(self, site: object) -> bool:
        return site in self._frame.spec.layouts

    # labels

    @property
    def spec(self) -> StoreSpec:
        """What the store was to hold, skipped stimuli included (its metadata columns are in :attr:`stimuli`)."""
        return self._frame.spec

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites, for example ``("V1/bu", "V1/td")``."""
        return tuple(self._frame.spec.layouts)

    @property
    def stimulus_ids(self) -> np.ndarray:
        """Array of str, shape (n_stimuli,): the ids in the order of the stimulus dimension."""
        return self._frame.stimulus_ids.copy()

    @property
    def stimulus_sha256(self) -> np.ndarray:
        """Array of str, shape (n_stimuli,): sha256 of each stimulus's pixels."""
        return self._frame.stimulus_sha256.copy()

    @property
    def stimuli(self) -> pd.DataFrame:
        """One row for each stimulus: ``stimulus_id`` and the metadata columns."""
        return self._frame.stimuli.copy()

    @property
    def skipped(self) -> dict[str, str]:
        """Stimulus id -> reason, of the stimuli that could not be read."""
        return dict(self._frame.skipped)

    @property
    def provenance(self) -> dict[str, Any]:
        """What made the numbers: model, weights_sha256, schedule, transform, reduction, precision, versions, ..."""
        return dict(self._frame.provenance)

    def status(self, site: str, timestep: int) -> Status:
        """What a site is at a timestep: ``"absent"`` (not stored), ``"active"`` or ``"constant"`` over stimuli.

        Raises
        ------
        SpecError
            The store has no such site, or the model no such timestep.
        """
        layout = self._frame.spec.layouts.get(str(site))
        if layout is None:
            raise unknown("site", site, self.sites)
        if not 0 <= timestep < self._frame.spec.n_timesteps:
            last = self._frame.spec.n_timesteps - 1
            raise SpecError(f"timestep {timestep} does not exist; this model has timesteps 0 to {last}")
        return layout.status(int(timestep))  # type: ignore[return-value]

    def at(self, site: str, timestep: int) -> xr.DataArray:
        """The activations of a site at one timestep.

        Returns
        -------
        DataArray, dims (stimulus, *unit dims)

        Raises
        ------
        SpecError
            The site does not exist at this timestep; the message says from when it does.
        """
        if self.status(site, timestep) == "absent":
            layout = self._frame.spec.layouts[str(site)]
            steps = listed(layout.timesteps, 24)
            if layout.onset is not None and timestep < layout.onset:
                raise SpecError(
                    f"{site} is not reached before timestep {layout.onset} (its onset), so there is nothing at "
                    f"timestep {timestep}; the store holds {steps}"
                )
            raise SpecError(f"{site} was not stored at timestep {timestep}; the store holds {steps}")
        return self[site].sel({TIMESTEP: int(timestep)})

    # the resource

    def close(self) -> None:
        """Close the file; arrays that were not loaded can no longer be read."""
        self._handle.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        n = len(self._frame.stimulus_ids)
        return f"<Store {str(self.path)!r}: {n} stimuli, {listed(self.sites, 16)}>"


def refuse_unfinished(path: Path) -> None:
    """Raise when there is no finished file at ``path``, saying what there is instead.

    Raises
    ------
    StoreError
    """
    if path.is_file():
        return
    folder = parts_folder(path)
    if not path.exists() and (folder / SPEC_FILE).exists():
        from .part import part_path

        spec = read_spec(folder)
        blocks = [block for block in spec.blocks() if part_path(folder, block).exists()]
        done, total = sum(block.stop - block.start for block in blocks), len(spec.stimulus_ids)
        raise StoreError(
            f"{path} is not finished: {done} of {total} stimuli are done; run the same command again to go on"
        )
    what = "is a folder, not a store" if path.is_dir() else "does not exist"
    raise StoreError(f"{path} {what}; name the .h5 file that an extraction wrote")


def is_store(path: Path) -> bool:
    """Whether a file was made by a writer of ours (it may be damaged otherwise)."""
    try:
        with h5py.File(path, "r") as file:
            return "bltvs_store_version" in file.attrs
    except OSError:
        return False


def finished_spec(path: Path) -> StoreSpec:
    """The spec of a finished store.

    Raises
    ------
    StoreError
        It is damaged, or a part is missing.
    """
    with open_hdf5(path) as file:
        frame = read_frame(file, path)
    check_parts(path, frame)
    return frame.spec
