"""RDMs of a store or a brain and their two-dimensional arrangements, small enough for a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import squareform

from ..errors import SpecError, counted
from ..figures import milliseconds
from ..neural.align import rdm_stimulus_ids
from ..neural.condensed import condensed_to_square
from ..rsa import average_rdms, compute_rdms
from ..schema import RDM, STIMULUS
from ..store import Store


def chosen_rows(n: int, most: int) -> np.ndarray:
    """At most ``most`` of ``n`` positions, evenly spread."""
    if most < 3:
        raise SpecError(f"a report needs at least 3 stimuli; got {most}")
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(int))


def store_rdms(store: Store, metric: Any, rows: np.ndarray) -> xr.DataArray:
    """RDMs (rdm, pair) of every site and timestep, over some of the stimuli."""
    return compute_rdms({site: store[site].isel({STIMULUS: rows}) for site in store.sites}, metric=metric)


def arrangement(dissimilarities: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Classical scaling to two dimensions, turned to match ``like``.

    Parameters
    ----------
    dissimilarities : array of shape (n_pairs,)
        NaN counts as the largest.
    like : array of shape (n, 2), optional
        An earlier arrangement of the same stimuli: rotation and reflection are chosen to be close to it.

    Returns
    -------
    array of shape (n, 2), with root mean square 1

    References
    ----------
    Torgerson (1952), doi:10.1007/BF02288916.
    """
    filled = np.where(np.isnan(dissimilarities), np.nanmax(dissimilarities, initial=0.0), dissimilarities)
    square = squareform(filled, checks=False) ** 2
    n = len(square)
    centring = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(-centring @ square @ centring / 2)
    points = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0))
    size = np.sqrt((points**2).sum(axis=1).mean())
    points = points / size if size > 0 else points
    if like is not None:
        turn, _ = orthogonal_procrustes(points, like)
        points = points @ turn
    return np.asarray(points)


def packed(values: np.ndarray) -> str:
    """Little-endian float32 as base64 text."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


@dataclass(frozen=True)
class Shown:
    """RDMs of one file on the page: stimuli, and what is at each site (or roi and subject) and step."""

    ids: list[str]
    total: int
    metric: str
    unit: str
    """Of the steps: ``timestep`` of a model, ``ms`` of a brain."""
    sites: dict[str, dict[str, Any]]
    """Site, ``area/stream`` or ``roi/subject`` -> timesteps, packed RDMs (n_pairs,) and arrangements (n, 2) of each."""
    rows: np.ndarray
    """Positions of the stimuli in the file."""


def of_store(store: Store, metric: Any, most: int, categories: Sequence[str] | None) -> Shown:
    """RDMs of a store's sites at all timesteps; stimuli of one category beside each other."""
    rows = together(chosen_rows(len(store.stimulus_ids), most), categories)
    rdms = store_rdms(store, metric, rows)
    keys = [f"{a}/{s}" for a, s in zip(rdms["area"].values, rdms["stream"].values, strict=True)]
    ids = [str(i) for i in store.stimulus_ids[rows]]
    sites = geometry(rdms.values, keys, rdms["timestep"].values.tolist())
    return Shown(ids, len(store.stimulus_ids), str(metric), "timestep", sites, rows)


def of_rdms(rdms: xr.DataArray, most: int) -> Shown:
    """RDMs of a file: of a model by site and timestep; of a brain the mean over subjects, by roi and time."""
    every = rdm_stimulus_ids(rdms)
    rows = chosen_rows(len(every), most)
    if {"area", "stream", "timestep"} <= set(rdms.coords):
        keys = [f"{a}/{s}" for a, s in zip(rdms["area"].values, rdms["stream"].values, strict=True)]
        steps, unit = rdms["timestep"].values.tolist(), "timestep"
    else:
        others = [str(c) for c in rdms.coords if rdms[c].dims == (RDM,) and c not in ("roi", "time", "name")]
        subjects = len(set(rdms["subject"].values.tolist())) if "subject" in rdms.coords else 0
        if others:
            rdms = average_rdms(rdms.drop_vars("name", errors="ignore"), others)
        names = rdms["roi"].values if "roi" in rdms.coords else rdms["name"].values if "name" in rdms.coords else ()
        told = f"mean of {counted(subjects, 'subject')}" if subjects > 1 else "brain"
        keys = [f"{str(name).replace('/', '-')}/{told}" for name in names] or [f"brain/{told}"] * len(rdms)
        unit = "ms" if "time" in rdms.coords else ""
        steps = milliseconds(rdms["time"].values).tolist() if unit else [0] * len(rdms)
    squares = condensed_to_square(rdms.values)[:, rows][:, :, rows]
    sites = geometry(np.array([squareform(square, checks=False) for square in squares]), keys, steps)
    ids = [every[i] for i in rows]
    return Shown(ids, len(every), str(rdms.attrs.get("metric", "")), unit, sites, rows)


def together(rows: np.ndarray, categories: Sequence[str] | None) -> np.ndarray:
    """Rows of one category beside each other, categories in the order of their first stimulus."""
    if categories is None:
        return rows
    order = {name: i for i, name in enumerate(dict.fromkeys(categories))}
    return rows[np.argsort([order[categories[row]] for row in rows], kind="stable")]


def geometry(rdms: np.ndarray, keys: Sequence[str], steps: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """RDMs (rdm, pair) and their arrangements, packed, by key; a key's arrangements turn as little as can be."""
    found: dict[str, dict[str, Any]] = {}
    before: dict[str, np.ndarray] = {}
    for key, step, values in zip(keys, steps, np.asarray(rdms, np.float64), strict=True):
        entry = found.setdefault(key, {"timesteps": [], "rdm": [], "mds": []})
        before[key] = arrangement(values, before.get(key))
        entry["timesteps"].append(step)
        entry["rdm"].append(packed(values))
        entry["mds"].append(packed(before[key]))
    return found
