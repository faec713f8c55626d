"""What a comparison leaves behind: tables, files with provenance and figures, under one prefix."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..durable import check_outputs, earlier, remove_stale, whole_file
from ..errors import SpecError, unknown
from ..figures import site_title
from ..neural import to_netcdf
from ..versions import versions
from .inference.ceiling import average_rdms
from .rdms.convert import as_rdms
from .result import RsaResult
from .time import TimeMatrix

log = logging.getLogger(__name__)

FIGURE_FORMATS = ("png", "pdf", "svg")
COMPARISON = (
    ".nc", ".csv", "_pairs.csv", "_best.csv", "_rdms.nc", "_brain.nc",
    *(f"_{name}*.{form}" for name in ("time_course", "models") for form in FIGURE_FORMATS),
    *(f"_{name}.{form}" for name in ("matrix", "rdms", "trajectories") for form in FIGURE_FORMATS),
)  # fmt: skip
"""Ends of the names of a comparison's files."""
MOST_MEANS = 4
"""Neural RDMs, means over subjects, that figures show beside the models."""
TIME_MATRIX = ("_time.nc", "_clusters.csv", "_peaks.csv", *(f"_time_matrix.{form}" for form in FIGURE_FORMATS))
"""Ends of the names of the files of a comparison over time."""


def save_comparison(
    result: RsaResult,
    models: xr.DataArray,
    brain: xr.DataArray,
    prefix: str | os.PathLike[str],
    *,
    categories: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",),
    ceiling: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Write a comparison's result, tables, RDMs and figures.

    Parameters
    ----------
    result : RsaResult
    models, brain : RDMs
        What was compared.
    prefix : path
        ``out/name`` gives ``out/name.nc``, ``out/name.csv``, ``out/name_time_course.png`` and so on.
    categories : mapping of stimulus id to category, optional
        For the bars beside heat maps.
    formats : sequence of {"png", "pdf", "svg"}
        Of the figures; none for no figures.
    ceiling : bool
        Whether time courses and model plots show the noise ceiling.
    overwrite : bool
        Replace files that are there, and remove those of an earlier result that this one does not have.

    Returns
    -------
    list of Path
        What was written.
    """
    models, brain = as_rdms(models), as_rdms(brain)
    check_formats(formats)
    before = check_comparison(prefix, overwrite=overwrite)
    written = [
        result.save(_path(prefix, ".nc"), overwrite=overwrite),
        result.to_csv(_path(prefix, ".csv"), overwrite=overwrite),
        _table(result.pairs_frame(), _path(prefix, "_pairs.csv"), overwrite=overwrite),
        _table(result.best(nested=True), _path(prefix, "_best.csv"), overwrite=overwrite),
        to_netcdf(models, _path(prefix, "_rdms.nc"), overwrite=overwrite),
        to_netcdf(_brain_means(brain), _path(prefix, "_brain.nc"), overwrite=overwrite),
    ]
    if check_formats(formats):
        figures = _figures(result, models, brain, categories, ceiling=ceiling)
        written += _save(figures, prefix, formats, _about(models.attrs), overwrite=overwrite)
    remove_stale(before, written)
    return written


def check_comparison(prefix: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Try, before the work, whether :func:`save_comparison` can write; returns the files of an earlier result.

    Raises
    ------
    OutputError
        There is an earlier result and ``overwrite`` is False, or the folder cannot be written.
    """
    return _check(prefix, COMPARISON, overwrite=overwrite)


def check_time_matrix(prefix: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """:func:`check_comparison` for :func:`save_time_matrix`."""
    return _check(prefix, TIME_MATRIX, overwrite=overwrite)


def _check(prefix: str | os.PathLike[str], ends: Sequence[str], *, overwrite: bool) -> list[Path]:
    base = _path(prefix, "")
    before = earlier(base.parent, [glob.escape(base.name) + end for end in ends])
    longest = _path(prefix, max(ends, key=len).replace("*", ""))
    check_outputs(*before, *(path for path in (longest,) if path not in before), overwrite=overwrite)
    return before


def _figures(
    result: RsaResult, models: xr.DataArray, brain: xr.DataArray, categories: Mapping[str, str] | None, *, ceiling: bool
) -> dict[str, Any]:
    """The figures of a comparison, by the end of their names."""
    from .figures.rdm import plot_rdms, plot_trajectories

    timed = {"area", "stream", "timestep"} <= set(result.dataset.coords)
    targets = result.dataset.sizes["target"]
    figures: dict[str, Any] = {}
    for t in range(targets):
        end = _target_name(result, t) if targets > 1 else ""
        if timed:
            figures[f"_time_course{end}"] = result.plot_time_course(target=t, ceiling=ceiling)
        else:
            figures[f"_models{end}"] = result.plot_models(target=t)
    if timed:
        figures["_matrix"] = result.plot_matrix()
    figures["_rdms"] = plot_rdms(heat_maps(models, brain), categories=categories)
    if timed and len(models) >= 3:
        means = _brain_means(brain)
        figures["_trajectories"] = plot_trajectories(
            models, means if len(means) <= MOST_MEANS else None, similarity=result.similarity
        )
    return figures


def save_time_matrix(
    matrix: TimeMatrix,
    prefix: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ("png",),
    overwrite: bool = False,
) -> list[Path]:
    """Write the similarity of model timesteps with neural time, its clusters and peaks, and a figure.

    ``*_time.nc`` holds everything; ``*_clusters.csv`` a row per cluster; ``*_peaks.csv`` a row per site. Files that are there are
    replaced if ``overwrite``.
    """
    check_formats(formats)
    before = check_time_matrix(prefix, overwrite=overwrite)
    written = [
        matrix.save(_path(prefix, "_time.nc"), overwrite=overwrite),
        _table(matrix.clusters(), _path(prefix, "_clusters.csv"), overwrite=overwrite),
        _table(matrix.peaks(), _path(prefix, "_peaks.csv"), overwrite=overwrite),
    ]
    if check_formats(formats):
        from .figures.time import plot_time_matrix

        figure = plot_time_matrix(matrix)
        about = _about(matrix.provenance["inputs"]["models"]["attrs"])
        written += _save({"_time_matrix": figure}, prefix, formats, about, overwrite=overwrite)
    remove_stale(before, written)
    return written


def heat_maps(models: xr.DataArray, brain: xr.DataArray) -> xr.DataArray:
    """RDMs worth a picture: the brain's mean per roi (and time), then each site at its last timestep.

    The brain's come first, all in the models' order of stimuli.
    """
    from ..neural import align_rdms, make_rdms, rdm_stimulus_ids

    models, brain = align_rdms(models, _brain_means(brain), on_mismatch="intersect")
    if {"area", "stream", "timestep"} <= set(models.coords):
        site = [f"{a}/{s}" for a, s in zip(models["area"].values, models["stream"].values, strict=True)]
        last = {s: i for i, s in sorted(enumerate(site), key=lambda item: int(models["timestep"].values[item[0]]))}
        rows = [last[s] for s in dict.fromkeys(site)]
    else:
        rows = list(range(min(len(models), 12)))
    names = [str(models["name"].values[i]) if "name" in models.coords else f"model {i}" for i in rows]
    chosen = brain.values[:MOST_MEANS]
    labels = [" ".join(["brain", *([str(roi)] if roi else [])]) for roi in _rois(brain)[:MOST_MEANS]]
    return make_rdms(
        np.concatenate([chosen, models.values[rows]]),
        rdm_stimulus_ids(models),
        metric=str(models.attrs.get("metric", "")),
        name=labels + [_spelled_out(n) for n in names],
    )


def _spelled_out(name: str) -> str:
    """``V4/td@3`` as figures name it."""
    site, at, step = name.partition("@")
    return f"{site_title(site)}, timestep {step}" if at and "/" in site else name


def _rois(brain: xr.DataArray) -> list[str]:
    return [str(r) for r in brain["roi"].values] if "roi" in brain.coords else [""] * len(brain)


def _brain_means(brain: xr.DataArray) -> xr.DataArray:
    """Mean over everything but roi and time."""
    others = [str(c) for c in brain.coords if brain[c].dims == ("rdm",) and c not in ("roi", "time")]
    return average_rdms(brain, others) if others else average_rdms(brain, "session")


def _target_name(result: RsaResult, target: int) -> str:
    parts = [str(result.dataset[key].values[target]) for key in ("roi", "time") if key in result.dataset.coords]
    safe = "_".join(parts) or str(target)
    return "_" + "".join(c if c.isalnum() or c in "-._" else "-" for c in safe)


def check_formats(formats: Sequence[str]) -> bool:
    """Whether there are to be figures; SpecError for a format that no figure has."""
    for name in formats:
        if name not in FIGURE_FORMATS:
            raise unknown("figure format", name, FIGURE_FORMATS)
    return bool(formats)


def _about(attributes: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("model", "weights", "weights_sha256", "spec_sha256", "store", "metric")
    return {**{key: attributes[key] for key in keys if key in attributes}, "versions": versions()}


def _save(
    figures: Mapping[str, Any], prefix: str | os.PathLike[str], formats: Sequence[str], about: Mapping[str, Any], *,
    overwrite: bool,
) -> list[Path]:  # fmt: skip
    from ..figures import save_figure

    return [
        save_figure(figure, _path(prefix, f"{end}.{form}"), about=about, overwrite=overwrite)
        for end, figure in figures.items()
        for form in formats
    ]


def _table(frame: pd.DataFrame, path: Path, *, overwrite: bool) -> Path:
    with whole_file(path, overwrite=overwrite) as part:
        frame.to_csv(part, index=False)
    return path


def _path(prefix: str | os.PathLike[str], end: str) -> Path:
    base = Path(prefix)
    if not base.name:
        raise SpecError(f"a prefix is a folder and the beginning of a name, as in out/rsa; got {str(prefix)!r}")
    return base.with_name(base.name + end)
