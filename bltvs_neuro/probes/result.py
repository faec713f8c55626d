"""What decoding gives: accuracies by site and timesteps, with where they came from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..durable import whole_file
from ..results import Result


class Decoding(Result):
    """Accuracies of one decoding.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``accuracy`` (site, train_timestep, test_timestep), balanced; ``fold_accuracy`` with a dimension fold; ``p``
        (site, train_timestep) of a permutation test at the training timestep and ``p_corrected`` over all sites and
        timesteps, NaN if there was none; ``chance``.
    """

    kind = "decoding"

    @property
    def chance(self) -> float:
        """Accuracy of guessing: 1 / number of classes."""
        return float(self.dataset["chance"])

    def time_course(self) -> pd.DataFrame:
        """Accuracy where training and test timestep are the same.

        Returns
        -------
        pandas.DataFrame
            Columns site, timestep, accuracy, sem (standard error over folds, NaN for fewer than two), p, p_corrected; active
            timesteps only.
        """
        rows = []
        for site in self.dataset["site"].values:
            for t in self.dataset["train_timestep"].values:
                here = self.dataset.sel(site=site, train_timestep=t, test_timestep=t)
                if np.isfinite(here["accuracy"]):
                    folds = here["fold_accuracy"].values
                    folds = folds[np.isfinite(folds)]
                    sem = float(folds.std(ddof=1) / np.sqrt(len(folds))) if len(folds) > 1 else float("nan")
                    rows.append(
                        (str(site), int(t), float(here["accuracy"]), sem, float(here["p"]), float(here["p_corrected"]))
                    )
        return pd.DataFrame(rows, columns=["site", "timestep", "accuracy", "sem", "p", "p_corrected"])

    def to_frame(self) -> pd.DataFrame:
        """One row per site, training and test timestep; p values where the two are the same."""
        tests = ["p", "p_corrected"]
        frame = self.dataset[["accuracy", *tests, "chance"]].to_dataframe().dropna(subset=["accuracy"]).reset_index()
        frame[tests] = frame[tests].where(frame["train_timestep"] == frame["test_timestep"])
        return frame[["site", "train_timestep", "test_timestep", "accuracy", *tests, "chance"]]

    def _curve(self, frame: pd.DataFrame) -> list[float]:
        return super()._curve(self.time_course())

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write :meth:`to_frame` below a comment line with the provenance (``read_csv(comment="#")``)."""
        with whole_file(path, overwrite=overwrite) as part, part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"# {json.dumps(self.provenance, sort_keys=True)}\n")
            self.to_frame().to_csv(file, index=False)
        return Path(path)

    def plot_time_course(self, **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.probes.figures.plot_decoding`."""
        from .figures import plot_decoding

        return plot_decoding(self, **options)

    def plot_generalisation(self, **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.probes.figures.plot_generalisation`."""
        from .figures import plot_generalisation

        return plot_generalisation(self, **options)
