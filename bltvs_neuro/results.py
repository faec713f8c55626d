"""What an analysis gives: a labelled dataset of one kind that knows what it was made from, kept as netCDF-4 (HDF5)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import xarray as xr

from .durable import whole_file
from .errors import DataError, unknown
from .foreign.netcdf import load_netcdf
from .notebook import card, line, sparkline, told
from .versions import versions

TOLD = ("model", "weights", "store", "reader", "metric", "similarity", "solver", "classifier", "labels")
"""What a result shows of its provenance."""
SCORES = ("score", "r2", "accuracy")
"""Columns of which a mean over timesteps is drawn, the first that is there."""
FILE_ATTRIBUTES = ("kind", "created", "versions", "sha256")
"""Attributes that a file has beside those of its dataset."""


class Result:
    """A labelled dataset with its kind.

    Attributes
    ----------
    dataset : xarray.Dataset
        The numbers; its attribute ``provenance`` is JSON.
    kind : str
        Written into the file, so that no result is read as another.
    """

    kind: ClassVar[str]

    def __init__(self, dataset: xr.Dataset, provenance: Mapping[str, Any] | None = None) -> None:
        if provenance is not None:
            dataset = dataset.assign_attrs(provenance=json.dumps(provenance, default=str, sort_keys=True))
        self.dataset = dataset

    def __getitem__(self, name: str) -> xr.DataArray:
        """A variable or coordinate by name."""
        if name not in self.dataset.variables:
            raise unknown("quantity", name, [str(key) for key in self.dataset.data_vars])
        return self.dataset[name]

    def __repr__(self) -> str:
        return line(type(self).__name__, self._facts())

    def _repr_html_(self) -> str:
        """For notebooks: what it was made from, the first rows of the table and the mean score over timesteps."""
        frame = self.to_frame()
        texts = {"provenance": json.dumps(self.provenance, indent=1), "dataset": repr(self.dataset)}
        return card(type(self).__name__, self._facts(), frame, picture=sparkline(self._curve(frame)), texts=texts)

    def _curve(self, frame: pd.DataFrame) -> list[float]:
        """The mean score at every timestep."""
        score = next((name for name in SCORES if name in frame), None)
        return [] if score is None or "timestep" not in frame else list(frame.groupby("timestep")[score].mean())

    def _facts(self) -> dict[str, Any]:
        sizes = " × ".join(
            f"{size:,} {name}" for name, size in self.dataset.sizes.items() if not str(name).endswith("_b")
        )
        return {"": sizes} | told(self.provenance, TOLD)

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the inputs come from, the options, and versions."""
        return dict(json.loads(self.dataset.attrs["provenance"]))

    def to_frame(self) -> pd.DataFrame:
        """The numbers as a tidy table."""
        return self.dataset.to_dataframe().reset_index()

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write :meth:`to_frame` as CSV, in place of a file that is there if ``overwrite``."""
        with whole_file(path, overwrite=overwrite) as part:
            self.to_frame().to_csv(part, index=False)
        return Path(path)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write everything as netCDF-4, which HDF5 tools read too, in place of a file that is there if ``overwrite``."""
        dataset = _plain(self.dataset)
        dataset.attrs |= {
            "kind": self.kind,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": json.dumps(versions()),
            "sha256": _digest(dataset),
        }
        with whole_file(path, overwrite=overwrite) as part:
            # h5netcdf by name: the default engine differs between installations
            dataset.to_netcdf(
                part, engine="h5netcdf", encoding={n: {"zlib": True} for n, v in dataset.items() if v.ndim}
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            The file cannot be read, is damaged, or holds something else.
        """
        dataset = load_netcdf(Path(path), what="a result")
        about = {name: dataset.attrs.pop(name, None) for name in FILE_ATTRIBUTES}
        if about["kind"] != cls.kind:
            holds = f"a result of kind {about['kind']!r}" if about["kind"] else "no result, or one of an older version"
            raise DataError(f"{path} holds {holds}, and {cls.__name__} reads {cls.kind!r}")
        dataset = _plain(dataset)
        if about["sha256"] != _digest(dataset):
            raise DataError(f"{path} is damaged: its values are not those that its checksum was made of; make it again")
        return cls(dataset)


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """A copy with text as text, and without what is known of a file that it came from."""
    dataset = dataset.copy()
    dataset.encoding = {}
    for name in dataset.variables:
        if dataset[name].dtype.kind in "OS":
            dataset[name] = dataset[name].astype(str)
        dataset[name].encoding = {}
    return dataset


def _digest(dataset: xr.Dataset) -> str:
    """sha256 of provenance, names, dimensions and values."""
    digest = hashlib.sha256(str(dataset.attrs.get("provenance", "")).encode())
    for name in sorted(map(str, dataset.variables)):
        values = dataset[name].values
        digest.update(json.dumps([name, dataset[name].dims, values.shape, values.dtype.kind]).encode())
        if values.dtype.kind == "U":
            digest.update(json.dumps(values.tolist()).encode())
        else:
            digest.update(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
