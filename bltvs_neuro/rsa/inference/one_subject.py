"""The noise ceiling of one subject, from its repetitions: what the RDM without noise would score.

Responses are taken as a signal of the stimulus plus noise of the presentation, both normal over channels with covariances of
their own. Noise is what repetitions differ in. The covariance of the signal is what is left of that of the means: in units of
noise, eigenvalues that noise alone would give are none, and others are brought down to what would have shown them (spiked
covariance). Data sets are then drawn from the model, with signals like those measured and with those measured as far as they
are known, and the size of the signal is set so that presentations agree in drawn data as well as in the data.

References
----------
Kay, Prince, Gebhart, Tuckute, Zhou, Naselaris & Schütt (2024), generative modeling of signal and noise,
doi:10.1101/2024.04.22.590510;
Baik & Silverstein (2006), eigenvalues of spiked covariances, doi:10.1016/j.jmva.2005.08.003;
Ledoit & Wolf (2004), doi:10.1016/S0047-259X(03)00096-4
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, unknown
from ...neural.labelled import check_one_subject, check_responses
from ...options import check_samples
from ...schema import PRESENTATION, STIMULUS_ID
from ...stats.covariance import noise_covariance
from ..comparing.similarity import compare_vectors, similarity_name

Array = NDArray[np.float64]


class RepeatCeiling(NamedTuple):
    """The noise ceiling of one subject."""

    ceiling: float
    """Expected similarity of the RDM without noise with that of responses averaged over repetitions."""
    sd: float
    """Standard deviation over data sets of this kind."""
    n_repetitions: int


def repeat_ceiling(
    responses: Any, *, metric: str = "correlation", similarity: str = "pearson", n_samples: int = 200, seed: int = 0
) -> RepeatCeiling:
    """Estimate the noise ceiling of one subject from repetitions.

    Parameters
    ----------
    responses : DataArray with dims (presentation, neuroid)
        Of one subject and region, every stimulus shown equally often, at least twice.
    metric : {"correlation", "cosine", "euclidean", "sqeuclidean"}
        Of RDMs of averaged responses.
    similarity : str
        What RDMs are compared with, see :func:`bltvs_neuro.rsa.compare`.
    n_samples : int
        Data sets that are drawn.
    seed : int

    Returns
    -------
    RepeatCeiling
        An upper bound for this subject: a model of what its responses to these stimuli are without noise. It says nothing of
        other subjects.

    Raises
    ------
    DataError
        Missing values, fewer than 3 stimuli or 2 channels, or stimuli that are not shown equally often or only once.
    SpecError
        A metric or similarity that does not exist.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> signal = rng.normal(size=(20, 4)) @ rng.normal(size=(4, 30))
    >>> trials = np.repeat(signal, 2, axis=0) + rng.normal(size=(40, 30))
    >>> responses = bn.make_responses(trials, [f"s{i // 2:02d}" for i in range(40)], neuroid_coords={})
    >>> found = repeat_ceiling(responses, n_samples=20)
    >>> 0.9 < found.ceiling < 1, found.n_repetitions
    (True, 2)
    """
    if metric not in DISTANCES:
        raise unknown("metric of a ceiling from repetitions", metric, list(DISTANCES))
    kind = similarity_name(similarity)
    check_samples("n_samples", n_samples, least=2)
    data = _trials(responses)
    mean, signal, mixing = _model(data)
    if not (signal > 0).any():  # presentations agree no more than noise does
        return RepeatCeiling(0.0, 0.0, data.shape[1])
    rdm = DISTANCES[metric]
    known = np.linalg.solve(mixing.T, (data.mean(axis=1) - mean).T).T

    def draws(n: int) -> Iterator[tuple[Array, Array]]:
        return (_draw(known, signal, mixing, data.shape[1], seed, sample) for sample in range(n))

    def compare(a: Array, b: Array) -> float:
        return float(compare_vectors(rdm(a), rdm(b), kind)[0, 0])

    def agreement(trials: Array) -> float:
        """Of every presentation with the mean of the others; trials (presentation, stimulus, channel)."""
        total, n = trials.sum(axis=0), len(trials)
        return float(np.mean([compare(one, (total - one) / (n - 1)) for one in trials]))

    wanted = agreement(data.transpose(1, 0, 2))
    low, high = np.log(0.2), np.log(3.0)
    for _ in range(8):
        middle = (low + high) / 2
        # the same draws for every size, and enough of them to set one number
        drawn = [agreement(np.exp(middle) * s + n + mean) for s, n in draws(min(n_samples, 100))]
        low, high = (middle, high) if np.mean(drawn) < wanted else (low, middle)
    size = np.exp((low + high) / 2)
    scores = [compare(size * s + mean, size * s + n.mean(axis=0) + mean) for s, n in draws(n_samples)]
    return RepeatCeiling(float(np.mean(scores)), float(np.std(scores, ddof=1)), data.shape[1])


def _trials(responses: Any) -> Array:
    """Responses as (stimulus, presentation, channel)."""
    check_responses(responses)
    check_one_subject(responses)
    if "time" in responses.dims:
        raise DataError("a ceiling from repetitions is of responses without time: choose one time, or average")
    values = np.asarray(responses.transpose(PRESENTATION, ...).values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"{int((~np.isfinite(values)).sum())} responses are NaN or infinite; leave those neuroids out")
    shown = np.unique(responses[STIMULUS_ID].values.astype(str), return_inverse=True)[1]
    counts = np.bincount(shown)
    if counts.min() != counts.max() or counts[0] < 2 or len(counts) < 3 or values.shape[1] < 2:
        raise DataError(
            f"a ceiling from repetitions needs 3 stimuli or more, each shown equally often and at least twice, and 2 neuroids; "
            f"got {len(counts)} stimuli shown {counts.min()} to {counts.max()} times, {values.shape[1]} neuroids"
        )
    order = np.argsort(shown, kind="stable")
    return values[order].reshape(len(counts), counts[0], -1)


def _model(data: Array) -> tuple[Array, Array, Array]:
    """Mean over stimuli, eigenvalues of the signal in units of the noise of means, and the mixing from there to channels."""
    n, repetitions, channels = data.shape
    means = data.mean(axis=1)
    centre = means.mean(axis=0)
    rest = (data - means[:, None]).reshape(-1, channels)
    noise = noise_covariance(rest, "shrinkage_eye", dof=n * (repetitions - 1)) / repetitions
    size, axes = np.linalg.eigh(noise)
    size = np.maximum(size, 1e-12 * size.max()) if size.max() > 0 else np.ones(channels)
    whitened = (means - centre) @ (axes / np.sqrt(size))
    values, vectors = np.linalg.eigh(whitened.T @ whitened / (n - 1))
    ratio = channels / (n - 1)
    beyond = values > (1 + np.sqrt(ratio)) ** 2
    half = values + 1 - ratio
    signal = np.where(beyond, (half + np.sqrt(np.maximum(half**2 - 4 * values, 0))) / 2 - 1, 0.0)
    return centre, signal, vectors.T @ (axes * np.sqrt(size)).T


def _draw(known: Array, signal: Array, mixing: Array, repetitions: int, seed: int, sample: int) -> tuple[Array, Array]:
    """A signal (stimulus, channel) and noise (presentation, stimulus, channel).

    Every third signal is of new stimuli, the others are of these: around what the means ``known`` (in units of noise) say. These
    alone are taken for a little better than they are, having shown the model its axes.
    """
    rng, gain = np.random.default_rng([seed, sample]), signal / (1 + signal)
    new = rng.standard_normal(known.shape)
    drawn = gain * known + np.sqrt(gain) * new if sample % 3 else np.sqrt(signal) * new
    noise = np.sqrt(repetitions) * rng.standard_normal((repetitions, *known.shape))
    return drawn @ mixing, noise @ mixing


def _correlation(patterns: Array) -> Array:
    return 1 - np.asarray(np.corrcoef(patterns))[np.triu_indices(len(patterns), 1)]


def _cosine(patterns: Array) -> Array:
    size = np.linalg.norm(patterns, axis=1, keepdims=True)
    unit = patterns / np.where(size > 0, size, np.nan)
    return np.asarray(1 - (unit @ unit.T)[np.triu_indices(len(patterns), 1)])


def _sqeuclidean(patterns: Array) -> Array:
    gram = patterns @ patterns.T
    own = np.diag(gram)
    distances = np.maximum(own[:, None] + own - 2 * gram, 0) / patterns.shape[1]
    return np.asarray(distances[np.triu_indices(len(patterns), 1)])


def _euclidean(patterns: Array) -> Array:
    return np.sqrt(_sqeuclidean(patterns))


DISTANCES: dict[str, Callable[[Array], Array]] = {
    "correlation": _correlation,
    "cosine": _cosine,
    "euclidean": _euclidean,
    "sqeuclidean": _sqeuclidean,
}
"""Plain distances of small arrays in memory, hundreds of times over (:data:`bltvs_neuro.rsa.METRICS` streams large ones)."""
