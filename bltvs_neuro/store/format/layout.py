"""The finished file's netCDF frame: dimensions, labels, coordinates and attributes; all but the activations.

netCDF-4 is HDF5 with conventions: a dimension is a "dimension scale" dataset, a variable's dimensions are scales attached
to its axes. A dimension without values is a scale with a fixed name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from ...schema import STATUSES, STIMULUS, STIMULUS_ID, TIMESTEP
from ..parts.part import text_attribute, write_text
from ..spec import MODEL_TIMESTEP, STATUS, STIMULUS_SHA256, SiteLayout, StoreSpec
from .json_text import canonical

SITE = "site"
SKIPPED = "skipped"
_BARE_DIMENSION = "This is a netCDF dimension but not a netCDF variable."


class Dimensions:
    """Makes dimension scales and attaches them."""

    def __init__(self, file: h5py.File) -> None:
        self.file, self.count = file, 0

    def bare(self, group: h5py.Group, name: str, size: int) -> None:
        """A dimension that has no coordinate values."""
        scale = group.create_dataset(name, shape=(size,), dtype=">f4")
        self._make(scale, f"{_BARE_DIMENSION}{size:10d}")

    def labelled(self, group: h5py.Group, name: str, values: np.ndarray) -> None:
        """A dimension with one value for each position."""
        self._make(_dataset(group, name, values), name)

    def _make(self, scale: h5py.Dataset, name: str) -> None:
        scale.make_scale(name)
        scale.attrs.create("_Netcdf4Dimid", np.int32(self.count))
        self.count += 1

    def variable(self, group: h5py.Group, name: str, dims: Sequence[str], values: np.ndarray) -> h5py.Dataset:
        """A variable on existing dimensions."""
        dataset = _dataset(group, name, values)
        self.attach(dataset, dims)
        return dataset

    def attach(self, dataset: h5py.Dataset, dims: Sequence[str]) -> None:
        """Name a dataset's axes; a dimension is looked for in its group and then upwards."""
        for axis, name in enumerate(dims):
            group = dataset.parent
            while name not in group:
                group = group.parent
            dataset.dims[axis].attach_scale(group[name])


def write_frame(
    file: h5py.File, spec: StoreSpec, rows: np.ndarray, sha256s: Sequence[str], skipped: Sequence[tuple[str, str]],
    attributes: Mapping[str, Any],
) -> Dimensions:  # fmt: skip
    """Write everything but the activations; returns what the activations' dimensions are attached with.

    ``rows`` (n,) are positions in ``spec.stimulus_ids`` of the stimuli that are stored, ``sha256s`` their pixels';
    ``skipped`` are ids with reasons; ``attributes`` are the file's, text or numbers.
    """
    for name, value in attributes.items():
        if isinstance(value, str):
            text_attribute(file, name, value)
        else:
            file.attrs.create(name, value)
    dims = Dimensions(file)
    ids = np.array(spec.stimulus_ids, dtype=object)[rows]
    dims.bare(file, STIMULUS, len(rows))
    dims.labelled(file, SITE, np.array(list(spec.layouts), dtype=object))
    dims.labelled(file, MODEL_TIMESTEP, np.arange(spec.n_timesteps))
    dims.variable(file, STIMULUS_ID, (STIMULUS,), ids)
    dims.variable(file, STIMULUS_SHA256, (STIMULUS,), np.array(list(sha256s), dtype=object))
    taken = {STIMULUS, SITE, MODEL_TIMESTEP, STIMULUS_ID, STIMULUS_SHA256, STATUS, SKIPPED}
    taken |= {"skipped_reason", "skipped_position"}
    taken |= {site.split("/")[0] for site in spec.layouts}
    for column, values in spec.metadata.items():
        name = _free_name(column, taken)
        text_attribute(dims.variable(file, name, (STIMULUS,), values[rows]), "column", column)
    table = [[STATUSES.index(layout.status(t)) for t in range(spec.n_timesteps)] for layout in spec.sites]
    _flags(dims.variable(file, STATUS, (SITE, MODEL_TIMESTEP), np.array(table, np.int8)))
    if skipped:
        dims.labelled(file, SKIPPED, np.array([i for i, _ in skipped], dtype=object))
        dims.variable(file, "skipped_reason", (SKIPPED,), np.array([r for _, r in skipped], dtype=object))
        # With the positions, the order of all stimuli that were asked for can be told from this file alone.
        place = {stimulus: i for i, stimulus in enumerate(spec.stimulus_ids)}
        dims.variable(file, "skipped_position", (SKIPPED,), np.array([place[i] for i, _ in skipped]))
    for layout in spec.sites:
        _write_site(dims, file.create_group(layout.site, track_order=True), layout, ids)
    return dims


def _write_site(dims: Dimensions, group: h5py.Group, layout: SiteLayout, ids: np.ndarray) -> None:
    dims.labelled(group, TIMESTEP, np.array(layout.timesteps))
    for dim, size in zip(layout.dims, layout.shape, strict=True):
        if dim in layout.coords:
            dims.labelled(group, dim, layout.coords[dim][1])
        else:
            dims.bare(group, dim, size)
    for name, (dim, values) in layout.coords.items():
        if name != dim:
            dims.variable(group, name, (dim,), values)
    # The ids are repeated so that a group opened on its own is labelled.
    dims.variable(group, STIMULUS_ID, (STIMULUS,), ids)
    status = np.array([STATUSES.index(layout.status(t)) for t in layout.timesteps], np.int8)
    _flags(dims.variable(group, STATUS, (TIMESTEP,), status))
    if layout.onset is not None:
        group.attrs.create("onset", np.int64(layout.onset))


def label_activations(dims: Dimensions, dataset: h5py.Dataset, layout: SiteLayout) -> None:
    """Attach the dimensions and coordinates of a site's activations."""
    dims.attach(dataset, (STIMULUS, TIMESTEP, *layout.dims))
    names = [STIMULUS_ID, STATUS, *(n for n, (dim, _) in layout.coords.items() if n != dim)]
    text_attribute(dataset, "coordinates", " ".join(names))
    text_attribute(dataset, "long_name", f"activations of {layout.site}")


def spec_attribute(spec: StoreSpec) -> str:
    """The spec without its long lists of stimuli, as JSON text."""
    data = spec.to_json()
    del data["stimulus_ids"], data["metadata"]
    return canonical(data)


def _flags(dataset: h5py.Dataset) -> None:
    dataset.attrs.create("flag_values", np.arange(len(STATUSES), dtype=np.int8))
    text_attribute(dataset, "flag_meanings", " ".join(STATUSES))


def _dataset(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    if values.dtype.kind == "O":
        return write_text(group, name, values.tolist())
    if values.dtype.kind == "b":  # netCDF has no booleans; xarray reads this convention
        dataset = group.create_dataset(name, data=values.astype(np.int8))
        text_attribute(dataset, "dtype", "bool")
        return dataset
    return group.create_dataset(name, data=values)


def _free_name(column: str, taken: set[str]) -> str:
    """A netCDF name for a metadata column; one that is taken gets an underscore."""
    name = "".join(c if c.isalnum() or c in "_.-+@" else "_" for c in column).strip(".") or "column"
    name = name if name[0].isalpha() or name[0] == "_" else f"_{name}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name
