"""Everything a reader wants of a result as files: the labelled result, tables, maps in the mask's space, figures."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..schema import NEUROID
from .figures import SCORE_NAMES
from .maps import draw_volume
from .plot import plot_best, plot_best_timestep, plot_scores, plot_time_matrix
from .plot_partition import plot_partition
from .result import SPACE, EncodingResult, PartitionResult, save_array
from .time import score_matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROIS = 12
"""Figures per region are drawn for at most so many."""


def describe_result(result: EncodingResult | PartitionResult) -> str:
    """One line on where the numbers come from, for titles: model, weights, responses, solver and folds."""
    about = result.provenance
    spec, responses = about.get("spec", {}), about.get("responses", {})
    features = spec.get("features", {})
    model = f"{features['model']} ({features['weights']} weights)" if "model" in features else "features"
    source = Path(str(responses.get("source", ""))).name or "responses"
    simulated = "SIMULATED responses, " if responses.get("simulated") else ""
    return f"{model}; {simulated}{source}; {spec.get('solver')}, alpha by {spec.get('by')}, {spec.get('cv')} folds"


def write_encoding(
    result: EncodingResult, folder: str | os.PathLike[str], *, score: str = "r2", figures: bool = True
) -> list[Path]:
    """Write a result into a folder.

    Parameters
    ----------
    result : EncodingResult
    folder : path
        Made when absent. Gets ``result.h5``, ``scores.csv`` (a row per feature space and target), ``best.csv`` (a row per
        target), ``provenance.json``; ``figures/``; and, for responses from volumes, ``maps/``.
    score : {"r2", "r"}
        What figures and maps show; normalised where there is a ceiling.
    figures : bool
        Whether to draw.

    Returns
    -------
    list of Path
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    best = result.best(score)
    out = [result.save(folder / "result.h5"), result.to_csv(folder / "scores.csv")]
    best.reset_coords().to_dataframe().reset_index(drop=True).to_csv(folder / "best.csv", index=False)
    out += [folder / "best.csv", _write_provenance(result, folder)]
    shown = f"{score}_normalised" if "ceiling" in result.dataset else score
    for name, figure in _figures(result, score, shown) if figures else ():
        out.append(save_figure(figure, folder / "figures" / f"{name}.png", result))
    if "volume_shape" in result.dataset.attrs and "time" not in result.dataset.dims:
        layers = _best_layers(result, best, shown)
        out += _write_maps(result, layers, folder, shown)
        for name, values, labels in layers if figures else ():
            if np.isfinite(values).any():
                label = SCORE_NAMES.get(name.removeprefix("best_"), name.replace("_", " "))
                figure = draw_volume(result.place(values), label, names=labels)
                path = folder / "figures" / f"map_{name}.png"
                out.append(save_figure(figure, path, result, region=name.replace("_", " ")))
    return out


def write_partition(result: PartitionResult, folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``partition.h5``, ``partition.csv``, ``unique.csv`` and ``figures/partition*.png``, by region if there are any."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    out = [result.save(folder / "partition.h5"), result.to_csv(folder / "partition.csv"), folder / "unique.csv"]
    import pandas as pd

    regions = list(_regions(result.dataset))
    tables = [result.unique(chosen).assign(roi=name.removeprefix("_") or "all") for name, chosen in regions]
    pd.concat(tables).to_csv(folder / "unique.csv", index=False)
    for name, chosen in regions:
        figure = plot_partition(result, neuroids=chosen)
        out.append(save_figure(figure, folder / "figures" / f"partition{name}.png", result, region=name))
    return out


def write_generalisation(matrix: xr.DataArray, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Write a matrix of :func:`bltvs_neuro.encoding.temporal_generalisation` and the figure of its mean over neuroids."""
    folder = Path(folder)
    label = name.replace("/", "_").replace(" ", "_")
    figure = plot_time_matrix(matrix.mean(NEUROID).rename(matrix.name))
    holder = EncodingResult(xr.Dataset(attrs=matrix.attrs))
    return [
        save_array(matrix, folder / f"generalisation_{label}.h5"),
        save_figure(figure, folder / "figures" / f"generalisation_{label}.png", holder, region=f" {name}"),
    ]


def save_figure(figure: Figure, path: Path, result: EncodingResult | PartitionResult, *, region: str = "") -> Path:
    """Write a figure with its provenance in the title and among the file's metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = describe_result(result)
    where = region.strip("_ ")
    text = f"{where}: {text}" if where else text
    # about 16 letters of this size to the inch
    figure.suptitle(textwrap.fill(text, int(16 * figure.get_figwidth())), fontsize=7)
    figure.savefig(path, dpi=200, metadata={"Description": json.dumps(result.provenance, default=str)[:30000]})
    return path


def _figures(result: EncodingResult, score: str, shown: str) -> Iterator[tuple[str, Figure]]:
    """Those that the feature spaces and targets allow."""
    spaces = {"area", "stream", "timestep"} <= set(result.dataset.coords)
    if not spaces:
        return
    for name, chosen in _regions(result.dataset):
        if np.isfinite(result[shown].values if chosen is None else result[shown].values[:, chosen]).any():
            yield f"scores{name}", plot_scores(result, shown, neuroids=chosen)
            yield f"best{name}", plot_best(result, score, neuroids=chosen)
    roi = np.atleast_1d(result.dataset["roi"].values if "roi" in result.dataset.coords else "")
    yield "best_timestep", plot_best_timestep(result, score, by="roi" if 1 < len(set(roi)) <= MOST_ROIS else None)
    if "time" in result.dataset.dims:
        yield "time_matrix", plot_time_matrix(score_matrix(result, shown))


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


def _best_layers(result: EncodingResult, best: xr.Dataset, shown: str) -> list[Layer]:
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


def _write_maps(result: EncodingResult, layers: list[Layer], folder: Path, shown: str) -> list[Path]:
    """Volumes: every space's score (one volume each, named in a table), and what is best per voxel."""
    import nibabel
    import pandas as pd

    maps = folder / "maps"
    maps.mkdir(exist_ok=True)
    every = [result.to_volume(shown, **{SPACE: i}) for i in range(result.dataset.sizes[SPACE])]
    joined = nibabel.Nifti1Image(np.stack([np.asarray(v.dataobj) for v in every], axis=-1), every[0].affine)
    names = result["name"].values.astype(str)
    out = [_save_volume(joined, maps / f"{shown}.nii.gz", f"{shown} of every feature space, in {shown}.csv")]
    pd.DataFrame({"volume": range(len(names)), "feature_space": names}).to_csv(maps / f"{shown}.csv", index=False)
    for name, values, labels in layers:
        out.append(_save_volume(result.place(values), maps / f"{name}.nii.gz", f"{name}; see provenance.json"))
        if labels is not None:
            (maps / f"{name}.json").write_text(json.dumps(dict(enumerate(labels)), indent=1))
    return out


def _save_volume(image: Any, path: Path, what: str) -> Path:
    import nibabel

    image.header["descrip"] = what.encode()[:79]
    nibabel.save(image, path)
    return path


def _write_provenance(result: EncodingResult, folder: Path) -> Path:
    path = folder / "provenance.json"
    attrs = {key: value for key, value in result.dataset.attrs.items() if key not in ("volume_shape", "affine")}
    plain = {key: json.loads(v) if str(v)[:1] in "{[" else v for key, v in attrs.items()}
    path.write_text(json.dumps({**plain, **result.provenance}, indent=1, default=str))
    return path
