"""Noise ceilings and reliability: how well a model could do, given that subjects and sessions differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats as sps

from ...errors import DataError, SpecError
from ...neural.align import rdm_stimulus_ids
from ...neural.labelled import check_rdms, make_rdms
from ...schema import RDM
from ..comparing.similarity import SIMILARITIES, Similarity, compare_vectors, similarity_name

Array = NDArray[np.float64]


class NoiseCeiling(NamedTuple):
    """Bounds on the score of the best possible model."""

    lower: float
    """Mean similarity of each subject with the pool of the others."""
    upper: float
    """Mean similarity of each subject with the pool of all, or the lower bound where that is higher."""
    lower_per_subject: Array
    upper_per_subject: Array
    subjects: tuple[str, ...]


def noise_ceiling(rdms: xr.DataArray, similarity: str = "pearson", *, by: str = "subject") -> NoiseCeiling:
    """Estimate the noise ceiling by leaving subjects out.

    Parameters
    ----------
    rdms : xarray.DataArray
        RDMs (rdm, pair) of several subjects. Several RDMs of one subject (sessions) leave together; average them first
        with :func:`average_rdms` for a ceiling on subjects' mean RDMs.
    similarity : str
    by : str
        Coordinate that names the subjects. Without it each RDM is a subject.

    Returns
    -------
    NoiseCeiling
        For one subject both bounds are NaN: a subject says nothing about others.

    Notes
    -----
    RDMs are brought to one scale before pooling (unit norm, unit variance, or ranks, as the similarity asks), which
    makes the pool the best predictor of their mean score for cosine, pearson and spearman, and nearly so for the
    others. tau-a pools ranks, so that its upper bound is not a strict one.

    References
    ----------
    Nili et al. (2014), doi:10.1371/journal.pcbi.1003553.
    """
    check_rdms(rdms, missing="keep")
    kind = similarity_name(similarity)
    labels = [str(s) for s in rdms[by].values] if by in rdms.coords else [str(i) for i in range(len(rdms))]
    subjects = tuple(dict.fromkeys(labels))
    member = np.array([subjects.index(s) for s in labels])
    return ceiling_of_vectors(rdms.values, kind, member, subjects)


def ceiling_of_vectors(
    vectors: Array, similarity: str, member: NDArray[np.int64], subjects: tuple[str, ...]
) -> NoiseCeiling:
    """Noise ceiling of condensed RDMs; ``member`` says whose each RDM is."""
    kind = SIMILARITIES[similarity]
    bounds = np.full((2, len(subjects)), np.nan)
    if len(subjects) > 1:
        ready = scale_for_pooling(vectors, kind)
        everyone = nan_mean(ready)
        for s in range(len(subjects)):
            own = vectors[member == s]
            pools = np.stack([nan_mean(ready[member != s]), everyone])
            bounds[:, s] = compare_vectors(pools, own, similarity).mean(axis=1)
    lower, upper = bounds.mean(axis=1)
    # the pool of all is the best there is for most similarities only; where that of the others is better, it is the bound
    return NoiseCeiling(float(lower), float(np.fmax(lower, upper)), bounds[0], bounds[1], subjects)


def scale_for_pooling(vectors: Array, kind: Similarity) -> Array:
    """Bring RDMs to the scale on which their mean is taken; NaN stays."""
    if kind.family != "linear":
        return np.asarray(sps.rankdata(vectors, axis=1, nan_policy="omit"), dtype=np.float64)
    if kind.centered:
        vectors = vectors - np.nanmean(vectors, axis=1, keepdims=True)
    norm = np.sqrt(np.nanmean(vectors**2, axis=1, keepdims=True))
    return np.asarray(vectors / np.where(norm > 0, norm, np.nan))


def nan_mean(vectors: Array) -> Array:
    """Mean over RDMs of what is there; NaN where nothing is."""
    there = ~np.isnan(vectors)
    count = there.sum(axis=0)
    total = np.where(there, vectors, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def average_rdms(rdms: xr.DataArray, over: str | Sequence[str] = "session") -> xr.DataArray:
    """Average RDMs that differ only in the coordinates ``over``; a missing pair is averaged over the RDMs that have it.

    Parameters
    ----------
    rdms : xarray.DataArray
        RDMs (rdm, pair).
    over : str or sequence of str
        Coordinates to average over, for example ``"session"`` or ``("session", "subject")``.

    Returns
    -------
    xarray.DataArray
        One RDM per combination of the remaining coordinates, in order of first appearance.
    """
    check_rdms(rdms, missing="keep")
    names = {over} if isinstance(over, str) else set(over)
    keep = [str(c) for c in rdms.coords if rdms[c].dims == (RDM,) and c not in names]
    keys = list(zip(*(rdms[c].values.tolist() for c in keep), strict=True)) if keep else [()] * len(rdms)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    values = np.stack([nan_mean(rdms.values[rows]) for rows in groups.values()])
    coords = {name: [key[i] for key in groups] for i, name in enumerate(keep)}
    attrs = {k: v for k, v in rdms.attrs.items() if k != "metric"}
    return make_rdms(values, rdm_stimulus_ids(rdms), metric=str(rdms.attrs.get("metric", "")), attrs=attrs, **coords)


def session_reliability(
    rdms: xr.DataArray, similarity: str = "pearson", *, unit: str = "session", by: str = "subject"
) -> xr.DataArray:
    """Similarity of a subject's sessions with each other: mean over all pairs of its sessions.

    Parameters
    ----------
    rdms : xarray.DataArray
        RDMs with the coordinates ``unit`` and ``by``.
    similarity : str
    unit : str
        What is repeated: ``"session"``, ``"run"`` or ``"half"``.
    by : str
        Within what: ``"subject"``.

    Returns
    -------
    xarray.DataArray
        (subject,); the attribute ``mean`` holds the mean over subjects. It is the reliability of one session's RDM.

    Raises
    ------
    DataError
        A subject has one session only, or a coordinate is missing.
    """
    check_rdms(rdms, missing="keep")
    kind = similarity_name(similarity)
    for name in (unit, by):
        if name not in rdms.coords:
            raise DataError(f"reliability needs the coordinate {name!r} on the RDMs; they have {list(rdms.coords)}")
    labels = [str(s) for s in rdms[by].values]
    out: dict[str, float] = {}
    for s in dict.fromkeys(labels):
        own = rdms.values[[i for i, label in enumerate(labels) if label == s]]
        if len(own) < 2:
            raise DataError(f"{by} {s} has one {unit} only; reliability needs two")
        out[s] = float(compare_vectors(own, own, kind)[np.triu_indices(len(own), 1)].mean())
    mean = float(np.mean(list(out.values())))
    return xr.DataArray(
        list(out.values()),
        dims=(by,),
        coords={by: list(out)},
        name="reliability",
        attrs={"similarity": kind, "mean": mean},
    )


def spearman_brown(reliability: float | Array, factor: float) -> Array:
    """Reliability of a mean of ``factor`` times as many measurements.

    Raises
    ------
    SpecError
        ``factor`` is not positive.
    """
    if factor <= 0:
        raise SpecError(f"the factor of measurements is positive; got {factor}")
    r = np.asarray(reliability, dtype=np.float64)
    return factor * r / (1 + (factor - 1) * r)
