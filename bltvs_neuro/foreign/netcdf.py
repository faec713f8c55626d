"""netCDF-4 files of others: HDF5 that is looked through before xarray reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import xarray as xr

from ..errors import DataError
from .hdf5 import check_dataset, datasets, open_hdf5, read_dataset

_BARE = b"This is a netCDF dimension but not a netCDF variable"


def load_netcdf(path: Path, *, what: str = "netCDF") -> xr.Dataset:
    """Read a whole netCDF-4 file that leads to no other; times stay numbers. ``what`` it should be is for the error."""
    with open_hdf5(path) as file:
        for name in datasets(path):
            _check(file[name])
    try:
        # h5netcdf, not the default engine: netCDF4 1.7.4-1.7.5 crash on half-precision variables
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            return opened.load()
    except Exception as error:  # xarray and h5netcdf raise many unrelated types
        raise DataError(f"{path} cannot be read as {what}: {' '.join(str(error).split())}") from error


def _check(dataset: Any) -> None:
    name = dataset.attrs.get("NAME", b"")
    if isinstance(name, bytes) and name.startswith(_BARE):
        return  # a dimension without values: its length is declared and nothing is stored
    if h5py.check_string_dtype(dataset.dtype) is not None:
        read_dataset(dataset)  # bounded, which xarray's reading of text is not
    else:
        check_dataset(dataset)
