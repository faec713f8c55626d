"""Save labelled data as netCDF that any reader opens, and read it back unchanged."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..durable import whole_file
from ..errors import DataError
from ..foreign.netcdf import load_netcdf
from ..schema import PAIR, STIMULUS_ID
from .align import rdm_stimulus_ids
from .labelled import check_rdms, check_responses
from .reader import Match, Reader
from .reading.files import kind, provenance, variables
from .reading.labels import pair_coords

JSON_PREFIX = "json:"


def to_netcdf(array: xr.DataArray, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write RDMs or responses as a netCDF-4 file, whole or not at all, and return its path.

    The ids of an RDM's pairs are stored once per stimulus (``stimulus_id`` on ``stimulus``), not once per pair.
    Attributes that netCDF has no type for (None, bool, lists, dicts) are written as JSON after ``json:``.
    """
    target = Path(path)
    if PAIR in array.dims:
        check_rdms(array, missing="keep")
        ids = np.array(rdm_stimulus_ids(array))
        dataset = array.drop_vars(["stimulus_a", "stimulus_b"]).to_dataset(name="dissimilarity")
        dataset[STIMULUS_ID] = ("stimulus", ids)
    else:
        check_responses(array)
        dataset = array.to_dataset(name="response")
    variable = dataset["dissimilarity" if PAIR in array.dims else "response"]
    variable.attrs = {key: _to_attribute(value) for key, value in array.attrs.items()}
    for name in dataset.variables:
        if dataset[name].dtype.kind == "O":
            dataset[name] = dataset[name].astype(str)
    with whole_file(target, overwrite=overwrite) as part:
        # h5netcdf, not the default engine: netCDF4 1.7.4-1.7.5 crash on half-precision variables
        dataset.to_netcdf(part, engine="h5netcdf", encoding={variable.name: {"zlib": True, "complevel": 1}})
    return target


def from_netcdf(path: str | os.PathLike[str]) -> xr.DataArray:
    """Read a file written by :func:`to_netcdf`; DataError where it is another."""
    dataset = load_netcdf(Path(path))
    for name in list(dataset.variables):
        if dataset[name].dtype.kind in "US":
            dataset[name] = dataset[name].astype(object)
    if "dissimilarity" in dataset:
        array = dataset["dissimilarity"]
        ids = [str(stimulus) for stimulus in dataset[STIMULUS_ID].values]
        array = array.assign_coords({name: (PAIR, value) for name, value in pair_coords(ids).items()})
    elif "response" in dataset:
        array = dataset["response"]
    else:
        raise DataError(f"{path} holds {', '.join(map(str, dataset.data_vars))}; expected dissimilarity or response")
    array.attrs = {str(key): _from_attribute(value) for key, value in array.attrs.items()}
    array.encoding = {}
    if PAIR in array.dims:
        check_rdms(array, missing="keep")
    else:
        check_responses(array)
    return array


def _to_attribute(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str) and value and not value.startswith(JSON_PREFIX):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return JSON_PREFIX + json.dumps(value, default=str)


def _from_attribute(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0].item()
    if isinstance(value, bytes):
        value = value.decode()
    return (
        json.loads(value.removeprefix(JSON_PREFIX))
        if isinstance(value, str) and value.startswith(JSON_PREFIX)
        else value
    )


def _sniff(names: set[str], path: Path) -> Match:
    return 2 if kind(path) == "hdf5" and names <= set(variables(path)) else 0


_RDMS, _RESPONSES = {"dissimilarity", STIMULUS_ID}, {"response", STIMULUS_ID, "repetition"}


def _read(path: Path) -> xr.DataArray:
    """Read a file of :func:`to_netcdf`; its own source and sha256 are kept, the file's become ``file_*``."""
    array = from_netcdf(path)
    new = provenance(path)
    array.attrs = {**new, **array.attrs, "file": new["source"], "file_sha256": new["sha256"]}
    return array


READERS = (
    Reader("netcdf", "rdms", "RDMs saved by bltvs_neuro.neural.to_netcdf (.nc)", partial(_sniff, _RDMS), _read),
    Reader(
        "netcdf",
        "responses",
        "responses saved by bltvs_neuro.neural.to_netcdf (.nc)",
        partial(_sniff, _RESPONSES),
        _read,
    ),
)
