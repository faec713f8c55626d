"""What a comparison leaves behind: tables, files with provenance and figures, under one prefix."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import SpecError, unknown
from ..neural import to_netcdf
from .ceiling import average_rdms
from .convert import as_rdms
from .provenance import versions
from .result import RsaResult
from .time import TimeMatrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..stats import ClusterTest

log = logging.getLogger(__name__)

FIGURE_FORMATS = ("png", "pdf", "svg")


def save_comparison(
    result: RsaResult,
    models: xr.DataArray,
    brain: xr.DataArray,
    prefix: str | os.PathLike[str],
    *,
    categories: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",),
    ceiling: bool = True,
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

    Returns
    -------
    list of Path
        What was written.
    """
    models, brain = as_rdms(models), as_rdms(brain)
    written = [result.to_netcdf(_path(prefix, ".nc")), result.to_csv(_path(prefix, ".csv"))]
    pairs = _path(prefix, "_pairs.csv")
    result.pairs_frame().to_csv(pairs, index=False)
    written.append(pairs)
    written.append(Path(to_netcdf(models, _path(prefix, "_rdms.nc"))))
    if not check_formats(formats):
        return written
    from .plot_rdm import plot_rdms, plot_trajectories

    timed = {"area", "stream", "timestep"} <= set(result.data.coords)
    targets = result.data.sizes["target"]
    figures: dict[str, Figure] = {}
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
        # without the brain, which lies far from all of them and would leave their dynamics no room
        figures["_trajectories"] = plot_trajectories(models, similarity=result.similarity)
    return written + _save(figures, prefix, formats, _about(models.attrs))


def save_time_matrix(
    matrix: TimeMatrix,
    tests: Mapping[str, ClusterTest],
    peaks: pd.DataFrame,
    prefix: str | os.PathLike[str],
    *,
    provenance: Mapping[str, Any],
    formats: Sequence[str] = ("png",),
) -> list[Path]:
    """Write the similarity of model timesteps with neural time, its clusters and peaks, and a figure.

    ``*_time.nc`` holds the values per subject, t values, cluster labels and p values; ``*_clusters.csv`` a row per cluster;
    ``*_peaks.csv`` a row per site.
    """
    rows, t_map = [], np.full(matrix.mean.shape, np.nan)
    p_map = np.full(matrix.mean.shape, np.nan)
    sites = [str(s) for s in matrix.values["site"].values]
    steps, times = matrix.values["timestep"].values, matrix.values["time"].values
    for i, site in enumerate(sites):
        if site not in tests:
            continue
        test, active = tests[site], matrix.site(site)["timestep"].values
        where = np.searchsorted(steps, active)
        t_map[i, where], p_map[i, where] = test.statistic, 1.0
        for c, (mass, p) in enumerate(zip(test.mass, test.p_values, strict=True), 1):
            row, column = np.nonzero(test.labels == c)
            p_map[i, where[row], column] = p
            rows.append(
                (
                    site,
                    c,
                    len(row),
                    mass,
                    p,
                    active[row.min()],
                    active[row.max()],
                    times[column.min()],
                    times[column.max()],
                )
            )
    clusters = pd.DataFrame(
        rows, columns=["site", "cluster", "points", "mass", "p", "timestep_from", "timestep_to", "time_from", "time_to"]
    )
    data = xr.Dataset(
        {
            "similarity": matrix.values.reset_coords(drop=True),
            "ceiling": matrix.ceiling,
            "t": (("site", "timestep", "time"), t_map),
            "p_cluster": (("site", "timestep", "time"), p_map),
        },
        attrs={"provenance": json.dumps({**provenance, "versions": versions()}, default=str)},
    )
    for name in list(data.variables):
        if data[name].dtype.kind in "OUT":
            data[name] = data[name].astype(str)
    file, of_clusters, of_peaks = (_path(prefix, end) for end in ("_time.nc", "_clusters.csv", "_peaks.csv"))
    data.to_netcdf(file, engine="h5netcdf")
    clusters.to_csv(of_clusters, index=False)
    peaks.drop(columns="samples").to_csv(of_peaks, index=False)
    written = [file, of_clusters, of_peaks]
    if check_formats(formats):
        from .plot_time import plot_time_matrix

        figure = plot_time_matrix(matrix, clusters=tests, peaks=peaks)
        written += _save({"_time_matrix": figure}, prefix, formats, _about(provenance["inputs"]["models"]["attrs"]))
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
    most = 4
    chosen = brain.values[:most]
    labels = [" ".join(["brain", *([str(roi)] if roi else [])]) for roi in _rois(brain)[:most]]
    return make_rdms(
        np.concatenate([chosen, models.values[rows]]),
        rdm_stimulus_ids(models),
        metric=str(models.attrs.get("metric", "")),
        name=labels + [n.replace("@t", ", timestep ") for n in names],
    )


def _rois(brain: xr.DataArray) -> list[str]:
    return [str(r) for r in brain["roi"].values] if "roi" in brain.coords else [""] * len(brain)


def _brain_means(brain: xr.DataArray) -> xr.DataArray:
    """Mean over everything but roi and time."""
    others = [str(c) for c in brain.coords if brain[c].dims == ("rdm",) and c not in ("roi", "time")]
    return average_rdms(brain, others) if others else average_rdms(brain, "session")


def _target_name(result: RsaResult, target: int) -> str:
    parts = [str(result.data[key].values[target]) for key in ("roi", "time") if key in result.data.coords]
    safe = "_".join(parts) or str(target)
    return "_" + "".join(c if c.isalnum() or c in "-._" else "-" for c in safe)


def check_formats(formats: Sequence[str]) -> bool:
    """Whether there are figures to write; SpecError for a format that does not exist."""
    for name in formats:
        if name not in FIGURE_FORMATS:
            raise unknown("figure format", name, FIGURE_FORMATS)
    return bool(formats)


def _about(attributes: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("model", "weights", "weights_sha256", "spec_sha256", "store", "metric")
    return {**{key: attributes[key] for key in keys if key in attributes}, "versions": versions()}


def _save(
    figures: Mapping[str, Figure], prefix: str | os.PathLike[str], formats: Sequence[str], about: Mapping[str, Any]
) -> list[Path]:
    from .style import save_figure

    return [
        save_figure(figure, _path(prefix, f"{end}.{form}"), about=about)
        for end, figure in figures.items()
        for form in formats
    ]


def _path(prefix: str | os.PathLike[str], end: str) -> Path:
    base = Path(prefix)
    if not base.name:
        raise SpecError(f"a prefix is a folder and the beginning of a name, as in out/rsa; got {str(prefix)!r}")
    base.parent.mkdir(parents=True, exist_ok=True)
    return base.with_name(base.name + end)
