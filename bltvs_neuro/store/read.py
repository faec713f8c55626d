"""Read a finished store lazily."""

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

from ..errors import SpecError, StoreError, unknown
from ..schema import STATUSES, STIMULUS, STIMULUS_ID, TIMESTEP, Site
from .frame import Frame, activations_dataset, check_parts, read_frame
from .lazy import Handle, LazyActivations, open_hdf5
from .spec import ACTIVATIONS, STATUS, StoreSpec
from .specfile import SPEC_FILE, parts_folder, read_spec


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
    """
    path = Path(path)
    if not path.exists():
        folder = parts_folder(path)
        if (folder / SPEC_FILE).exists():
            spec = read_spec(folder)
            done = sum(block.stop - block.start for block in spec.blocks() if _part_exists(folder, block))
            raise StoreError(
                f"{path} is not finished: {done} of {len(spec.stimulus_ids)} stimuli are done; run the same command "
                "again to go on"
            )
        raise StoreError(f"there is no store {path}")
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a store")
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
        return self._frame.stimuli.copy()

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
        chunks = dataset.chunks or (8, 1, *layout.shape)
        lazy = indexing.LazilyIndexedArray(
            LazyActivations(self._handle, f"{name}/{ACTIVATIONS}", dataset.shape, tuple(chunks))
        )
        coords: dict[str, Any] = {
            STIMULUS_ID: (STIMULUS, self._frame.stimulus_ids.copy()),
            TIMESTEP: (TIMESTEP, np.array(layout.timesteps)),
            STATUS: (TIMESTEP, np.array([layout.status(t) for t in layout.timesteps])),
            **{coord: (dim, values.copy()) for coord, (dim, values) in layout.coords.items()},
        }
        variable = xr.Variable((STIMULUS, TIMESTEP, *layout.dims), lazy)
        attrs = {"site": name, "onset": layout.onset if layout.onset is not None else layout.timesteps[0]}
        return xr.DataArray(variable, coords=coords, name=name.replace("/", "_"), attrs=attrs)

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


def is_store(path: Path) -> bool:
    """Whether a file is a finished store of ours (however damaged inside)."""
    try:
        with h5py.File(path, "r") as file:
            return "bltvs_store_version" in file.attrs
    except OSError:
        return False


def finished_spec(path: Path) -> StoreSpec:
    """The spec of a finished file; StoreError where it is damaged."""
    with open_hdf5(path) as file:
        frame = read_frame(file, path)
    check_parts(path, frame)
    return frame.spec


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a store, finished or not.

    Returns
    -------
    dict
        ``path``, ``finished``, ``n_stimuli`` (done), ``n_asked``, ``skipped``, ``bytes`` (on disk), ``n_timesteps``,
        ``joined`` ("copy", "virtual" or None), ``sites`` (a list of dicts with ``site``, ``dims``, ``shape``,
        ``timesteps``, ``onset``, ``status`` per timestep of the model), ``identity`` and ``provenance``.

    Raises
    ------
    StoreError
    """
    path = Path(path)
    folder = parts_folder(path)
    if not path.exists() and (folder / SPEC_FILE).exists():
        spec = read_spec(folder)
        done = [block for block in spec.blocks() if _part_exists(folder, block)]
        size = sum(file.stat().st_size for file in folder.glob("part-*.h5"))
        n, skipped, provenance, joined = sum(b.stop - b.start for b in done), {}, {}, None
    else:
        with open_store(path) as store:
            frame = store._frame
            spec, skipped, provenance = frame.spec, frame.skipped, frame.provenance
            n, joined = len(frame.stimulus_ids), "virtual" if frame.parts else "copy"
            size = path.stat().st_size + sum(frame.parts.values())
    return {
        "path": str(path),
        "finished": path.exists(),
        "n_stimuli": n,
        "n_asked": len(spec.stimulus_ids),
        "skipped": skipped,
        "bytes": size,
        "n_timesteps": spec.n_timesteps,
        "keep_bits": spec.keep_bits,
        "joined": joined,
        "sites": [
            {
                "site": layout.site, "dims": layout.dims, "shape": layout.shape, "timesteps": layout.timesteps,
                "onset": layout.onset, "status": [layout.status(t) for t in range(spec.n_timesteps)],
            }
            for layout in spec.sites
        ],
        "identity": dict(spec.identity),
        "provenance": provenance,
    }  # fmt: skip


def _part_exists(folder: Path, block: Any) -> bool:
    from .part import part_path

    return part_path(folder, block).exists()


__all__ = ["STATUSES", "Store", "describe", "finished_spec", "is_store", "open_store"]
