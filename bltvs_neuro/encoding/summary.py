"""Scores of regions: means over neuroids with intervals over images, normalised by a ratio of means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DataError, unknown
from ..schema import AVERAGE, NEUROID, SPACE
from .scores.ceiling import LEAST_CEILING, normalised_mean
from .scores.images import EVERY, interval_over_images
from .scores.score import Score

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .result import EncodingResult


def summarise(result: EncodingResult, *, confidence: float = 0.95) -> pd.DataFrame:
    """Scores of all neuroids together and of each roi, with intervals over images.

    Parameters
    ----------
    result : EncodingResult
    confidence : float
        Of the intervals (:mod:`bltvs_neuro.encoding.scores.images`).

    Returns
    -------
    DataFrame
        A row for each roi (``all`` first) and feature space (and time): ``n_neuroids`` with scores and ``n_left_out`` without;
        mean ``r2``, ``r`` with intervals, and ``r2_median``. With a noise ceiling: its mean ``ceiling``, how many
        neuroids lie below the least that single scores are divided by (``n_low_ceiling``), and ``r2_normalised``: mean R2
        over the mean ceiling, of all neuroids, whose interval counts the uncertainty of an estimated ceiling. With p
        values: ``n_fdr`` and ``n_fwer``, neuroids at 0.05 after correction over all spaces and neuroids.
    """
    data = result.dataset
    labels = [k for k in ("area", "stream", "timestep", "name") if k in data.coords]
    out = []
    for roi, mine, at in _averages(data):
        part = data.isel({NEUROID: mine} | at)
        influence = {
            key: data[f"influence_{key}"].sel({AVERAGE: roi}).isel(at)
            for key in ("r", "r2", "ceiling")
            if f"influence_{key}" in data
        }
        for i in range(data.sizes[SPACE]):
            space = part.isel({SPACE: i})
            row: dict[str, Any] = {"roi": roi} | {key: space[key].values[()] for key in labels}
            row |= {"time": float(part["time"].values)} if at else {}
            out.append(row | _scores(space, {k: _values(v, i) for k, v in influence.items()}, data, confidence))
    return pd.DataFrame(out)


def difference_of(
    result: EncodingResult, first: str, second: str, *, other: EncodingResult | None = None, score: Score = "r2",
    confidence: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """How far one feature space is ahead of another, on the same images.

    Parameters
    ----------
    result : EncodingResult
    first, second : str
        Names of feature spaces, such as ``V4/td@3``.
    other : EncodingResult, optional
        The result that ``second`` is of, such as that of another model: of the same responses and folds.
    score : {"r2", "r"}
    confidence : float

    Returns
    -------
    DataFrame
        A row for each roi (``all`` first) (and time): ``difference`` of the mean scores, ``ci_low``, ``ci_high`` over images.

    Raises
    ------
    SpecError
        A space that does not exist.
    DataError
        The results are of other images, folds or neuroids.
    """
    one, two = result.dataset, (result if other is None else other).dataset
    for key in ("stimulus_id", "tested_in", "status", AVERAGE):
        if not np.array_equal(one[key].values, two[key].values):
            raise DataError(f"a difference is of one set of responses and folds; these results differ in {key}")
    a, b = _named(one, first), _named(two, second)
    out = []
    for roi, mine, at in _averages(one):
        apart = [d.isel({SPACE: i, NEUROID: mine} | at)[score].values for d, i in ((one, a), (two, b))]
        moved = [_values(d[f"influence_{score}"].sel({AVERAGE: roi}).isel(at), i) for d, i in ((one, a), (two, b))]
        found = np.nanmean(apart[0]) - np.nanmean(apart[1])
        low, high = _interval(found, moved[0] - moved[1], one, confidence)
        time = {"time": float(one["time"].values[at["time"]])} if at else {}
        out.append({"roi": roi} | time | {"difference": found, "ci_low": low, "ci_high": high})
    return pd.DataFrame(out)


def _averages(data: xr.Dataset) -> Iterator[tuple[str, np.ndarray, dict[str, int]]]:
    """Every average of a result: its name, its neuroids, and where it is in time."""
    times: list[dict[str, int]] = [{"time": k} for k in range(data.sizes["time"])] if "time" in data.dims else [{}]
    for roi in data[AVERAGE].values.astype(str):
        mine = np.full(data.sizes[NEUROID], True) if roi == EVERY else data["roi"].values.astype(str) == roi
        for at in times:
            scored = data["n_folds"].isel(at).values[mine] > 0
            if scored.any():
                yield roi, np.flatnonzero(mine), at


def _scores(space: xr.Dataset, influence: dict[str, np.ndarray], data: xr.Dataset, confidence: float) -> dict[str, Any]:
    """One row of a summary."""
    r2 = space["r2"].values
    scored = np.isfinite(r2)
    out: dict[str, Any] = {"n_neuroids": int(scored.sum()), "n_left_out": int((~scored).sum())}
    for key in ("r2", "r"):
        mean = float(space[key].values[scored].mean())
        low, high = _interval(mean, influence[key], data, confidence)
        out |= {key: mean, f"{key}_ci_low": low, f"{key}_ci_high": high}
    out["r2_median"] = float(np.median(r2[scored]))
    if "ceiling" in space:
        limits = space["ceiling"].values
        both = scored & np.isfinite(limits)
        mean = float(limits[both].mean()) if both.any() else np.nan
        ratio = normalised_mean(r2, limits)
        moved = (influence["r2"] - ratio * influence.get("ceiling", np.zeros(1))) / mean
        low, high = _interval(ratio, moved, data, confidence)
        out |= {"ceiling": mean, "n_low_ceiling": int((~(limits[scored] >= LEAST_CEILING)).sum())}
        out |= {"r2_normalised": ratio, "r2_normalised_ci_low": low, "r2_normalised_ci_high": high}
    for key, name in (("q_value", "n_fdr"), ("p_fwer", "n_fwer")):
        if key in space:
            out[name] = int((space[key].values <= 0.05).sum())
    return out


def _interval(score: float, influence: np.ndarray, data: xr.Dataset, confidence: float) -> tuple[float, float]:
    low, high = interval_over_images(
        np.asarray(score), influence, data["group"].values, data["tested_in"].values, confidence=confidence
    )
    return float(low), float(high)


def _values(influence: xr.DataArray, space: int) -> np.ndarray:
    return (influence.isel({SPACE: space}) if SPACE in influence.dims else influence).values.astype(np.float64)


def _named(data: xr.Dataset, name: str) -> int:
    names = data["name"].values.astype(str).tolist()
    if name not in names:
        raise unknown("feature space", name, names)
    return int(names.index(name))
