"""RDMs of every site and timestep of a store, of one array, or of responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ...cluster import map_tasks
from ...devices import pick_float64_device
from ...errors import DataError, SpecError, argument, counted, listed, unknown
from ...features.select import Select, Selection
from ...features.stores import origin_of, store_of
from ...features.tiles import Features
from ...neural.labelled import check_one_subject, make_rdms
from ...options import Run
from ...schema import NEUROID, PRESENTATION, STIMULUS_ID
from .jobs import Combine, Job, jobs_of_response, jobs_of_store
from .metrics import METRICS, MetricName, Request, check_precision
from .presentations import Folds

log = logging.getLogger(__name__)

Activations = Mapping[str, xr.DataArray] | xr.DataArray | NDArray[Any]


def compute_rdms(
    activations: Activations,
    *,
    metric: MetricName = "correlation",
    stimulus_ids: Sequence[str] | None = None,
    sites: Selection = "all",
    combine: Combine | None = None,
    by: Sequence[str] = (),
    folds: str | Sequence[Any] | None = None,
    noise_precision: ArrayLike | Mapping[str, ArrayLike] | None = None,
    run: Run = Run(),
) -> xr.DataArray:
    """Compute RDMs, reading features in tiles so that sites of any size fit.

    Parameters
    ----------
    activations : path or store, mapping of DataArrays, DataArray, or array
        A store or its path, or a mapping ``"V4/td" -> (stimulus, timestep, *units)``; one such DataArray; responses
        (presentation, neuroid[, time]); or an array (stimulus, feature) with ``stimulus_ids``. Presentations of one
        stimulus are averaged unless the metric is cross-validated.
    metric : str
        A name in :data:`~bltvs_neuro.rsa.METRICS`; its formula and normalisation stand there.
    stimulus_ids : sequence of str, optional
        Ids of the rows of a plain array; repeats are presentations.
    sites : str, iterable of str or Select
        Of a store (:mod:`bltvs_neuro.features.select`). Sites and timesteps that are constant over stimuli are left out
        and logged; one asked for by name raises.
    combine : {None, "mean_timesteps", "concat_streams"}
        One RDM per site and timestep; per site, from activations averaged over its active timesteps; or per area and
        timestep, from the features of both streams side by side (steps at which both are active).
    by : sequence of str
        Responses only: neuroid coordinates (``("subject", "roi")``); one RDM per combination of their values.
    folds : str or sequence, optional
        Cross-validated metrics: the presentation coordinate that names the folds, or one label per row.
    noise_precision : array (features,) or (features, features), or mapping site -> array, optional
        For ``mahalanobis`` and ``crossnobis``; see :func:`bltvs_neuro.stats.noise_precision`.
    run : Run
        Device (kernels are summed in float64 on any), memory (an eighth of it for one tile of features; the RDM itself,
        8 bytes times stimuli squared, comes on top), cluster (whose workers compute a site and timestep each).

    Returns
    -------
    xarray.DataArray
        (rdm, pair), float64, with ``area``, ``stream``, ``timestep`` (or what ``by`` names, and ``time``) and ``name``. Of a
        store, the attributes name it, its model and weights.
        Pairs of a stimulus whose pattern has no variance (correlation) or no length (cosine) are NaN, which is logged.

    Raises
    ------
    SpecError
        Unknown metric, site or timestep; a cross-validated metric without folds; a precision of the wrong shape.
    DataError
        Values that are not finite, nothing to compute, or a site asked for by name that is constant over stimuli.

    References
    ----------
    Walther et al. (2016), doi:10.1016/j.neuroimage.2015.12.012 (crossnobis); Schütt et al. (2023),
    doi:10.7554/eLife.82566 (poisson).

    Examples
    --------
    >>> x = np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [0.0, 2.0, 4.0]])
    >>> compute_rdms(x, stimulus_ids=["a", "b", "c"]).values.round(6).tolist()
    [[2.0, 0.0, 2.0]]
    """
    if metric not in METRICS:
        raise unknown("metric", metric, list(METRICS))
    activations = store_of(activations)
    jobs = _jobs(activations, stimulus_ids, sites, combine, by)
    if METRICS[metric].crossvalidated == "yes" and folds is None:
        raise SpecError(
            f"metric {metric!r} is cross-validated: pass {argument('folds')}, the name of a presentation coordinate "
            "('run', 'session', 'repetition') or one label per row"
        )
    if METRICS[metric].crossvalidated == "no" and folds is not None:
        crossed = listed(name for name, one in METRICS.items() if one.crossvalidated != "no")
        raise SpecError(f"{argument('folds')} is for cross-validated metrics ({crossed}); {metric!r} is none")
    if run.cluster is None:
        pick_float64_device(run.device)  # refused before anything is computed
    tasks, ids = [], None
    for job in jobs:
        grouping = Folds(job.stimulus_ids, None if folds is None else _fold_labels(job, folds))
        if len(grouping.stimulus_ids) < 2:
            raise DataError(f"{job.name}: an RDM needs at least 2 stimuli")
        if ids is None:
            ids = grouping.stimulus_ids
        elif ids != grouping.stimulus_ids:
            raise DataError(f"{job.name} has other stimuli, or another order, than {jobs[0].name}")
        precision = noise_precision.get(job.site) if isinstance(noise_precision, Mapping) else noise_precision
        n_features = Features(job.parts, job.name).n_features
        tasks.append(_Task(job, grouping, check_precision(cast(Any, precision), metric, n_features)))
    with run.limited():
        rows = map_tasks(_rdm, tasks, shared=(metric, run.device, run.bytes // 8), cluster=run.cluster)
    assert ids is not None
    names = {key for job in jobs for key in job.coords}
    coords = {key: _column([job.coords.get(key) for job in jobs]) for key in sorted(names)}
    attrs = {"combine": combine or "none", "n_features": [Features(j.parts, j.name).n_features for j in jobs]}
    attrs |= _origin(activations)
    return make_rdms(np.stack(rows), ids, metric=metric, attrs=attrs, name=[job.name for job in jobs], **coords)


def _origin(activations: Any) -> dict[str, Any]:
    """Name of a store and what it says of its model, for the provenance of what is made from the RDMs."""
    about = origin_of(activations)
    names = {"store": "path"} | {key: key for key in ("model", "weights", "weights_sha256", "spec_sha256")}
    return {name: about[key] for name, key in names.items() if about.get(key) is not None}


@dataclass(frozen=True)
class _Task:
    """One RDM to compute."""

    job: Job
    grouping: Folds
    precision: Any


def _rdm(task: _Task, metric: MetricName, device: str, memory: int) -> NDArray[np.float64]:
    """Dissimilarities of all pairs, (n_pairs,)."""
    features, where = Features(task.job.parts, task.job.name), str(pick_float64_device(device))
    square = METRICS[metric].compute(Request(features, task.grouping, task.precision, where, memory))
    return _condensed(square, task.grouping.stimulus_ids, task.job.name)


def _jobs(
    activations: Activations,
    stimulus_ids: Sequence[str] | None,
    sites: Selection,
    combine: Combine | None,
    by: Sequence[str],
) -> list[Job]:
    if isinstance(activations, np.ndarray):
        if stimulus_ids is None:
            raise SpecError(f"an array has no stimulus ids: pass {argument('stimulus_ids')}, one per row")
        if activations.ndim < 2 or len(activations) != len(stimulus_ids):
            raise SpecError(
                f"{counted(len(stimulus_ids), 'stimulus ids', 'do')} not fit an array of shape {activations.shape}"
            )
        flat = activations.reshape(len(activations), -1)
        array = xr.DataArray(
            flat, dims=(PRESENTATION, NEUROID), coords={STIMULUS_ID: (PRESENTATION, list(stimulus_ids))}
        )
        return jobs_of_response(array, ())
    if stimulus_ids is not None:
        raise SpecError("labelled activations bring their own stimulus ids; leave stimulus_ids out")
    if isinstance(activations, xr.DataArray):
        if PRESENTATION in activations.dims:
            check_one_subject(activations)
            return jobs_of_response(activations, by)
        name = str(activations.name or "activations")
        return jobs_of_store({name: activations}, Select("all", timesteps=Select.read(sites).timesteps), combine)
    if by:
        raise SpecError(f"{argument('by')} groups the neuroids of responses; a store has sites")
    return jobs_of_store(activations, sites, combine)


def _fold_labels(job: Job, folds: str | Sequence[Any] | None) -> Sequence[Any]:
    if not isinstance(folds, str):
        return folds if folds is not None else []
    coords = job.parts[0].coords
    if folds not in coords or coords[folds].dims != job.parts[0].dims[:1]:
        here = [str(c) for c in coords if coords[c].dims == job.parts[0].dims[:1]]
        raise unknown("fold coordinate", folds, here)
    return list(coords[folds].values)


def _condensed(square: NDArray[np.float64], ids: tuple[str, ...], name: str) -> NDArray[np.float64]:
    values = square[np.triu_indices(len(square), 1)]
    undefined = np.isnan(np.diag(square))
    if undefined.any():
        which = [ids[i] for i in np.flatnonzero(undefined)]
        log.warning(
            "%s: %d patterns without variance have undefined (NaN) dissimilarities: %s", name, len(which), listed(which)
        )
    return np.asarray(values)


def _column(values: list[Any]) -> list[Any]:
    return ["" if v is None else v for v in values] if any(isinstance(v, str) for v in values) else values
