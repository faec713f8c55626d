"""RSA over time: family-wise error of cluster tests over all sites, coverage of peak latencies; about 25 minutes on one core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist

from bltvs_neuro.neural.align import rdm_stimulus_ids
from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.options import Run
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.time import time_matrix

from .rsa_worlds import DIMS, SEED, share

RUNS, PERMUTATIONS, SAMPLES = 400, 199, 200
SITES, STEPS, TIMES = 6, 3, 15
PEAK = 7
"""Where in time the brain is most like the site that is related to it."""


@dataclass(frozen=True)
class Movie:
    """Subjects measured over time, and sites of a model.

    ``shared``: all subjects have the same representations, else each its own. ``related``: the first site is like the brain
    around :data:`PEAK`, else none is. ``categories`` are new in each experiment.
    """

    stimuli: int
    subjects: int
    shared: bool = True
    related: bool = False
    categories: int = 0
    similarity: str = "pearson"
    noise: float = 1.0

    def __str__(self) -> str:
        parts = [f"{self.stimuli} stimuli, {self.subjects} subjects"]
        parts += [] if self.shared else ["nothing shared"]
        parts += [f"{self.categories} new categories"] if self.categories else []
        return ", ".join(parts) + ("" if self.similarity == "pearson" else f", {self.similarity}")

    def draw(self, seed: int) -> tuple[xr.DataArray, xr.DataArray, list[int]]:
        """Model RDMs, brain RDMs, category of each stimulus."""
        rng = np.random.default_rng([SEED, self.stimuli, self.subjects, self.categories, seed])
        n = self.stimuli
        category = np.arange(n) * self.categories // n if self.categories else np.arange(n)
        ids = [f"s{i:03d}" for i in range(n)]

        def features(*before: int) -> np.ndarray:
            x = rng.normal(size=(*before, n, DIMS))
            if self.categories:
                x = np.sqrt(0.5) * (x + rng.normal(size=(*before, self.categories, DIMS))[..., category, :])
            return x

        sites = features(SITES)[:, None] + 0.5 * features(SITES, STEPS)
        near = np.exp(-(((np.arange(TIMES) - PEAK) / 2.5) ** 2))[:, None, None]  # (time, 1, 1)
        own = () if self.shared else (self.subjects,)
        path = _smooth(features(*own, TIMES))
        brain = np.broadcast_to(path, (self.subjects, TIMES, n, DIMS)) * np.sqrt(1 - near * self.related)
        if self.related:
            brain = brain + np.sqrt(near) * sites[0, -1] / np.sqrt(1.25)
        gain = np.exp(rng.normal(0, 0.35, (self.subjects, 1, 1, DIMS)))
        brain = brain * gain + self.noise * rng.normal(size=brain.shape)
        names = [(f"A{s}", t) for s in range(SITES) for t in range(STEPS)]
        models = make_rdms(
            np.array([pdist(sites[s, t], "sqeuclidean") for s in range(SITES) for t in range(STEPS)]), ids, metric="m",
            area=[a for a, _ in names], stream="bu", timestep=[t for _, t in names],
        )  # fmt: skip
        rows = [(s, t) for s in range(self.subjects) for t in range(TIMES)]
        neural = make_rdms(
            np.array([pdist(brain[s, t], "sqeuclidean") for s, t in rows]), ids, metric="m",
            subject=[f"P{s}" for s, _ in rows], time=[t / 100 for _, t in rows],
        )  # fmt: skip
        return models, neural, category.tolist()


def _smooth(path: np.ndarray) -> np.ndarray:
    """Average over three times, (..., time, stimulus, feature), at unit variance."""
    wide = np.concatenate([path[..., -1:, :, :], path, path[..., :1, :, :]], axis=-3)
    return (wide[..., :-2, :, :] + wide[..., 1:-1, :, :] + wide[..., 2:, :, :]) / np.sqrt(3)


NULLS = (
    Movie(24, 8), Movie(48, 8), Movie(92, 4), Movie(48, 15), Movie(24, 8, shared=False), Movie(24, 8, similarity="spearman"),
    Movie(48, 8, similarity="corr_cov"), Movie(48, 8, categories=12),
)  # fmt: skip
RELATED = (
    Movie(24, 8, related=True),
    Movie(48, 4, related=True),
    Movie(92, 8, related=True),
    Movie(24, 15, related=True),
)


def tests_of(movie: Movie) -> tuple[tuple[str, bool], ...]:
    """Which tests are tried, and whether whole categories are shuffled: where there are any."""
    return (("sign_flip", False), ("labels", False), *((("labels", True),) if movie.categories else ()))


def rejects(movie: Movie, seed: int, test: str, *, whole: bool) -> tuple[bool, bool]:
    """Whether an unrelated model has a significant cluster anywhere; at its first site, not corrected over sites."""
    models, brain, category = movie.draw(seed)
    clusters = dict(zip(rdm_stimulus_ids(models), category, strict=True)) if whole else None
    options = Inference(time_test=test, clusters=clusters, n_permutations=PERMUTATIONS, bootstrap=0)  # type: ignore[arg-type]
    frame = time_matrix(models, brain, similarity=movie.similarity, inference=options, run=Run(seed=seed)).clusters()
    return bool((frame["p_corrected"] <= 0.05).any()), bool((frame.loc[frame["site"] == "A0/bu", "p"] <= 0.05).any())


def latency(movie: Movie, seed: int) -> tuple[float, float, float]:
    """Latency of the related site with its interval, in samples of time."""
    models, brain, _ = movie.draw(seed)
    options = Inference(n_permutations=1, bootstrap=SAMPLES)
    peaks = time_matrix(models, brain, similarity=movie.similarity, inference=options, run=Run(seed=seed)).peaks()
    row = peaks.set_index("site").loc["A0/bu"]
    return tuple(100 * float(row[name]) for name in ("latency", "ci_low", "ci_high"))  # type: ignore[return-value]


def table(nulls: Sequence[Movie] = NULLS, related: Sequence[Movie] = RELATED, runs: int = RUNS) -> Iterator[str]:
    """How often an unrelated model is significant; how often the interval of a latency holds the true one."""
    yield "| unrelated model against | test | any cluster of all sites, corrected | a cluster of one site, alone |"
    yield "|---|---|---|---|"
    for movie in nulls:
        for test, whole in tests_of(movie):
            over, alone = np.array([rejects(movie, seed, test, whole=whole) for seed in range(runs)]).T
            name = test + (" of categories" if whole else "")
            yield f"| {movie} | {name} | {share(over)} | {share(alone)} |"
    yield ""
    yield "| related model | latency on average (true: 7) | interval holds it | width |"
    yield "|---|---|---|---|"
    for movie in related:
        at, low, high = np.array([latency(movie, seed) for seed in range(runs)]).T
        held = (low <= PEAK + 1e-9) & (high >= PEAK - 1e-9)
        yield f"| {movie} | {at.mean():.2f} ± {at.std() / np.sqrt(runs):.2f} | {share(held)} | {np.mean(high - low):.1f} |"
