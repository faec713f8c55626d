"""RDMs of a store and their two-dimensional arrangements, small enough for a page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import xarray as xr
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import squareform

from ..errors import SpecError
from ..rsa import compute_rdms
from ..schema import STIMULUS
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


def geometry(store: Store, metric: Any, rows: np.ndarray) -> dict[str, dict[str, Any]]:
    """Site -> timesteps, packed RDMs (n_pairs,) and arrangements (n, 2) of each timestep."""
    rdms = store_rdms(store, metric, rows)
    found: dict[str, dict[str, Any]] = {}
    before: dict[str, np.ndarray] = {}
    for row in range(len(rdms)):
        one = rdms[row]
        site = f"{one['area'].item()}/{one['stream'].item()}"
        entry = found.setdefault(site, {"timesteps": [], "rdm": [], "mds": []})
        values = np.asarray(one.values, np.float64)
        before[site] = arrangement(values, before.get(site))
        entry["timesteps"].append(int(one["timestep"].item()))
        entry["rdm"].append(packed(values))
        entry["mds"].append(packed(before[site]))
    return found
