"""The comparison of model RDMs with brains, in one call: scores, ceilings, intervals, tests; saved and drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..cluster import map_tasks
from ..errors import DataError, listed
from ..features.folds import OnMismatch
from ..neural.align import align_rdms, rdm_stimulus_ids
from ..options import Run
from ..results import Result
from ..schema import RDM
from ..stats import adjust_p_values
from ..stats.multiple import Correction
from ..versions import versions
from .comparing.missing import drop_missing
from .comparing.similarity import SIMILARITIES, similarity_name
from .inference.ceiling import average_rdms
from .inference.clusters import cluster_numbers, read_clusters
from .inference.options import Inference, Missing
from .provenance import describe
from .rdms.convert import as_rdms
from .target import compare_target

if TYPE_CHECKING:
    from matplotlib.axes import Axes

log = logging.getLogger(__name__)

TARGET_COORDS = ("roi", "time")
MODEL_COORDS = ("area", "stream", "timestep")


def compare_rdms(
    rdms: Any,
    brain: Any,
    *,
    similarity: str = "corr_cov",
    inference: Inference = Inference(),
    missing: Missing = "raise",
    on_mismatch: OnMismatch = "raise",
    run: Run = Run(),
) -> RsaResult:
    """Compare model RDMs with the RDMs of brains.

    Parameters
    ----------
    rdms : xarray.DataArray or rsatoolbox.rdm.RDMs
        RDMs of models, as :func:`compute_rdms` gives them.
    brain : xarray.DataArray or rsatoolbox.rdm.RDMs
        RDMs with ``subject`` and, where they apply, ``roi``, ``time`` and ``session``. Each roi and time is compared on its
        own; sessions (and anything else that repeats within a subject) are averaged first. Without ``subject`` every
        RDM of a roi and time counts as a subject.
    similarity : str
        ``cosine``, ``pearson``, ``spearman``, ``rho-a``, ``tau-a``, ``cosine_cov`` or ``corr_cov`` (:data:`SIMILARITIES`).
    inference : Inference
        Standard errors, intervals and tests.
    missing : {"raise", "drop"}
        Where dissimilarities are NaN: refuse, or drop the stimuli that they belong to and say which.
    on_mismatch : {"raise", "intersect"}
        Where the stimuli of models and brains differ: refuse, or keep the common ones.
    run : Run
        Seed (the same samples serve every target, so that targets can be compared) and cluster (whose workers compare a
        roi and time each).

    Returns
    -------
    RsaResult

    Raises
    ------
    SpecError, DataError
        Unknown choices; stimuli that differ; NaN; one subject where subjects shall be resampled.

    References
    ----------
    Schütt et al. (2023), doi:10.7554/eLife.82566.

    Examples
    --------
    >>> from bltvs_neuro.neural import make_rdms
    >>> acts = bn.open_store("acts.h5")
    >>> rdms = bn.compute_rdms(acts)
    >>> noise = np.random.default_rng(0).normal(0, 0.01, (3, rdms.sizes["pair"]))
    >>> brain = make_rdms(
    ...     rdms.sel(rdm=0).values + noise, acts.stimulus_ids, metric="correlation", subject=["s1", "s2", "s3"]
    ... )
    >>> result = compare_rdms(rdms, brain, inference=bn.Inference(bootstrap=100))
    >>> result.best()[["area", "stream", "timestep"]].values.tolist()
    [['V1', 'bu', 0]]
    """
    kind = similarity_name(similarity)
    if SIMILARITIES[kind].family == "order" and inference.variance == "bootstrap":
        log.warning("%s: a bootstrap of it takes hours; standard errors are those of the jackknife", kind)
        inference = replace(inference, variance="jackknife")
    inference.check_variance()
    models, brains = as_rdms(rdms), as_rdms(brain)
    inputs = {"models": describe(models), "brain": describe(brains)}
    models, brains = align_rdms(models, brains, on_mismatch=on_mismatch, names=("the models", "the neural data"))
    models, brains = drop_missing(models, brains, missing)
    clusters = cluster_numbers(read_clusters(inference.clusters), rdm_stimulus_ids(models))
    names = _model_names(models)
    targets = list(_targets(brains))
    with run.limited():
        tables = map_tasks(
            compare_target,
            targets,
            shared=(models.values, names, kind, clusters, inference, run.seed),
            cluster=run.cluster,
        )
    target_coords = [coords for coords, _ in targets]
    data = xr.concat(tables, dim="target", join="outer")
    for key in TARGET_COORDS:
        if key in brains.coords:
            data = data.assign_coords({key: ("target", [c[key] for c in target_coords])})
    for key in MODEL_COORDS:
        if key in models.coords and models[key].dims == (RDM,):
            data = data.assign_coords({key: ("model", models[key].values)})
    data = _correct(data.assign(test=inference.test), inference.correction)
    options = {
        "similarity": kind, **inference.described(), "missing": missing, "on_mismatch": on_mismatch, "seed": run.seed,
    }  # fmt: skip
    provenance = {
        "options": options,
        "inputs": inputs,
        "n_stimuli": len(rdm_stimulus_ids(models)),
        "interval": f"score ± t(dof) × standard error ({inference.variance}), confidence {inference.confidence}, "
        "within -1 to 1; none for dof below 1",
        "versions": versions(),
    }
    data.attrs = {}
    return RsaResult(data, provenance)


def _model_names(models: xr.DataArray) -> list[str]:
    names = (
        [str(n) for n in models["name"].values]
        if "name" in models.coords
        else [f"model {i}" for i in range(len(models))]
    )
    if len(set(names)) != len(names):
        raise DataError(f"the models' names repeat: {listed(sorted({n for n in names if names.count(n) > 1}))}")
    return names


def _targets(brain: xr.DataArray) -> Iterator[tuple[dict[str, Any], xr.DataArray]]:
    """Yield each roi and time with one RDM per subject."""
    keys = [k for k in TARGET_COORDS if k in brain.coords and brain[k].dims == (RDM,)]
    rows = list(zip(*(brain[k].values.tolist() for k in keys), strict=True)) if keys else [()] * len(brain)
    for key in dict.fromkeys(rows):
        part = brain.isel({RDM: [i for i, row in enumerate(rows) if row == key]})
        if "subject" not in part.coords:
            part = part.assign_coords(subject=(RDM, [str(i) for i in range(len(part))]))
        within = [str(c) for c in part.coords if part[c].dims == (RDM,) and c != "subject"]
        yield dict(zip(keys, key, strict=True)), average_rdms(part, over=within)


def _correct(data: xr.Dataset, method: Correction) -> xr.Dataset:
    for name in ("p_zero", "p_below_ceiling"):
        data[f"{name}_corrected"] = (data[name].dims, adjust_p_values(data[name].values, method))
    data["correction"] = ((), method)
    data["family"] = ((), f"all models and targets: {data['p_zero'].size} tests")
    pairs = data["p_pairwise"].transpose("target", "model", "model_b").values
    a, b = np.triu_indices(pairs.shape[1], 1)
    corrected = np.ones_like(pairs)
    if len(a):
        once = adjust_p_values(pairs[:, a, b], method)
        corrected[:, a, b] = corrected[:, b, a] = once
    data["p_pairwise_corrected"] = (("target", "model", "model_b"), corrected)
    return data


class RsaResult(Result):
    """Scores of models against brains.

    Attributes
    ----------
    dataset : xarray.Dataset
        Dimensions ``target`` (coordinates roi, time), ``model`` (area, stream, timestep), ``subject``. ``score`` is the mean over
        subjects of the raw similarity on the data itself; ``se``, ``dof``, ``ci_low`` and ``ci_high`` say how it would vary
        over new stimuli and subjects. Intervals end at the range of similarities, -1 to 1 (``ci_cut`` says where they would
        have gone on). Intervals and p values are NaN where they would rest on fewer than one degree of freedom or the score is
        undefined, and ``reason`` says which. ``generalises_to`` says for what they hold. ``p_*`` are single tests (``test``),
        ``p_*_corrected`` hold for the ``family`` by the ``correction``;
        ``best_share`` is how often a model was the best in bootstrap samples, ``chosen_share`` in halves of the data;
        ``nested_score`` with its interval is that of what halves choose on the other halves, see :meth:`best`.
    """

    kind = "rsa"

    @property
    def similarity(self) -> str:
        """Name of the similarity."""
        return str(self.provenance["options"]["similarity"])

    @property
    def label(self) -> str:
        """The similarity, for axes."""
        return SIMILARITIES[self.similarity].label

    def best(self, *, nested: bool = False) -> pd.DataFrame:
        """The best model of each target, one row each.

        Parameters
        ----------
        nested : bool
            Score it fairly. The highest of many scores is too high, and its interval says nothing of the search; nested, the best
            is chosen on half of the stimuli and subjects and scored on the other half, again and again.

        Returns
        -------
        pandas.DataFrame
            Rows of :meth:`to_frame`; or, nested, ``chosen`` (the best on all data) with its area, stream and timestep; ``score``
            of what halves choose on the other halves, with ``ci_low`` and ``ci_high``; and ``stability``, the share of halves
            that choose the same. NaN where there are too few stimuli or subjects for two halves.
        """
        frame = self.to_frame()
        known = frame.dropna(subset=["score"])
        best = known.loc[known.groupby("target")["score"].idxmax()].reset_index(drop=True)
        if not nested:
            return best
        of = {"score": "nested_score", "ci_low": "nested_ci_low", "ci_high": "nested_ci_high"}
        fair = {name: self.dataset[held].values[best["target"]] for name, held in of.items()}
        labels = [c for c in ("target", *TARGET_COORDS, "model", *MODEL_COORDS) if c in best]
        out = best[labels].rename(columns={"model": "chosen"}).assign(**fair, stability=best["chosen_share"])
        return out.assign(generalises_to=best["generalises_to"])

    def to_frame(self) -> pd.DataFrame:
        """One row per target and model, without the tests of pairs."""
        narrow = self.dataset.drop_vars(
            [
                name
                for name, held in self.dataset.items()
                if {"model_b", "subject"} & set(held.dims) or "nested" in str(name)
            ]
        )
        narrow = narrow.drop_vars([d for d in ("model_b", "subject") if d in narrow.coords])
        frame = narrow.assign_coords(target=np.arange(narrow.sizes["target"])).to_dataframe().reset_index()
        first = [c for c in ("target", *TARGET_COORDS, "model", *MODEL_COORDS) if c in frame]
        return frame[first + [c for c in frame if c not in first]].sort_values(["target", "model"], kind="stable")

    def pairs_frame(self) -> pd.DataFrame:
        """One row per target and pair of models: difference of scores with its interval, and p values."""
        names = self.dataset["model"].values.astype(str)
        a, b = np.triu_indices(len(names), 1)
        of = {
            "difference": "difference", "ci_low": "difference_ci_low", "ci_high": "difference_ci_high", "p": "p_pairwise",
            "p_corrected": "p_pairwise_corrected",
        }  # fmt: skip
        held = {new: self.dataset[old].transpose("target", "model", "model_b").values for new, old in of.items()}
        targets = self.dataset.sizes["target"]
        about = {
            "test": str(self.dataset["test"].values), "correction": str(self.dataset["correction"].values),
            "family": f"all pairs and targets: {targets * len(a)} tests",
        }  # fmt: skip
        return pd.concat(
            [
                pd.DataFrame(
                    {"target": t, "model": names[a], "model_b": names[b]}
                    | {k: v[t, a, b] for k, v in held.items()}
                    | about
                )
                for t in range(targets)
            ]
        )

    def plot_time_course(self, **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.rsa.figures.comparison.plot_time_course`."""
        from .figures.comparison import plot_time_course

        return plot_time_course(self, **options)

    def plot_matrix(self, **options: Any) -> np.ndarray:
        """See :func:`bltvs_neuro.rsa.figures.comparison.plot_matrix`."""
        from .figures.comparison import plot_matrix

        return plot_matrix(self, **options)

    def plot_models(self, **options: Any) -> Axes:
        """See :func:`bltvs_neuro.rsa.figures.comparison.plot_models`."""
        from .figures.comparison import plot_models

        return plot_models(self, **options)
