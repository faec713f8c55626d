"""Model timesteps against neural time: matrices of similarities, cluster tests, peak latencies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats as sps

from ..errors import DataError, SpecError, argument
from ..features.folds import OnMismatch
from ..neural.align import align_rdms, rdm_stimulus_ids
from ..neural.condensed import n_from_pairs
from ..neural.labelled import check_rdms
from ..options import Run
from ..results import Result
from ..schema import RDM
from ..stats import ClusterTest, cluster_sign_flip_test, cluster_test
from ..versions import versions
from .comparing.missing import drop_missing
from .comparing.similarity import SIMILARITIES, compare_vectors, similarity_name
from .comparing.weighted import Units
from .inference.ceiling import ceiling_of_vectors
from .inference.clusters import cluster_numbers, read_clusters
from .inference.options import Inference, Missing
from .inference.tests import label_null, stimulus_orders, warn_of_skew
from .latency import PeakOf, Sampling, latencies
from .provenance import describe

Array = NDArray[np.float64]
MAP = ("site", "timestep", "time")
FAMILY = "clusters of all sites, timesteps and times"


class TimeMatrix(Result):
    """Similarities of model timesteps with neural times, per site, with clusters and peaks.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``similarity`` (site, timestep, time, subject), NaN where a site is not active at a timestep; ``ceiling`` (bound,
        time): lower and upper noise ceiling. ``statistic`` (site, timestep, time): z over permutations of stimuli or t over
        subjects, as ``time_test`` in the provenance says; ``in_cluster``: 0 or the number of the cluster; of each ``cluster``
        its ``mass``, ``p`` against its own site and ``p_corrected`` against the largest cluster of all sites. ``latency`` (site)
        with ``latency_ci_low``, ``latency_ci_high`` (seconds), ``peak`` (similarity there) and ``latency_samples``.
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

    @property
    def mean(self) -> xr.DataArray:
        """Mean over subjects: (site, timestep, time)."""
        return self.values.mean("subject", skipna=False)

    def to_frame(self) -> pd.DataFrame:
        """One row per site, active timestep, time and subject."""
        return self.values.to_dataframe().dropna().reset_index()

    def significant(self, alpha: float = 0.05) -> xr.DataArray:
        """(site, timestep, time) points in clusters with a corrected p of at most ``alpha``."""
        held = 1 + np.flatnonzero(self.dataset["p_corrected"].values <= alpha)
        return self.dataset["in_cluster"].isin(held)

    def clusters(self) -> pd.DataFrame:
        """One row per cluster: site, number of points, mass, p, and the timesteps and times (seconds) that it spans."""
        data, rows = self.dataset, []
        place = data["in_cluster"].transpose(*MAP).values
        sites, steps, times = (data[name].values for name in MAP)
        for number, (mass, p, over) in enumerate(
            zip(data["mass"].values, data["p"].values, data["p_corrected"].values, strict=True), 1
        ):
            site, row, column = np.nonzero(place == number)
            span = (steps[row.min()], steps[row.max()], times[column.min()], times[column.max()])
            rows.append((sites[site[0]], number, len(row), mass, p, over, *span))
        names = ["site", "cluster", "points", "mass", "p", "p_corrected"]
        frame = pd.DataFrame(rows, columns=[*names, "timestep_from", "timestep_to", "time_from", "time_to"])
        test = self.provenance["options"]["time_test"]
        return frame.assign(test=test, family=FAMILY, correction="largest cluster of each permutation")

    def peaks(self) -> pd.DataFrame:
        """One row per site: when it fits best, with its interval (seconds), how well, and what the interval generalises to."""
        of = {"latency": "latency", "ci_low": "latency_ci_low", "ci_high": "latency_ci_high", "peak": "peak"}
        frame = pd.DataFrame({"site": self.dataset["site"].values} | {k: self.dataset[v].values for k, v in of.items()})
        return frame.assign(generalises_to=str(self.dataset["generalises_to"].values))


def time_matrix(
    models: xr.DataArray,
    brain: xr.DataArray,
    *,
    similarity: str = "pearson",
    inference: Inference = Inference(),
    peak_of: PeakOf = "best_timestep",
    missing: Missing = "raise",
    on_mismatch: OnMismatch = "raise",
    run: Run = Run(),
) -> TimeMatrix:
    """Compare RDMs of model timesteps with an RDM movie.

    Parameters
    ----------
    models : xarray.DataArray
        RDMs with ``area``, ``stream`` and ``timestep``.
    brain : xarray.DataArray
        RDMs with ``subject`` and ``time`` (seconds), each subject at each time once.
    similarity : str
    inference : Inference
        ``time_test``, ``n_permutations`` and ``clusters`` for the cluster test; ``bootstrap``, ``over``, ``confidence`` and
        ``clusters`` for intervals of latencies (percentiles of bootstrap samples; none for 0 samples). The rest has no meaning.
    peak_of : {"best_timestep", "mean_timestep"}
        Which curve over time has the peak: at each time the best timestep of the mean over subjects, or the mean over timesteps.
    missing, on_mismatch
        As in :func:`compare_rdms`.
    run : Run
        Its seed.

    Returns
    -------
    TimeMatrix

    Raises
    ------
    DataError
        A coordinate is missing, or a subject lacks a time.

    References
    ----------
    Cichy et al. (2016), doi:10.1038/srep27755; Maris & Oostenveld (2007), doi:10.1016/j.jneumeth.2007.03.024 (clusters).
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
    models, brain = align_rdms(models, brain, on_mismatch=on_mismatch, names=("the models", "the neural data"))
    models, brain = drop_missing(models, brain, missing)
    clusters = cluster_numbers(read_clusters(inference.clusters), rdm_stimulus_ids(models))
    times, subjects, place = _places(brain)
    data = brain.values[place]  # (time, subject, pair)
    site_of = [f"{a}/{s}" for a, s in zip(models["area"].values, models["stream"].values, strict=True)]
    sites, steps = list(dict.fromkeys(site_of)), sorted({int(t) for t in models["timestep"].values})
    cell = [sites.index(s) for s in site_of], [steps.index(int(t)) for t in models["timestep"].values]
    scores = compare_vectors(models.values, brain.values, kind)[:, place]  # (model, time, subject)
    values = _on_map(scores, cell, (len(sites), len(steps)))
    bounds = [ceiling_of_vectors(one, kind, np.arange(len(subjects)), tuple(subjects)) for one in data]
    found = _clusters(models.values, data, values, cell, kind, clusters, inference, run.seed)
    rows = [np.flatnonzero(np.array(cell[0]) == i) for i in range(len(sites))]
    dataset = xr.Dataset(
        {
            "similarity": ((*MAP, "subject"), values),
            "ceiling": (("bound", "time"), np.array([[b.lower for b in bounds], [b.upper for b in bounds]])),
            "statistic": (MAP, found.statistic),
            "in_cluster": (MAP, found.labels),
            "mass": ("cluster", found.mass),
            "p": ("cluster", found.p_part),
            "p_corrected": ("cluster", found.p_values),
            **latencies(
                models.values, data, scores, times, Sampling(rows, kind, clusters, inference, peak_of, run.seed)
            ),
        },
        coords={"site": sites, "timestep": steps, "time": times, "subject": subjects, "bound": ["lower", "upper"]},
    )
    options = {"similarity": kind, **inference.described(), "peak_of": peak_of, "seed": run.seed}
    return TimeMatrix(dataset, {"options": options, "inputs": inputs, "versions": versions()})


def _places(brain: xr.DataArray) -> tuple[Array, list[str], NDArray[np.int64]]:
    """Times, subjects, and which RDM is whose at which time: (time, subject)."""
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
    return times, subjects, place


def _on_map(rows: Array, cell: tuple[list[int], list[int]], shape: tuple[int, int]) -> Array:
    """Rows of models (models, ...) at their site and timestep: (site, timestep, ...), NaN elsewhere."""
    out = np.full((*shape, *rows.shape[1:]), np.nan)
    out[cell] = rows
    return out


def _clusters(
    models: Array,
    data: Array,
    values: Array,
    cell: tuple[list[int], list[int]],
    kind: str,
    clusters: Units,
    inference: Inference,
    seed: int,
) -> ClusterTest:
    """Clusters of all sites, by permutation of stimuli or of the signs of subjects."""
    subjects = data.shape[1]
    if inference.time_test == "sign_flip":
        if subjects < 2:
            raise SpecError(f"one subject has no signs to flip: take {argument('time_test', 'labels')}")
        maps = np.moveaxis(values, -1, 0)
        warn_of_skew(maps, "time_test", "labels")
        return cluster_sign_flip_test(maps, n_permutations=inference.n_permutations, seed=seed, apart=1)
    orders = stimulus_orders(n_from_pairs(models.shape[1]), inference.n_permutations, seed, clusters)
    null = label_null(models, data, kind, orders)  # (permutation, model, time)
    spread = null.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (null - null.mean(axis=0)) / np.where(spread > 1e-12, spread, np.nan)
    shuffled = (_on_map(one, cell, values.shape[:2]) for one in z)
    return cluster_test(_on_map(z[0], cell, values.shape[:2]), shuffled, float(sps.norm.isf(0.05)), apart=1)
