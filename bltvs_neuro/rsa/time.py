"""Model timesteps against neural time: matrices of similarities, cluster tests, peak latencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..errors import DataError, SpecError
from ..neural.align import align_rdms
from ..neural.labelled import check_rdms
from ..results import Result
from ..schema import RDM
from ..stats import ClusterTest, bootstrap_counts, cluster_sign_flip_test
from ..stats.permutation import Tail
from ..versions import versions
from .comparing.similarity import SIMILARITIES, compare_vectors, similarity_name
from .inference.ceiling import ceiling_of_vectors
from .provenance import describe

Array = NDArray[np.float64]


class TimeMatrix(Result):
    """Similarities of model timesteps with neural times, per site.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``similarity`` (site, timestep, time, subject), NaN where a site is not active at a timestep; ``ceiling`` (bound,
        time): lower and upper noise ceiling; after :meth:`with_tests` also ``t`` and ``p_cluster`` (site, timestep, time).
    """

    kind = "rsa_time"

    @property
    def values(self) -> xr.DataArray:
        """``similarity``."""
        return self.dataset["similarity"]

    @property
    def ceiling(self) -> xr.DataArray:
        """``ceiling``."""
        return self.dataset["ceiling"]

    @property
    def label(self) -> str:
        """The similarity, for axes."""
        return SIMILARITIES[self.provenance["options"]["similarity"]].label

    def plot(self, **options: Any) -> NDArray[Any]:
        """See :func:`bltvs_neuro.rsa.figures.time.plot_time_matrix`."""
        from .figures.time import plot_time_matrix

        return plot_time_matrix(self, **options)

    def to_frame(self) -> pd.DataFrame:
        """One row per site, active timestep, time and subject."""
        return self.values.to_dataframe().dropna().reset_index()

    def with_tests(self, tests: Mapping[str, ClusterTest], **options: Any) -> TimeMatrix:
        """The same with the t values and cluster p values of sites; ``options`` join those of the provenance."""
        shape = self.mean.transpose("site", "timestep", "time").shape
        t, p = np.full(shape, np.nan), np.full(shape, np.nan)
        for i, site in enumerate(self.values["site"].values.tolist()):
            if site in tests:
                active = np.isin(self.values["timestep"].values, self.site(site)["timestep"].values)
                t[i, active] = tests[site].statistic
                p[i, active] = np.array([1.0, *tests[site].p_values])[tests[site].labels]
        dims, about = ("site", "timestep", "time"), self.provenance
        about["options"] |= options
        return TimeMatrix(self.dataset.assign(t=(dims, t), p_cluster=(dims, p)), about)

    def clusters(self, tests: Mapping[str, ClusterTest]) -> pd.DataFrame:
        """One row per cluster: site, number of points, mass, p, and the timesteps and times (seconds) that it spans."""
        rows = []
        for site, test in tests.items():
            steps, times = self.site(site)["timestep"].values, self.values["time"].values
            for number, (mass, p) in enumerate(zip(test.mass, test.p_values, strict=True), 1):
                row, column = np.nonzero(test.labels == number)
                span = (steps[row.min()], steps[row.max()], times[column.min()], times[column.max()])
                rows.append((site, number, len(row), mass, p, *span))
        names = ["site", "cluster", "points", "mass", "p", "timestep_from", "timestep_to", "time_from", "time_to"]
        return pd.DataFrame(rows, columns=names)

    @property
    def mean(self) -> xr.DataArray:
        """Mean over subjects: (site, timestep, time)."""
        return self.values.mean("subject", skipna=False)

    def cluster_test(
        self,
        site: str,
        *,
        threshold: float | None = None,
        tail: Tail = "greater",
        n_permutations: int = 1000,
        seed: int = 0,
    ) -> ClusterTest:
        """Test one site's matrix against zero over subjects; see :func:`~bltvs_neuro.stats.cluster_sign_flip_test`.

        Axes of the maps are (timestep, time) of the timesteps at which the site is active; neighbours are neighbours in either.
        """
        maps = self.site(site).transpose("subject", "timestep", "time").values
        return cluster_sign_flip_test(maps, threshold=threshold, tail=tail, n_permutations=n_permutations, seed=seed)

    def site(self, site: str) -> xr.DataArray:
        """(timestep, time, subject) of one site, at the timesteps where it is active."""
        sites = [str(s) for s in self.values["site"].values]
        if site not in sites:
            raise SpecError(f"unknown site {site!r}; valid: {', '.join(sites)}")
        part = self.values.isel(site=sites.index(site))
        return part.isel(timestep=np.flatnonzero(~np.isnan(part.values).all(axis=(1, 2))))


def time_matrix(models: xr.DataArray, brain: xr.DataArray, *, similarity: str = "pearson") -> TimeMatrix:
    """Compare RDMs of model timesteps with an RDM movie.

    Parameters
    ----------
    models : xarray.DataArray
        RDMs with ``area``, ``stream`` and ``timestep``.
    brain : xarray.DataArray
        RDMs with ``subject`` and ``time`` (seconds), each subject at each time once.
    similarity : str

    Returns
    -------
    TimeMatrix

    Raises
    ------
    DataError
        A coordinate is missing, or a subject lacks a time.

    References
    ----------
    Cichy et al. (2016), doi:10.1038/srep27755.
    """
    kind = similarity_name(similarity)
    for rdms, what, needed in (
        (models, "model RDMs", ("area", "stream", "timestep")),
        (brain, "neural RDMs", ("subject", "time")),
    ):
        check_rdms(rdms, missing="keep")
        absent = [c for c in needed if c not in rdms.coords or rdms[c].dims != (RDM,)]
        if absent:
            raise DataError(f"the {what} need the coordinates {', '.join(needed)}; missing: {', '.join(absent)}")
    inputs = {"models": describe(models), "brain": describe(brain)}
    models, brain = align_rdms(models, brain, names=("the models", "the neural data"))
    site_of = [f"{a}/{s}" for a, s in zip(models["area"].values, models["stream"].values, strict=True)]
    sites = list(dict.fromkeys(site_of))
    steps = sorted({int(t) for t in models["timestep"].values})
    times = np.unique(brain["time"].values.astype(np.float64))
    subject_of = [str(s) for s in brain["subject"].values]
    subjects = list(dict.fromkeys(subject_of))
    place = np.full((len(times), len(subjects)), -1)
    for i, (t, s) in enumerate(zip(brain["time"].values, subject_of, strict=True)):
        cell = int(np.searchsorted(times, float(t))), subjects.index(s)
        if place[cell] >= 0:
            raise DataError(
                f"subject {s} has several RDMs at {float(t):g} s: select one roi, or average sessions with average_rdms"
            )
        place[cell] = i
    if (place < 0).any():
        t, j = np.argwhere(place < 0)[0]
        raise DataError(
            f"subject {subjects[j]} has no RDM at {times[t]:g} s; {int((place < 0).sum())} such gaps in all"
        )
    scores = compare_vectors(models.values, brain.values, kind)
    values = np.full((len(sites), len(steps), len(times), len(subjects)), np.nan)
    for i, (site, step) in enumerate(zip(site_of, models["timestep"].values, strict=True)):
        values[sites.index(site), steps.index(int(step))] = scores[i][place]
    bounds = [ceiling_of_vectors(brain.values[row], kind, np.arange(len(subjects)), tuple(subjects)) for row in place]
    dataset = xr.Dataset(
        {
            "similarity": (("site", "timestep", "time", "subject"), values),
            "ceiling": (("bound", "time"), np.array([[b.lower for b in bounds], [b.upper for b in bounds]])),
        },
        coords={"site": sites, "timestep": steps, "time": times, "subject": subjects, "bound": ["lower", "upper"]},
    )
    return TimeMatrix(dataset, {"options": {"similarity": kind}, "inputs": inputs, "versions": versions()})


def peak_latency(
    matrix: TimeMatrix,
    *,
    reduce: Literal["best_timestep", "mean_timestep"] = "best_timestep",
    n_samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Find when each site fits best, with a bootstrap interval over subjects.

    Parameters
    ----------
    matrix : TimeMatrix
    reduce : {"best_timestep", "mean_timestep"}
        Which curve over time has the peak: at each time the best timestep of the mean over subjects, or the mean over timesteps.
    n_samples : int
        Bootstrap samples of subjects; the whole curve is averaged and its peak found anew in each.
    confidence : float
        Of the percentile interval.
    seed : int
        The same samples serve all sites, so that differences of latencies can be formed from ``samples``.

    Returns
    -------
    pandas.DataFrame
        One row per site: ``site``, ``latency``, ``ci_low``, ``ci_high`` (seconds), ``peak`` (similarity), and
        ``samples`` (array). With one subject, or without samples, the interval is NaN.
    """
    subjects = matrix.values.sizes["subject"]
    times = matrix.values["time"].values
    drawn = n_samples if subjects > 1 else 0
    counts = bootstrap_counts(subjects, drawn, np.random.default_rng(seed)) / subjects if drawn else None
    rows: list[tuple[Any, ...]] = []
    for site in matrix.values["site"].values:
        x = matrix.site(str(site)).transpose("subject", "timestep", "time").values
        curve = _curve(np.ones((1, subjects)) / subjects, x, reduce)[0] if x.shape[1] else np.full(len(times), np.nan)
        if not np.isfinite(curve).any():  # RDMs that do not vary have no similarity
            rows.append((str(site), np.nan, np.nan, np.nan, np.nan, np.full(n_samples, np.nan)))
            continue
        samples = np.full(n_samples, np.nan) if counts is None else times[_peak(_curve(counts, x, reduce))]
        low, high = (
            (np.nan, np.nan) if counts is None else np.quantile(samples, [(1 - confidence) / 2, (1 + confidence) / 2])
        )
        rows.append((str(site), times[_peak(curve)], low, high, np.nanmax(curve), samples))
    return pd.DataFrame(rows, columns=["site", "latency", "ci_low", "ci_high", "peak", "samples"])


def _peak(curves: Array) -> NDArray[np.int64]:
    """Where curves (..., time) are highest, of what is not NaN."""
    return np.asarray(np.where(np.isnan(curves), -np.inf, curves).argmax(axis=-1))


def _curve(weights: Array, x: Array, reduce: str) -> Array:
    """Mean over subjects with ``weights`` (samples, subjects), then over timesteps: (samples, time)."""
    mean = np.tensordot(weights, x, axes=1)  # (samples, timestep, time)
    return np.asarray(mean.max(axis=1) if reduce == "best_timestep" else mean.mean(axis=1))
