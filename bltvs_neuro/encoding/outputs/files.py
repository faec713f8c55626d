"""Everything a reader wants of a result as files: the labelled result, tables, maps in the mask's space, figures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ...durable import check_outputs, earlier, whole_file
from ...figures import SCORE_NAMES, save_figure
from ...results import Result
from ...schema import NEUROID, SPACE
from ..result import EncodingResult, Generalisation, PartitionResult
from ..scores.time import score_matrix
from .maps import draw_volume
from .partition import plot_partition
from .scores import plot_best, plot_best_timestep, plot_scores, plot_time_matrix

if TYPE_CHECKING:
    import pandas as pd

MOST_ROIS = 12
"""Figures per region are drawn for at most so many."""


def write_encoding(
    result: EncodingResult,
    folder: str | os.PathLike[str],
    *,
    score: str = "r2",
    figures: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Write a result into a folder.

    Parameters
    ----------
    result : EncodingResult
    folder : path
        Made when absent. Gets ``result.h5``, ``scores.csv`` (a row per feature space and target), ``summary.csv`` (a row per
        feature space and roi), ``best.csv`` (a row per target), ``provenance.json``; ``figures/``; and, for responses from
        volumes, ``maps/``.
    score : {"r2", "r"}
        What figures and maps show; normalised where there is a ceiling.
    figures : bool
        Whether to draw.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    list of Path
    """
    out = _Outputs(Path(folder), result, overwrite=overwrite)
    best = result.best(score, nested=result.can_nest)
    out.written += [
        result.save(out.folder / "result.h5", overwrite=overwrite),
        result.to_csv(out.folder / "scores.csv", overwrite=overwrite),
    ]
    out.table("best.csv", best.reset_coords().to_dataframe().reset_index(drop=True))
    out.table("summary.csv", result.summary())
    out.text("provenance.json", result.provenance)
    shown = f"{score}_normalised" if "ceiling" in result.dataset else score
    for name, drawn in _figures(result, score, shown) if figures else ():
        out.figure(name, drawn)
    if "volume_shape" in result.dataset.attrs and "time" not in result.dataset.dims:
        layers = best_layers(result, best, shown)
        _write_maps(out, result, layers, shown)
        for name, values, labels in layers if figures else ():
            if np.isfinite(values).any():
                label = SCORE_NAMES.get(name.removeprefix("best_"), name.replace("_", " "))
                title = name.replace("_", " ")
                image = result.place(values)
                out.figure(
                    f"map_{name}", draw_volume(image, label, title=title, names=labels, provenance=result.provenance)
                )
    return out.written


def write_partition(result: PartitionResult, folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write ``partition.h5``, ``partition.csv``, ``unique.csv`` and ``figures/partition*.png``, by region if there are any."""
    import pandas as pd

    out = _Outputs(Path(folder), result, overwrite=overwrite)
    out.written += [
        result.save(out.folder / "partition.h5", overwrite=overwrite),
        result.to_csv(out.folder / "partition.csv", overwrite=overwrite),
    ]
    regions = list(_regions(result.dataset))
    tables = [result.unique(chosen).assign(roi=name.removeprefix("_") or "all") for name, chosen in regions]
    out.table("unique.csv", pd.concat(tables))
    for name, chosen in regions:
        out.figure(f"partition{name}", plot_partition(result, neuroids=chosen, title=name.removeprefix("_")))
    return out.written


def write_generalisation(
    result: Generalisation, folder: str | os.PathLike[str], name: str, *, overwrite: bool = False
) -> list[Path]:
    """Write what :func:`bltvs_neuro.encoding.temporal_generalisation` gave and the figure of its mean over neuroids."""
    out = _Outputs(Path(folder), result, overwrite=overwrite)
    label = name.replace("/", "_").replace(" ", "_")
    out.written.append(result.save(out.folder / f"generalisation_{label}.h5", overwrite=overwrite))
    out.figure(f"generalisation_{label}", result.plot())
    return out.written


OUTPUTS = (
    "result.h5", "scores.csv", "summary.csv", "best.csv", "provenance.json", "partition.h5", "partition.csv", "unique.csv",
    "generalisation_*.h5", "maps/best_*.nii.gz", "maps/best_*.json",
    *(f"maps/{score}{end}.{form}" for score in ("r2", "r") for end in ("", "_normalised") for form in ("nii.gz", "csv")),
    *(f"figures/{name}*.png" for name in ("scores", "best", "time_matrix", "map_best", "partition", "generalisation")),
)  # fmt: skip
"""All that these functions write, below their folder."""


def check_encoding(folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Try, before the work, whether results can be written into a folder; returns the files of an earlier result.

    Raises
    ------
    OutputError
        There is an earlier result and ``overwrite`` is False, or the folder cannot be written.
    """
    folder = Path(folder)
    before = earlier(folder, OUTPUTS)
    check_outputs(*before, folder / "provenance.json", overwrite=overwrite)
    return before


class _Outputs:
    """A folder that receives what is made of one result, and what was written so far."""

    def __init__(self, folder: Path, result: Result, *, overwrite: bool) -> None:
        self.folder, self.result, self.overwrite = folder, result, overwrite
        self.written: list[Path] = []

    def _file(self, name: str) -> AbstractContextManager[Path]:
        self.written.append(self.folder / name)
        return whole_file(self.written[-1], overwrite=self.overwrite)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        with self._file(name) as part:
            frame.to_csv(part, index=False)

    def text(self, name: str, held: Any) -> None:
        with self._file(name) as part:
            part.write_text(json.dumps(held, indent=1, default=str))

    def volume(self, name: str, image: Any, what: str) -> None:
        import nibabel

        image.header["descrip"] = what.encode()[:79]
        with self._file(name) as part:
            nibabel.save(image, part)

    def figure(self, name: str, drawn: Any) -> None:
        """Write a figure with its provenance among the file's metadata."""
        path = self.folder / f"figures/{name}.png"
        self.written.append(save_figure(drawn, path, dpi=200, about=self.result.provenance, overwrite=self.overwrite))


def _figures(result: EncodingResult, score: str, shown: str) -> Iterator[tuple[str, Any]]:
    """Those that the feature spaces and targets allow."""
    spaces = {"area", "stream", "timestep"} <= set(result.dataset.coords)
    if not spaces:
        return
    for name, chosen in _regions(result.dataset):
        if np.isfinite(result[shown].values if chosen is None else result[shown].values[:, chosen]).any():
            title = name.removeprefix("_")
            yield f"scores{name}", plot_scores(result, shown, neuroids=chosen, title=title)
            yield f"best{name}", plot_best(result, score, neuroids=chosen, title=title)
    roi = np.atleast_1d(result.dataset["roi"].values if "roi" in result.dataset.coords else "")
    yield "best_timestep", plot_best_timestep(result, score, by="roi" if 1 < len(set(roi)) <= MOST_ROIS else None)
    if "time" in result.dataset.dims:
        yield "time_matrix", plot_time_matrix(score_matrix(result, shown), provenance=result.provenance)


def _regions(dataset: xr.Dataset) -> Iterator[tuple[str, np.ndarray | None]]:
    """All neuroids, and each region where there are a few; with a suffix for names of files."""
    yield "", None
    if "roi" in dataset.coords and dataset["roi"].dims == (NEUROID,):
        roi = dataset["roi"].values.astype(str)
        names = [name for name in dict.fromkeys(roi) if name]
        if 1 < len(names) <= MOST_ROIS:
            yield from ((f"_{name.replace('/', '-')}", roi == name) for name in names)


Layer = tuple[str, np.ndarray, "list[str] | None"]
"""Name, one value per neuroid, and what whole numbers stand for."""


def best_layers(result: EncodingResult, best: xr.Dataset, shown: str) -> list[Layer]:
    """What is best per neuroid."""
    winner, good = best[SPACE].values, best[SPACE].values >= 0
    layers: list[Layer] = [
        (f"best_{shown}", np.where(good, result[shown].values[winner, np.arange(len(winner))], np.nan), None),
        ("best_margin", best["margin"].values, None),
    ]
    for key in ("area", "stream", "timestep"):
        if key in best:
            order = list(dict.fromkeys(result[key].values.tolist()))
            numbers = [float(order.index(v)) if v in order else np.nan for v in best[key].values.tolist()]
            layers.append((f"best_{key}", np.array(numbers), [str(name) for name in order]))
    return layers


def _write_maps(out: _Outputs, result: EncodingResult, layers: list[Layer], shown: str) -> None:
    """Volumes: every space's score (one volume each, named in a table), and what is best per voxel."""
    import nibabel
    import pandas as pd

    every = [result.to_volume(shown, **{SPACE: i}) for i in range(result.dataset.sizes[SPACE])]
    joined = nibabel.Nifti1Image(np.stack([np.asarray(v.dataobj) for v in every], axis=-1), every[0].affine)
    names = result["name"].values.astype(str)
    out.volume(f"maps/{shown}.nii.gz", joined, f"{shown} of every feature space, in {shown}.csv")
    out.table(f"maps/{shown}.csv", pd.DataFrame({"volume": range(len(names)), "feature_space": names}))
    for name, values, labels in layers:
        out.volume(f"maps/{name}.nii.gz", result.place(values), f"{name}; see provenance.json")
        if labels is not None:
            out.text(f"maps/{name}.json", dict(enumerate(labels)))
