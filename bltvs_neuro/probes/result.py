"""What decoding gives: accuracies by site and timesteps, with where they came from."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..durable import whole_file
from ..errors import DataError
from ..foreign.netcdf import load_netcdf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PACKAGES = ("bltvs_neuro", "numpy", "scikit-learn", "xarray")


def versions() -> dict[str, str]:
    """Versions that the numbers depend on."""
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


@dataclass(frozen=True)
class Decoding:
    """Accuracies of one decoding.

    Attributes
    ----------
    table : xarray.Dataset
        ``accuracy`` (site, train_timestep, test_timestep), balanced; ``fold_accuracy`` with a dimension fold; ``p``
        (site, train_timestep) of a permutation test at the training timestep, NaN if there was none.
    chance : float
    provenance : dict
        Store, labels, folds, classifier, seed, versions; JSON-safe.
    """

    table: xr.Dataset
    chance: float
    provenance: dict[str, Any]

    def time_course(self) -> pd.DataFrame:
        """Accuracy where training and test timestep are the same.

        Returns
        -------
        pandas.DataFrame
            Columns site, timestep, accuracy, sem (standard error over folds, NaN for fewer than two), p; active timesteps only.
        """
        rows = []
        for site in self.table["site"].values:
            for t in self.table["train_timestep"].values:
                here = self.table.sel(site=site, train_timestep=t, test_timestep=t)
                if np.isfinite(here["accuracy"]):
                    folds = here["fold_accuracy"].values
                    folds = folds[np.isfinite(folds)]
                    sem = float(folds.std(ddof=1) / np.sqrt(len(folds))) if len(folds) > 1 else float("nan")
                    rows.append((str(site), int(t), float(here["accuracy"]), sem, float(here["p"])))
        return pd.DataFrame(rows, columns=["site", "timestep", "accuracy", "sem", "p"])

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write every accuracy in a row, below a comment line with the provenance (``read_csv(comment="#")``)."""
        frame = self.table["accuracy"].to_dataframe().dropna().reset_index()
        same = frame["train_timestep"] == frame["test_timestep"]
        p = self.table["p"].to_series()
        frame["p"] = [
            p[site, t] if d else np.nan for site, t, d in zip(frame["site"], frame["train_timestep"], same, strict=True)
        ]
        frame["chance"] = self.chance
        target = Path(path)
        with whole_file(target, overwrite=overwrite) as part, part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"# {json.dumps(self.provenance, sort_keys=True)}\n")
            frame.to_csv(file, index=False)
        return target

    def to_netcdf(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write table and provenance as netCDF; :func:`load_decoding` reads them."""
        target = Path(path)
        data = self.table.assign_attrs(provenance=json.dumps(self.provenance), chance=self.chance)
        with whole_file(target, overwrite=overwrite) as part:
            data.to_netcdf(part, engine="h5netcdf")
        return target

    def plot_time_course(self, **options: Any) -> Figure:
        """See :func:`bltvs_neuro.probes.figures.plot_decoding`."""
        from .figures import plot_decoding

        return plot_decoding(self, **options)

    def plot_generalisation(self, **options: Any) -> Figure:
        """See :func:`bltvs_neuro.probes.figures.plot_generalisation`."""
        from .figures import plot_generalisation

        return plot_generalisation(self, **options)


def load_decoding(path: str | os.PathLike[str]) -> Decoding:
    """Read what :meth:`Decoding.to_netcdf` wrote; DataError for another file."""
    try:
        table = load_netcdf(Path(path), what="a decoding")
        provenance, chance = json.loads(table.attrs.pop("provenance")), float(table.attrs.pop("chance"))
        return Decoding(table[["accuracy", "fold_accuracy", "p"]], chance, provenance)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a decoding: {error}") from error
