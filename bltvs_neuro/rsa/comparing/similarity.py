"""Similarities of RDMs, and their comparison by stimulus id."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats as sps

from ...errors import DataError, SpecError, unknown
from ...neural.align import align_rdms
from ...neural.condensed import n_from_pairs
from ...neural.labelled import check_rdms
from ...schema import RDM
from .whitening import whiten

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
SimilarityName = Literal["cosine", "pearson", "spearman", "rho-a", "tau-a", "cosine_cov", "corr_cov"]


@dataclass(frozen=True)
class Similarity:
    """One row of the table of similarities."""

    label: str
    """For axes."""
    family: Literal["linear", "rank", "order"]
    """linear: inner products of values; rank: of ranks; order: of signs of differences."""
    centered: bool = False
    whitened: bool = False
    tie_corrected: bool = True
    """Whether a tied (categorical) model can reach 1. Models with ties are overrated then: use rho-a or tau-a."""
    rsatoolbox: str = ""
    """Name of the method there."""


SIMILARITIES: dict[str, Similarity] = {
    "cosine": Similarity("cosine similarity", "linear", rsatoolbox="cosine"),
    "pearson": Similarity("Pearson r", "linear", centered=True, rsatoolbox="corr"),
    "spearman": Similarity("Spearman ρ", "rank", centered=True, rsatoolbox="spearman"),
    "rho-a": Similarity("ρ-a", "rank", centered=True, tie_corrected=False, rsatoolbox="rho-a"),
    "tau-a": Similarity("Kendall τ-a", "order", tie_corrected=False, rsatoolbox="tau-a"),
    "cosine_cov": Similarity("whitened cosine", "linear", whitened=True, rsatoolbox="cosine_cov"),
    "corr_cov": Similarity("whitened correlation", "linear", centered=True, whitened=True, rsatoolbox="corr_cov"),
}
ALIASES = {"correlation": "pearson", "corr": "pearson", "rho_a": "rho-a", "tau_a": "tau-a"}


def similarity_name(name: str) -> str:
    """Return the table's name for ``name`` or one of its aliases; raises SpecError for any other."""
    name = ALIASES.get(name, name)
    if name not in SIMILARITIES:
        raise unknown("similarity", name, list(SIMILARITIES))
    return name


def compare(
    a: xr.DataArray,
    b: xr.DataArray,
    similarity: str = "pearson",
    *,
    sigma_k: Array | None = None,
    on_mismatch: Literal["raise", "intersect"] = "raise",
) -> xr.DataArray:
    """Compare each RDM of ``a`` with each RDM of ``b``, matched by stimulus id.

    Parameters
    ----------
    a, b : xarray.DataArray
        RDMs (rdm, pair). Their stimuli may be in any order. A pair of stimuli that is NaN in one of two RDMs is left
        out of the comparison of these two and of no other.
    similarity : str
        A name in :data:`SIMILARITIES`.
    sigma_k : array (n,) or (n, n), optional
        For the whitened similarities: covariance of the pattern estimates over the stimuli of ``a``, in its order.
    on_mismatch : {"raise", "intersect"}
        When the sets of stimuli differ.

    Returns
    -------
    xarray.DataArray
        (rdm_a, rdm_b), with the coordinates of the RDMs as ``<name>_a`` and ``<name>_b``. NaN where undefined: an RDM
        without variance (pearson, spearman, corr_cov) or of zeros (cosine, cosine_cov), or fewer than 2 common pairs.
        rho-a and tau-a of a constant RDM are 0, the mean over random orders of its ties.

    Raises
    ------
    SpecError
        Unknown similarity, or ``sigma_k`` for a similarity that takes none.
    DataError
        The stimuli differ.

    References
    ----------
    Nili et al. (2014), doi:10.1371/journal.pcbi.1003553 (tau-a); Schütt et al. (2023), doi:10.7554/eLife.82566 (rho-a);
    Diedrichsen et al. (2021), doi:10.51628/001c.27664 (whitened).
    """
    for rdms in (a, b):
        check_rdms(rdms, missing="keep")
    kind = similarity_name(similarity)
    if sigma_k is not None and on_mismatch == "intersect":
        raise SpecError("sigma_k belongs to one set of stimuli: select the common stimuli first")
    a, b = align_rdms(a, b, on_mismatch=on_mismatch, names=("the first RDMs", "the second RDMs"))
    values = compare_vectors(a.values, b.values, kind, sigma_k=sigma_k)
    coords: dict[str, Any] = {}
    for rdms, end in ((a, "a"), (b, "b")):
        for name, coord in rdms.coords.items():
            if coord.dims == (RDM,):
                coords[f"{name}_{end}"] = (f"rdm_{end}", coord.values)
    return xr.DataArray(values, dims=("rdm_a", "rdm_b"), coords=coords, name="similarity", attrs={"similarity": kind})


def compare_vectors(a: Array, b: Array, similarity: str, *, sigma_k: Array | None = None) -> Array:
    """Compare condensed RDMs, (n_a, pairs) with (n_b, pairs) in one order of pairs; see :func:`compare`.

    Returns
    -------
    array (n_a, n_b)
    """
    kind = SIMILARITIES[similarity_name(similarity)]
    if sigma_k is not None and not kind.whitened:
        raise SpecError(f"similarity {similarity!r} takes no sigma_k; cosine_cov and corr_cov do")
    a, b = (np.atleast_2d(np.asarray(v, dtype=np.float64)) for v in (a, b))
    if a.shape[1] != b.shape[1]:
        raise DataError(f"RDMs with {a.shape[1]} and {b.shape[1]} pairs cannot be compared")
    n_from_pairs(a.shape[1])
    out = np.full((len(a), len(b)), np.nan)
    # RDMs with NaN in the same places are compared at once.
    for rows_a, there_a in _groups(a):
        for rows_b, there_b in _groups(b):
            valid = there_a & there_b
            if valid.sum() >= 2:
                out[np.ix_(rows_a, rows_b)] = _compare_valid(a[rows_a], b[rows_b], kind, valid, sigma_k)
    return out


def _groups(vectors: Array) -> list[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    there = ~np.isnan(vectors)
    if there.all():
        return [(np.arange(len(vectors)), there[0])] if len(vectors) else []
    patterns, group = np.unique(there, axis=0, return_inverse=True)
    group = np.ravel(group)
    return [(np.flatnonzero(group == i), pattern) for i, pattern in enumerate(patterns)]


def _compare_valid(a: Array, b: Array, kind: Similarity, valid: NDArray[np.bool_], sigma_k: Array | None) -> Array:
    if kind.family == "order":
        return np.array([[_tau_a(x[valid], y[valid]) for y in b] for x in a])
    return embed(a, kind, valid, sigma_k) @ embed(b, kind, valid, sigma_k).T


def embed(vectors: Array, kind: Similarity, valid: NDArray[np.bool_], sigma_k: Array | None = None) -> Array:
    """Map RDMs so that plain inner products are their similarities (linear and rank families); NaN where undefined.

    Parameters
    ----------
    vectors : array (n_rdm, n_pairs)
    kind : Similarity
    valid : bool array (n_pairs,)
        Pairs to use.
    sigma_k : array, optional

    Returns
    -------
    array (n_rdm, k)
    """
    full = valid.all()
    x = vectors if full else vectors[:, valid]
    scale = np.abs(x).max(axis=1, initial=0.0)
    if kind.family == "rank":
        x = sps.rankdata(x, axis=1)
    if kind.centered:
        x = x - x.mean(axis=1, keepdims=True)
    if not kind.tie_corrected:
        n = x.shape[1]
        return np.asarray(x * np.sqrt(12.0 / (float(n) ** 3 - n)))
    undefined = np.abs(x).max(axis=1, initial=0.0) <= (4 * np.finfo(np.float64).eps * scale if kind.centered else 0.0)
    if kind.whitened:
        if not full:
            spread = np.zeros(vectors.shape)
            spread[:, valid] = x
            x = spread
        x = whiten(x, valid, sigma_k)
    norm = np.sqrt(np.einsum("ij,ij->i", x, x))
    norm[undefined | (norm <= 0)] = np.nan
    return np.asarray(x / norm[:, None])


def _tau_a(x: Array, y: Array) -> float:
    """Kendall's tau-a: concordant minus discordant, over all pairs of entries."""
    total = x.size * (x.size - 1) / 2
    free = [total - np.sum(t * (t - 1) / 2) for t in (np.unique(v, return_counts=True)[1] for v in (x, y))]
    if min(free) <= 0:
        return 0.0
    # tau-b differs only in the denominator; "asymptotic" keeps its p value, which is not used, cheap, but divides by size - 2
    tau_b = sps.kendalltau(x, y, method="asymptotic" if x.size > 2 else "exact").statistic
    return float(tau_b * np.sqrt(free[0] * free[1]) / total)
