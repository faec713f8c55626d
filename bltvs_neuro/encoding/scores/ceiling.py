"""Noise ceilings of responses with repetitions, and scores normalised by them.

Two scales, never mixed: a reliability (Spearman-Brown corrected split half) and a noise ceiling NC both estimate the
share of variance a perfect model explains of the *averaged* responses. That is a ceiling on R2; the r of a perfect model
is its square root. Hence ``r / sqrt(ceiling)`` and ``R2 / ceiling``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import numpy as np

from ...errors import DataError, SpecError, unknown
from ...schema import PRESENTATION, STIMULUS_ID

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
        Stimuli shown once are left out.
    n_splits : int
        Random splits that are averaged; each stimulus' repetitions are split anew.
    seed : int

    Returns
    -------
    array of shape (t,)
        Spearman-Brown of the mean r over splits: of halves of k/2 repetitions, to k.

    References
    ----------
    Spearman (1910), doi:10.1111/j.2044-8295.1910.tb00206.x
    """
    from .score import pearson

    stimuli = _repeated(repetitions)
    rng = np.random.default_rng(seed)
    total = np.zeros(stimuli[0].shape[1])
    for _ in range(n_splits):
        a, b = np.empty((len(stimuli), len(total))), np.empty((len(stimuli), len(total)))
        for i, trials in enumerate(stimuli):
            order = rng.permutation(len(trials))
            half = len(trials) // 2
            a[i], b[i] = trials[order[:half]].mean(axis=0), trials[order[half : 2 * half]].mean(axis=0)
        total += pearson(a, b)
    counts = np.array([len(trials) for trials in stimuli])
    return spearman_brown(total / n_splits, float(counts.mean() / (counts // 2).mean()))


def ncsnr(repetitions: Iterable[np.ndarray]) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio of a single trial, as the Natural Scenes Dataset defines it.

    Parameters
    ----------
    repetitions : iterable of arrays of shape (n_rep, t), one per stimulus
        Stimuli shown once are left out. All trials are z-scored together, per target.

    Returns
    -------
    array of shape (t,)
        ``sqrt(max(1 - s2, 0)) / sqrt(s2)``, with s2 the mean over stimuli of the variance over repetitions (ddof 1).

    References
    ----------
    Allen et al. (2022), doi:10.1038/s41593-021-00962-x
    """
    stimuli = _repeated(repetitions)
    trials = np.concatenate(stimuli)
    spread = trials.std(axis=0, ddof=1)
    noise = np.mean([rows.var(axis=0, ddof=1) for rows in stimuli], axis=0)
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
        Stimuli shown once are left out.

    Returns
    -------
    array of shape (t,)
        ``(V - N) / V``, V the variance over stimuli of the mean responses (ddof 1) and N the noise left in them: mean over
        stimuli of the variance over repetitions (ddof 1) divided by the number of repetitions. Unbiased in numerator and
        denominator; can be negative where there is no signal.

    References
    ----------
    Sahani & Linden (2003), signal power; Schoppe et al. (2016), doi:10.3389/fncom.2016.00010
    """
    stimuli = _repeated(repetitions)
    between = np.var([rows.mean(axis=0) for rows in stimuli], axis=0, ddof=1)
    noise = np.mean([rows.var(axis=0, ddof=1) / len(rows) for rows in stimuli], axis=0)
    return np.where(between > 0, (between - noise) / np.where(between > 0, between, 1), np.nan)


def _ncsnr_ceiling(stimuli: list[np.ndarray]) -> np.ndarray:
    # with uneven repetitions the noise of the means is that of the harmonic mean number
    counts = np.array([len(rows) for rows in stimuli if len(rows) > 1])
    return ceiling_from_ncsnr(ncsnr(stimuli), float(len(counts) / (1 / counts).sum()))


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
        With repetitions; stimuli shown once are left out.
    method : {"split_half", "ncsnr", "repetition_variance"}

    Returns
    -------
    array of shape (neuroid[, time])
        In 0..1 for real signals; an estimate can fall below 0. A perfect model's r is the square root. NaN where it is
        undefined: a target that is constant, or in a random half.

    Raises
    ------
    DataError
        Fewer than 3 stimuli were repeated.
    """
    if method not in get_args(CeilingMethod):
        raise unknown("noise ceiling", method, get_args(CeilingMethod))
    values = responses.transpose(PRESENTATION, ...).values
    flat = values.reshape(len(values), -1)  # (presentation, neuroid * time)
    rows: dict[str, list[int]] = {}
    for i, stimulus in enumerate(responses[STIMULUS_ID].values):
        rows.setdefault(str(stimulus), []).append(i)
    out = np.empty(flat.shape[1])
    for at in range(0, flat.shape[1], 4096):  # float64 copies of a block of targets at a time
        block = flat[:, at : at + 4096].astype(np.float64)
        out[at : at + 4096] = CEILINGS[method]([block[index] for index in rows.values()])
    return out.reshape(values.shape[1:])


def normalise_r(r: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """``r / sqrt(ceiling)``; NaN where the ceiling is not positive. ``ceiling`` is one on R2 (a reliability)."""
    good = np.asarray(ceiling) > 0
    return np.where(good, r / np.sqrt(np.where(good, ceiling, 1)), np.nan)


def normalise_r2(r2: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """``R2 / ceiling``; NaN where the ceiling is not positive."""
    good = np.asarray(ceiling) > 0
    return np.where(good, r2 / np.where(good, ceiling, 1), np.nan)


def _repeated(repetitions: Iterable[np.ndarray]) -> list[np.ndarray]:
    stimuli = [np.asarray(rows, np.float64) for rows in repetitions]
    if any(rows.ndim != 2 for rows in stimuli):
        raise SpecError("repetitions are arrays of shape (repetitions, targets), one per stimulus")
    repeated = [rows for rows in stimuli if len(rows) > 1]
    if len(repeated) < 3:
        raise DataError(f"a noise ceiling needs at least 3 stimuli shown more than once; got {len(repeated)}")
    return repeated
