"""Noise ceilings of responses with repetitions, and scores normalised by them.

Two scales, never mixed: a reliability (Spearman-Brown corrected split half) and a noise ceiling NC both estimate the
share of variance a perfect model explains of the *averaged* responses. That is a ceiling on R2; the r of a perfect model
is its square root. Hence ``r / sqrt(ceiling)`` and ``R2 / ceiling``.

A ceiling is of the stimuli that R2 is of: all of them, those shown once as well. What noise they have is learned from the
stimuli that were repeated, and is that of the harmonic mean number of repetitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ...errors import DataError, SpecError, unknown
from ...schema import PRESENTATION, STIMULUS_ID
from .images import Averages
from .score import pearson

LEAST_CEILING = 0.1
"""Scores of single targets are not divided by less: below, they are mostly noise over noise."""

CeilingMethod = Literal["split_half", "ncsnr", "repetition_variance"]


def spearman_brown(r: np.ndarray | float, k: float = 2.0) -> np.ndarray:
    """Reliability of k times as many repetitions: ``k r / (1 + (k - 1) r)``, not below -1 (its pole is at -1 / (k - 1)).

    References
    ----------
    Spearman (1910), doi:10.1111/j.2044-8295.1910.tb00206.x; Brown (1910), doi:10.1111/j.2044-8295.1910.tb00207.x

    Examples
    --------
    >>> float(spearman_brown(0.5))
    0.6666666666666666
    """
    r = np.asarray(r, np.float64)
    below = 1 + (k - 1) * r
    found = np.where(below > 0, k * r / np.where(below > 0, below, 1), -1.0)
    return np.where(np.isnan(r), np.nan, np.maximum(found, -1.0))


def split_half(repetitions: Iterable[np.ndarray], *, n_splits: int = 20, seed: int = 0) -> np.ndarray:
    """Split-half reliability of the mean over all repetitions.

    Parameters
    ----------
    repetitions : iterable of arrays of shape (n_rep, t), one per stimulus
        Those shown once have no halves, and count in how noisy the means are.
    n_splits : int
        Random splits that are averaged; each stimulus' repetitions are split anew.
    seed : int

    Returns
    -------
    array of shape (t,)
        Spearman-Brown of the mean r over splits, from the noise of halves to that of the means of all stimuli.

    References
    ----------
    Spearman (1910), doi:10.1111/j.2044-8295.1910.tb00206.x
    """
    stimuli, repeated = _read(repetitions)
    rng = np.random.default_rng(seed)
    total = np.zeros(stimuli[0].shape[1])
    for _ in range(n_splits):
        a, b = np.empty((2, len(repeated), len(total)))
        for i, trials in enumerate(repeated):
            order = rng.permutation(len(trials))
            half = len(trials) // 2
            a[i], b[i] = trials[order[:half]].mean(axis=0), trials[order[half : 2 * half]].mean(axis=0)
        total += pearson(a, b)
    halves = float(np.mean([1 / (len(trials) // 2) for trials in repeated]))
    return spearman_brown(total / n_splits, halves / _share_of_noise(stimuli))


def ncsnr(repetitions: Iterable[np.ndarray]) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio of a single trial, as the Natural Scenes Dataset defines it.

    Parameters
    ----------
    repetitions : iterable of arrays of shape (n_rep, t), one per stimulus
        Those shown once have no variance over repetitions. All trials are z-scored together, per target.

    Returns
    -------
    array of shape (t,)
        ``sqrt(max(1 - s2, 0)) / sqrt(s2)``, with s2 the mean over stimuli of the variance over repetitions (ddof 1).

    References
    ----------
    Allen et al. (2022), doi:10.1038/s41593-021-00962-x
    """
    stimuli, repeated = _read(repetitions)
    spread = np.concatenate(stimuli).std(axis=0, ddof=1)
    noise = np.mean([rows.var(axis=0, ddof=1) for rows in repeated], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = noise / spread**2
        return np.sqrt(np.maximum(1 - noise, 0)) / np.sqrt(noise)


def ceiling_from_ncsnr(value: np.ndarray | float, n_repetitions: float) -> np.ndarray:
    """Share of variance of the mean of n trials that is signal: ``ncsnr^2 / (ncsnr^2 + 1/n)``, a ceiling on R2.

    References
    ----------
    Allen et al. (2022), doi:10.1038/s41593-021-00962-x

    Examples
    --------
    >>> float(ceiling_from_ncsnr(1.0, 3))
    0.75
    """
    square = np.asarray(value, np.float64) ** 2
    finite = np.isfinite(square)
    return np.where(
        finite, square / (np.where(finite, square, 0) + 1 / n_repetitions), np.where(np.isnan(square), np.nan, 1)
    )


def repetition_variance(repetitions: Iterable[np.ndarray]) -> np.ndarray:
    """Share of variance of the mean over repetitions that is signal, by analysis of variance.

    Parameters
    ----------
    repetitions : iterable of arrays of shape (n_rep, t), one per stimulus
        Those shown once count in V and in how noisy the means are.

    Returns
    -------
    array of shape (t,)
        ``1 - N / V (n - 3) / (n - 1)``, V the variance over n stimuli of the mean responses (ddof 1) and N the noise left in
        them: the variance over repetitions, pooled over stimuli, divided by the harmonic mean number of repetitions. Unbiased
        for normal responses (below 10 stimuli the factor is left out); can be negative where there is no signal.

    References
    ----------
    Sahani & Linden (2003), signal power; Schoppe et al. (2016), doi:10.3389/fncom.2016.00010
    """
    stimuli, repeated = _read(repetitions)
    between = np.var([rows.mean(axis=0) for rows in stimuli], axis=0, ddof=1)
    squares = np.sum([len(rows) * rows.var(axis=0) for rows in repeated], axis=0)
    noise = squares / sum(len(rows) - 1 for rows in repeated) * _share_of_noise(stimuli)
    noise *= _unbiased(len(stimuli))
    return np.where(between > 0, (between - noise) / np.where(between > 0, between, 1), np.nan)


def _unbiased(n: int) -> float:
    """The mean of one over a variance of n normal values is larger than one over its mean by this; not told of a handful."""
    return (n - 3) / (n - 1) if n >= 10 else 1.0


def _ncsnr_ceiling(stimuli: list[np.ndarray]) -> np.ndarray:
    return ceiling_from_ncsnr(ncsnr(stimuli), 1 / _share_of_noise(stimuli))


def _share_of_noise(stimuli: list[np.ndarray]) -> float:
    """Noise variance of the means over repetitions, as a share of that of one presentation."""
    return float(np.mean([1 / len(rows) for rows in stimuli]))


CEILINGS: dict[str, Callable[[list[np.ndarray]], np.ndarray]] = {
    "split_half": split_half,
    "ncsnr": _ncsnr_ceiling,
    "repetition_variance": repetition_variance,
}
"""Ceilings on R2 of the mean over repetitions, by name."""


def noise_ceiling(responses: Any, method: CeilingMethod = "split_half") -> np.ndarray:
    """Ceiling on the R2 of responses averaged over their repetitions.

    Parameters
    ----------
    responses : DataArray with dims (presentation, neuroid[, time])
        With repetitions. Where they carry ``session``, an offset of a session counts as noise: repetitions within one
        session would repeat it, and it would pass for signal.
    method : {"split_half", "ncsnr", "repetition_variance"}

    Returns
    -------
    array of shape (neuroid[, time])
        In 0..1 for real signals; an estimate can fall below 0. A perfect model's r is the square root. NaN where it is
        undefined: a target that is constant, or in a random half.

    Raises
    ------
    DataError
        Fewer than 3 stimuli were repeated, or sessions and stimuli cannot be told apart.
    """
    if method not in get_args(CeilingMethod):
        raise unknown("noise ceiling", method, get_args(CeilingMethod))
    values = responses.transpose(PRESENTATION, ...).values
    flat = values.reshape(len(values), -1)  # (presentation, neuroid * time)
    names, shown = np.unique(responses[STIMULUS_ID].values.astype(str), return_inverse=True)
    rows = [np.flatnonzero(shown == i) for i in range(len(names))]
    sessions = _sessions(responses, shown)
    out = np.empty(flat.shape[1])
    for at in range(0, flat.shape[1], 4096):  # float64 copies of a block of targets at a time
        block = flat[:, at : at + 4096].astype(np.float64)
        trials = [block[index] for index in rows]
        if sessions is None:
            out[at : at + 4096] = CEILINGS[method](trials)
        else:
            centred = sessions.taken_off(block, rows)
            out[at : at + 4096] = CEILINGS[method](centred) * _variance_of_means(centred) / _variance_of_means(trials)
    return out.reshape(values.shape[1:])


def ceiling_influence(responses: Any, averages: Averages, good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Influence of every stimulus on mean ceilings, for their uncertainty over images.

    Parameters
    ----------
    responses : DataArray with dims (presentation, neuroid[, time])
        As :func:`noise_ceiling` takes them.
    averages : Averages
        Over targets.
    good : bool array of shape (all targets,)
        The targets that the averages know.

    Returns
    -------
    names : array of str, shape (stimuli,)
    influence : array of shape (stimuli, averages)
        Derivatives of :func:`repetition_variance`, which all methods estimate, by the weight of each stimulus.
    """
    values = responses.transpose(PRESENTATION, ...).values
    flat = values.reshape(len(values), -1)
    names, shown = np.unique(responses[STIMULUS_ID].values.astype(str), return_inverse=True)
    rows = [np.flatnonzero(shown == i) for i in range(len(names))]
    counts, sessions = np.array([len(index) for index in rows])[:, None], _sessions(responses, shown)
    n, free, share = len(rows), (counts - 1).sum(), (1 / counts).mean()
    k, out = _unbiased(n), np.zeros((n, averages.member.shape[1]))
    at = np.flatnonzero(good)
    for start in range(0, len(at), 1024):
        block = flat[:, at[start : start + 1024]].astype(np.float64)
        trials = [block[index] for index in rows]
        centred = trials if sessions is None else sessions.taken_off(block, rows)
        within = np.array([len(some) * some.var(axis=0) for some in centred])
        noise = within.sum(axis=0) / free
        d, whole = (_squares(some) for some in (centred, trials))
        change = share * (within - (counts - 1) * noise) / free + noise * (1 / counts - share) / n
        with np.errstate(divide="ignore", invalid="ignore"):
            v, total = d.sum(axis=0) / (n - 1), whole.sum(axis=0) / (n - 1)
            ceiling = (v - k * share * noise) / total
            moved = (d / (n - 1) - v / n - k * change) / total - ceiling * (whole / (n - 1) / total - 1 / n)
        out += (averages.member[start : start + 1024].T @ np.nan_to_num(moved).T).T
    return names, out


def _squares(trials: Sequence[np.ndarray]) -> np.ndarray:
    """Squared distances of stimuli's means from their mean, (stimuli, t)."""
    means = np.array([some.mean(axis=0) for some in trials])
    return np.asarray((means - means.mean(axis=0)) ** 2)


class _Sessions(NamedTuple):
    """Sessions whose offsets are taken off."""

    member: np.ndarray
    """(presentations, sessions) 1 where a presentation belongs to a session."""
    gain: float
    """Centring takes some of the stimuli's own variance: their means times this have it back."""

    def taken_off(self, values: np.ndarray, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Values (presentations, t) about the mean of their session, by the rows of each stimulus."""
        centred = values - self.member @ (self.member.T @ values / self.member.sum(axis=0)[:, None])
        trials = [centred[index] for index in rows]
        return [some + (self.gain - 1) * some.mean(axis=0) for some in trials]


def _sessions(responses: Any, shown: np.ndarray) -> _Sessions | None:
    """The sessions of presentations; None where there are not several."""
    if "session" not in responses.coords or responses["session"].dims != (PRESENTATION,):
        return None
    session = np.unique(responses["session"].values.astype(str), return_inverse=True)[1]
    if not session.any():
        return None
    member = (session[:, None] == np.arange(session.max() + 1)).astype(np.float64)
    count = np.zeros((shown.max() + 1, member.shape[1]))  # presentations of each stimulus in each session
    np.add.at(count, (shown, session), 1)
    # means of stimuli's own values, about sessions' means and then about their mean: C (1 - U V)
    u, v = count / count.sum(axis=1, keepdims=True), (count / count.sum(axis=0)).T
    c = u - u.mean(axis=0)
    n = len(count)
    left = n - 1 - 2 * np.sum(v.T * c) + np.sum((c.T @ c) * (v @ v.T))
    if left < n / 10:
        raise DataError(
            f"{n} stimuli lie in {member.shape[1]} sessions in such a way that offsets of sessions cannot be told from "
            "responses to stimuli: leave out the coordinate session, if sessions have no offsets"
        )
    return _Sessions(member, float(np.sqrt((n - 1) / left)))


def _variance_of_means(trials: Sequence[np.ndarray]) -> np.ndarray:
    """Over stimuli, of the means over their presentations; NaN for constant targets."""
    found = np.var([some.mean(axis=0) for some in trials], axis=0)
    return np.where(found > 0, found, np.nan)


def normalise_r(r: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """``r / sqrt(ceiling)``; NaN where the ceiling (one on R2, a reliability) is below :data:`LEAST_CEILING`."""
    good = np.asarray(ceiling) >= LEAST_CEILING
    return np.where(good, r / np.sqrt(np.where(good, ceiling, 1)), np.nan)


def normalise_r2(r2: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """``R2 / ceiling``; NaN where the ceiling is below :data:`LEAST_CEILING`."""
    good = np.asarray(ceiling) >= LEAST_CEILING
    return np.where(good, r2 / np.where(good, ceiling, 1), np.nan)


def normalised_mean(r2: np.ndarray, ceiling: np.ndarray) -> float:
    """Mean R2 over the mean ceiling, both of all targets with both; NaN where the mean ceiling is not positive.

    A ratio of means: neither part is biased, whatever its targets' noise, while a mean of ratios leaves out targets by their
    noise and is ruled by the smallest ceilings.
    """
    good = np.isfinite(r2) & np.isfinite(ceiling)
    total = float(np.sum(ceiling, where=good))
    return float(np.sum(r2, where=good)) / total if total > 0 else float("nan")


def _read(repetitions: Iterable[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """All stimuli, and those shown more than once."""
    stimuli = [np.asarray(rows, np.float64) for rows in repetitions]
    if any(rows.ndim != 2 for rows in stimuli):
        raise SpecError("repetitions are arrays of shape (repetitions, targets), one per stimulus")
    repeated = [rows for rows in stimuli if len(rows) > 1]
    if len(repeated) < 3:
        raise DataError(f"a noise ceiling needs at least 3 stimuli shown more than once; got {len(repeated)}")
    return stimuli, repeated
