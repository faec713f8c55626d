"""Scores over subjects: random effects per region, or per voxel where subjects share a space."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats as sps

from ..errors import DataError, SpecError, argument, listed, unknown
from ..results import Result
from ..schema import NEUROID, SPACE
from ..stats import adjust_p_values, sign_flip_test, t_interval
from .result import EncodingResult
from .scores.ceiling import normalised_mean
from .scores.images import EVERY

SUBJECT, PLACE = "subject", "place"
SCORES = ("r", "r2", "r2_normalised")


class SubjectsResult(Result):
    """Scores over subjects.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``scores`` (subject, space, place), and over space and place what :func:`random_effects` gives. A place is a roi, or a
        voxel; coordinates on it are those it was named by.
    """

    kind = "encoding over subjects"

    def to_frame(self) -> pd.DataFrame:
        """A row for each place and feature space."""
        frame = self.dataset.drop_vars(["scores", SUBJECT]).reset_coords().to_dataframe().reset_index()
        return frame.drop(columns=[c for c in (SPACE, PLACE) if c in frame])


def over_subjects(
    results: Sequence[EncodingResult] | Mapping[str, EncodingResult],
    *,
    score: str = "r2",
    by: str | Sequence[str] = "roi",
    versus: str | None = None,
    confidence: float = 0.95,
    n_flips: int = 10_000,
    seed: int = 0,
) -> SubjectsResult:
    """Test scores over subjects against zero, or against another feature space.

    Parameters
    ----------
    results : sequence of EncodingResult, or mapping of subject to EncodingResult
        One of each subject, of the same feature spaces. Subjects of a sequence are named by their neuroids' ``subject``, else
        counted.
    score : {"r2", "r", "r2_normalised"}
        What is averaged over the neuroids of a place in each subject; of ``r2_normalised``, mean R2 over the mean ceiling.
    by : str or sequence of str
        Coordinates on neuroid that name a place: ``"roi"`` (and all neuroids together), or such as ``("i", "j", "k")`` where
        subjects share a space.
    versus : str, optional
        A feature space, such as ``V1/bu@0``: what is tested is how far scores are above those of this one.
    confidence : float
        Of intervals.
    n_flips : int
        Sign patterns of the subjects; all where they are no more.
    seed : int

    Returns
    -------
    SubjectsResult
        Intervals and tests hold for new subjects and these stimuli: subjects see the same ones, so that what is common to them
        by the choice of stimuli is no part of their differences.

    Raises
    ------
    DataError
        Fewer than 3 subjects, one twice, or results of other feature spaces.
    SpecError
        A score, coordinate or feature space that does not exist.
    """
    if score not in SCORES:
        raise unknown("score", score, SCORES)
    named = dict(results) if isinstance(results, Mapping) else _named(results)
    if len(named) < 3:
        raise DataError(f"tests over subjects need at least 3 of them; got {len(named)}")
    names = [by] if isinstance(by, str) else list(by)
    first = next(iter(named.values())).dataset
    spaces = first["name"].values.astype(str).tolist()
    for subject, one in named.items():
        if one["name"].values.astype(str).tolist() != spaces:
            raise DataError(f"the results of {next(iter(named))} and {subject} are of other feature spaces")
    if versus is not None and versus not in spaces:
        raise unknown("feature space", versus, spaces)
    every = [_places(one.dataset, score, names) for one in named.values()]
    places = list(dict.fromkeys(key for one in every for key in one))
    missing = np.full(len(spaces), np.nan)
    values = np.stack([[one.get(key, missing) for key in places] for one in every]).transpose(0, 2, 1)
    if versus is not None:
        values = values - values[:, [spaces.index(versus)]]
    tests = random_effects(values, confidence=confidence, n_flips=n_flips, seed=seed)
    coords = {k: (SPACE, first[k].values) for k in ("area", "stream", "timestep", "name") if k in first.coords}
    coords |= {name: (PLACE, np.array([key[i] for key in places])) for i, name in enumerate(names)}
    tested = int(np.isfinite(tests["p_sign_flip"]).sum())
    dataset = xr.Dataset(
        {"scores": ((SUBJECT, SPACE, PLACE), values), **{key: ((SPACE, PLACE), found) for key, found in tests.items()}},
        coords={
            SUBJECT: list(named), **coords, "score": score if versus is None else f"{score} minus that of {versus}",
            "test": "one-sided, above 0, over subjects", "family": f"{tested} feature spaces x places",
            "correction": "p_t_fdr: fdr; p_sign_flip_fwer: largest t of each sign flip",
        },
    )  # fmt: skip
    subjects = {subject: json.loads(one.dataset.attrs["provenance"]) for subject, one in named.items()}
    return SubjectsResult(dataset, {"subjects": subjects, "score": score, "by": names, "versus": versus, "seed": seed})


def random_effects(
    values: np.ndarray, *, confidence: float = 0.95, n_flips: int = 10_000, seed: int = 0
) -> dict[str, np.ndarray]:
    """Random-effects tests of scores over subjects.

    Parameters
    ----------
    values : array of shape (subjects, ...)
        NaN where a subject lacks a place, which is then not tested.
    confidence, n_flips, seed
        As :func:`over_subjects`.

    Returns
    -------
    dict of arrays of the remaining shape
        ``mean``, ``se``, ``ci_low``, ``ci_high``, ``t``; one-sided ``p_t`` and ``p_sign_flip``, uncorrected; ``p_t_fdr``; and
        ``p_sign_flip_fwer``, against the largest t of each sign flip over all of them; ``n_subjects``.
    """
    n = len(values)
    count = np.isfinite(values).sum(axis=0)
    complete = np.where(count == n, values, np.nan)
    mean, sd = complete.mean(axis=0), complete.std(axis=0, ddof=1)
    se = sd / np.sqrt(n)
    t = mean / np.where(se > 0, se, np.nan)
    low, high = t_interval(mean, se, n - 1, confidence)
    p = np.asarray(sps.t.sf(t, n - 1))
    # a flip changes no square: of values over their root mean square, means are ordered as t values are
    size = np.sqrt((complete**2).mean(axis=0))
    flipped = sign_flip_test(complete / np.where(size > 0, size, np.nan), n_samples=n_flips, seed=seed)
    return {
        "mean": mean, "se": se, "ci_low": low, "ci_high": high, "t": t, "p_t": p, "p_t_fdr": adjust_p_values(p, "fdr"),
        "p_sign_flip": flipped.p_value, "p_sign_flip_fwer": flipped.p_family, "n_subjects": count,
    }  # fmt: skip


def _named(results: Sequence[EncodingResult]) -> dict[str, EncodingResult]:
    named: dict[str, EncodingResult] = {}
    for i, one in enumerate(results):
        own = np.unique(one[SUBJECT].values.astype(str)) if SUBJECT in one.dataset.coords else np.array([str(i + 1)])
        if len(own) > 1 or own[0] in named:
            raise DataError(
                f"one result of each subject is needed; the {i + 1}. is of {listed(own)}: pass a mapping of subject to result"
            )
        named[str(own[0])] = one
    return named


def _places(data: xr.Dataset, score: str, by: list[str]) -> dict[tuple[object, ...], np.ndarray]:
    """Scores of every feature space at each place: key -> (space,)."""
    if "time" in data.dims:
        raise DataError("scores over subjects are of responses without time")
    wanted = ["ceiling", "r2"] if score == "r2_normalised" else [score]
    if absent := [key for key in wanted if key not in data]:
        raise SpecError(f"{argument('score', score)} needs {listed(absent)} in every result: ask for a ceiling")
    for name in by:
        if name not in data.coords or data[name].dims not in ((NEUROID,), ()):
            raise SpecError(f"{argument('by')} names coordinates of the neuroids; got {name!r}")
    labels = [np.broadcast_to(data[name].values, data.sizes[NEUROID]).tolist() for name in by]
    rows: dict[tuple[object, ...], list[int]] = {(EVERY,): list(range(data.sizes[NEUROID]))} if by == ["roi"] else {}
    for i, key in enumerate(zip(*labels, strict=True)):
        rows.setdefault(key, []).append(i)
    limits = data["ceiling"].values if score == "r2_normalised" else None
    values = data[wanted[-1]].values
    return {key: _mean(values[:, some], None if limits is None else limits[some]) for key, some in rows.items()}


def _mean(values: np.ndarray, limits: np.ndarray | None) -> np.ndarray:
    """Mean over neuroids (space, neuroid), or the ratio of means to ceilings; NaN where none has a score."""
    if limits is not None:
        return np.array([normalised_mean(row, limits) for row in values])
    count = np.isfinite(values).sum(axis=1)
    return np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)
