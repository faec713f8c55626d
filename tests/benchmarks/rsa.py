"""RSA against rsatoolbox: RDMs, crossnobis and the dual bootstrap, with the same numbers.

rsatoolbox's bootstraps are run with fewer samples and scaled: their cost is a fixed part, measured with 2 samples, and one
per sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bltvs_neuro.rsa import compute_rdms
from bltvs_neuro.rsa.inference.bootstrap import bootstrap_rsa
from tests.rsa import reference

from .tables import Table
from .timing import cost_of

SIMILARITIES = {"pearson": 150, "cosine": 150, "corr_cov": 1000, "cosine_cov": 1000, "spearman": 20, "rho-a": 20}
"""What is compared, and how many times less CPU time is the aim."""


def measure(full: bool) -> Table:
    """CPU seconds of both, the ratio, and the largest difference of their numbers."""
    rows = [_correlation(np.float64, full), _correlation(np.float32, full), _crossnobis(full)]
    rows += [_bootstrap(similarity, full) for similarity in SIMILARITIES]
    return Table(
        "RSA against rsatoolbox" + ("" if full else " (small sizes)"),
        rows,
        "CPU seconds; ours the median of three runs where one takes less than 2 s. Bootstraps of rsatoolbox, and of ranks here, "
        "run with fewer samples and are scaled linearly (a fixed part, and one per sample).",
    )


def _row(what: str, theirs: float, ours: float, difference: float, aim: str) -> dict[str, object]:
    return {
        "": what,
        "rsatoolbox CPU s": theirs,
        "here CPU s": ours,
        "ratio": f"{theirs / ours:.3g}",
        "aim": aim,
        "largest difference": f"{difference:.0e}",
    }


def _median(function: Callable[[], Any]) -> float:
    first = cost_of(function).cpu
    return first if first > 2 else sorted([first, *(cost_of(function).cpu for _ in range(2))])[1]


def _correlation(dtype: type, full: bool) -> dict[str, object]:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    n, p = (1000, 100352) if full else (200, 10000)
    x = np.random.default_rng(0).normal(size=(n, p)).astype(dtype)
    ids = [f"{i:04d}" for i in range(n)]
    found: dict[str, Any] = {}
    theirs = cost_of(lambda: found.update(theirs=calc_rdm(Dataset(x), method="correlation"))).cpu
    ours = _median(lambda: found.update(ours=compute_rdms(x, stimulus_ids=ids)))
    difference = float(np.abs(found["theirs"].dissimilarities - found["ours"].values).max())
    return _row(f"correlation RDM, {n} x {p}, {np.dtype(dtype).name}", theirs, ours, difference, "15")


def _crossnobis(full: bool) -> dict[str, object]:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    n, runs, p = (92, 4, 15000) if full else (40, 4, 500)
    x = np.random.default_rng(0).normal(size=(n * runs, p))
    ids, run = np.tile([f"{i:04d}" for i in range(n)], runs), np.repeat(np.arange(runs), n)
    data = Dataset(x, obs_descriptors={"stimulus": ids, "run": run})
    found: dict[str, Any] = {}
    theirs = cost_of(
        lambda: found.update(theirs=calc_rdm(data, method="crossnobis", descriptor="stimulus", cv_descriptor="run"))
    ).cpu
    ours = _median(lambda: found.update(ours=compute_rdms(x, metric="crossnobis", stimulus_ids=ids, folds=run)))
    difference = float(np.abs(found["theirs"].dissimilarities - found["ours"].values).max())
    return _row(f"crossnobis without noise, {n} stimuli x {runs} runs x {p}", theirs, ours, difference, "100")


def _bootstrap(similarity: str, full: bool) -> dict[str, object]:
    m, k, n, samples = (96, 4, 92, 1000) if full else (12, 4, 24, 200)
    few, own = {"corr_cov": (3, samples), "cosine_cov": (3, samples)}.get(similarity, (12, samples))
    if similarity in ("spearman", "rho-a"):
        few, own = 6, samples // 10
    rng = np.random.default_rng(0)
    p = n * (n - 1) // 2
    truth = rng.gamma(2, 1, p)
    models, data = truth + rng.gamma(2, 2, (m, p)), truth + rng.gamma(2, 1.5, (k, p))
    found: dict[str, Any] = {}

    def theirs(count: int) -> Callable[[], None]:
        return lambda: found.update(theirs=reference.dual_bootstrap(models, data, similarity, n_samples=count, seed=0))

    fixed, some = cost_of(theirs(2)).cpu, cost_of(theirs(few)).cpu
    whole = fixed + (some - fixed) / (few - 2) * (samples - 2)
    result, w, v = found["theirs"]
    again = bootstrap_rsa(models, data, similarity, stimulus_counts=w, subject_counts=v)
    difference = float(np.abs(again.samples["both"][:, :m] - result.evaluations[:, :, 0, 0, 0]).max())
    ours = _median(lambda: bootstrap_rsa(models, data, similarity, n_samples=own, seed=0)) * samples / own
    what = f"dual bootstrap, {similarity}, {samples} samples, {m} models, {k} subjects, {n} stimuli"
    return _row(what, whole, ours, difference, str(SIMILARITIES[similarity]))
