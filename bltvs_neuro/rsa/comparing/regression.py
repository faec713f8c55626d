"""Weighted models and partial correlations of RDMs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats as sps
from scipy.optimize import nnls

from ...errors import DataError, SpecError, counted, unknown
from ...neural.align import align_rdms, rdm_stimulus_ids
from ...neural.condensed import n_from_pairs
from ...neural.labelled import check_rdms
from ...results import Result
from ...versions import versions
from ..inference.ceiling import nan_mean, scale_for_pooling
from ..inference.clusters import cluster_numbers, read_clusters
from ..inference.leave_out import leave_out, pairs_of
from ..inference.options import Inference
from ..provenance import describe
from .similarity import SIMILARITIES, Similarity, compare_vectors, similarity_name
from .weighted import Units, n_units
from .whitening import whiten

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WeightedModel:
    """A weighted sum of model RDMs, fitted and scored on what it was not fitted to."""

    names: tuple[str, ...]
    weights: Array
    """(models,) fitted to all data; not negative."""
    score: float
    """Mean over folds of the similarity with held-out subjects on pairs of held-out stimuli; a fold in which no model helped,
    so that all weights are zero, predicts nothing and counts as 0."""
    fold_scores: Array
    """(stimulus folds, subject folds)."""
    fold_weights: Array
    """(stimulus folds, subject folds, models)."""
    ceiling_lower: float
    """Mean over the same folds of the similarity with the pooled training subjects."""
    se: float
    ci_low: float
    ci_high: float
    p_zero: float
    """One-sided t test of the score against zero; one test, nothing to correct for."""
    generalises_to: str


def fit_weights(models: Array, data: Array, similarity: str = "pearson") -> Array:
    """Fit non-negative weights so that the weighted sum of models is like the pooled subjects.

    Parameters
    ----------
    models, data : arrays (n_models, n_pairs), (n_subjects, n_pairs)
        Pairs that are NaN in any of them are not used.
    similarity : str
        cosine, pearson, cosine_cov or corr_cov: decides how subjects are pooled, whether RDMs are centred, and whether
        entries are whitened.

    Returns
    -------
    array (n_models,)
        Not negative, of unit norm unless all are zero.

    References
    ----------
    Khaligh-Razavi & Kriegeskorte (2014), doi:10.1371/journal.pcbi.1003915.
    """
    kind = _linear(similarity)
    valid = np.asarray(~np.isnan(models).any(axis=0) & ~np.isnan(data).any(axis=0))
    if valid.sum() < 2:
        raise DataError("fewer than 2 pairs of stimuli have all their dissimilarities")
    x, y = (_rows(v, kind, valid) for v in (models, data))
    # The sum of subjects of unit norm has the largest mean similarity with them.
    weights, _ = nnls(x.T, (y / np.linalg.norm(y, axis=1, keepdims=True)).mean(axis=0))
    norm = np.linalg.norm(weights)
    return np.asarray(weights / norm if norm > 0 else weights)


def _linear(similarity: str) -> Similarity:
    kind = SIMILARITIES[similarity_name(similarity)]
    if kind.family != "linear":
        linear = [name for name, s in SIMILARITIES.items() if s.family == "linear"]
        raise SpecError(f"weights are fitted for {', '.join(linear)}; got {similarity!r}, which depends on ranks")
    return kind


def _rows(vectors: Array, kind: Similarity, valid: NDArray[np.bool_]) -> Array:
    """RDMs as rows in which least squares maximises the similarity."""
    x = np.where(valid, vectors, 0.0)
    if kind.centered:
        x = np.where(valid, x - x.sum(axis=1, keepdims=True) / valid.sum(), 0.0)
    return whiten(x, valid) if kind.whitened else x[:, valid]


def weighted_model(
    models: xr.DataArray,
    brain: xr.DataArray,
    *,
    similarity: str = "corr_cov",
    stimulus_folds: int = 5,
    subject_folds: int | None = None,
    inference: Inference = Inference(),
    seed: int = 0,
) -> WeightedModel:
    """Fit a weighted sum of models and score it on held-out stimuli and held-out subjects.

    Parameters
    ----------
    models, brain : xarray.DataArray
        RDMs without NaN; one RDM per subject in ``brain``.
    similarity : str
        See :func:`fit_weights`.
    stimulus_folds : int
        Groups of stimuli (of categories, with ``clusters``), left out in turn. A fold is scored on pairs within its stimuli: at
        least 4 stimuli each. 1: no cross-validation over stimuli.
    subject_folds : int, optional
        Groups of subjects, left out in turn; None: each subject on its own. 1: no cross-validation over subjects.
    inference : Inference
        ``over``, ``confidence`` and ``clusters``: everything is fitted and scored again without each stimulus and subject.
    seed : int
        Of the assignment of stimuli and subjects to folds.

    Returns
    -------
    WeightedModel

    References
    ----------
    Storrs et al. (2021), doi:10.1162/jocn_a_01755; Schütt et al. (2023), doi:10.7554/eLife.82566.
    """
    name = similarity_name(similarity)
    _linear(name)
    for rdms in (models, brain):
        check_rdms(rdms, missing="raise")
    models, brain = align_rdms(models, brain, names=("the models", "the neural data"))
    m, d = models.values, brain.values
    n, k = n_from_pairs(m.shape[1]), len(d)
    clusters = cluster_numbers(read_clusters(inference.clusters), rdm_stimulus_ids(models))
    groups = k if subject_folds is None else subject_folds
    if not 1 <= stimulus_folds <= n // 4:
        raise SpecError(f"{counted(n, 'stimuli')} allow 1 to {n // 4} folds of at least 4; got {stimulus_folds}")
    if not 1 <= groups <= k:
        raise SpecError(f"{counted(k, 'subjects')} allow 1 to {counted(k, 'folds')}; got {groups}")
    rng = np.random.default_rng(seed)
    stimulus_fold = stimulus_folds_of(n, stimulus_folds, rng, clusters)
    subject_fold = rng.permutation(np.arange(k) % groups)

    def crossvalidate(stimuli: NDArray[np.int64], subjects: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Scores, ceilings and weights of the folds, of some stimuli and subjects."""
        scores, ceilings = np.full((2, stimulus_folds, groups), np.nan)
        weights = np.full((stimulus_folds, groups, len(m)), np.nan)
        for i in range(stimulus_folds):
            test = pairs_of(stimuli[stimulus_fold[stimuli] == i], n)
            train = pairs_of(stimuli[(stimulus_fold[stimuli] != i) | (stimulus_folds == 1)], n)
            for j in range(groups):
                outside = subjects[subject_fold[subjects] == j]
                inside = subjects if groups == 1 else subjects[subject_fold[subjects] != j]
                if not len(outside):
                    continue
                weights[i, j] = fit_weights(m[:, train], d[inside][:, train], name)
                fitted = compare_vectors(weights[i, j] @ m[:, test], d[outside][:, test], name).mean()
                scores[i, j] = fitted if weights[i, j].any() else 0.0
                if groups > 1:
                    pool = nan_mean(scale_for_pooling(d[inside], SIMILARITIES[name]))
                    ceilings[i, j] = compare_vectors(pool[test], d[outside][:, test], name).mean()
        return scores, ceilings, weights

    scores, ceilings, weights = crossvalidate(np.arange(n), np.arange(k))
    found = leave_out(lambda s, v: np.array([np.nanmean(crossvalidate(s, v)[0])]), n, k, inference, clusters=clusters)
    names = tuple(str(x) for x in models["name"].values) if "name" in models.coords else tuple(map(str, range(len(m))))
    return WeightedModel(
        names, fit_weights(m, d, name), float(np.mean(scores)), scores, weights, float(ceilings.mean()),
        float(found.se[0]), float(found.ci_low[0]), float(found.ci_high[0]), float(found.p_zero[0]),
        found.about["generalises_to"],
    )  # fmt: skip


def stimulus_folds_of(n: int, folds: int, rng: np.random.Generator, clusters: Units = None) -> NDArray[np.int64]:
    """The fold of each stimulus, of about one size; a category is in one fold."""
    units = n_units(np.empty((0, n * (n - 1) // 2)), clusters)
    fold = rng.permutation(np.arange(units) % folds)
    return fold if clusters is None else fold[clusters]


class PartialCorrelation(Result):
    """Correlations of models with brains after taking control RDMs out.

    Attributes
    ----------
    dataset : xarray.Dataset
        ``r_subject`` (model, subject); of each model the mean over subjects ``r`` with ``se``, ``dof``, ``ci_low``, ``ci_high``,
        ``p_zero`` (one-sided) and ``p_zero_corrected`` over all models; ``test``, ``family``, ``correction``, ``generalises_to``.
        NaN where the controls explain a model entirely.
    """

    kind = "rsa_partial"

    def to_frame(self) -> pd.DataFrame:
        """One row per model."""
        return self.dataset.drop_vars(["r_subject", "subject"]).to_dataframe().reset_index()


def partial_correlation(
    models: xr.DataArray,
    brain: xr.DataArray,
    control: xr.DataArray,
    *,
    kind: Literal["partial", "semipartial"] = "partial",
    ranks: Literal["no", "yes"] = "no",
    inference: Inference = Inference(),
) -> PartialCorrelation:
    """Correlate models with subjects after taking control RDMs out.

    Parameters
    ----------
    models, brain, control : xarray.DataArray
        RDMs without NaN.
    kind : {"partial", "semipartial"}
        Controls are taken out of both, or of the models only: the square of the semi-partial correlation is the share of the
        subject's variance that a model adds to the controls.
    ranks : {"no", "yes"}
        Replace RDMs by their ranks first.
    inference : Inference
        ``over``, ``confidence``, ``correction`` and ``clusters``: everything is computed again without each stimulus and subject.

    Returns
    -------
    PartialCorrelation

    Examples
    --------
    >>> from bltvs_neuro.neural import make_rdms
    >>> a, b = (make_rdms(np.random.default_rng(i).random(15), list("abcdef"), metric="m") for i in (0, 1))
    >>> bool(np.isnan(partial_correlation(a, b, a)["r_subject"][0, 0]))
    True
    """
    if kind not in ("partial", "semipartial"):
        raise unknown("kind", kind, ("partial", "semipartial"))
    for rdms in (models, brain, control):
        check_rdms(rdms, missing="raise")
    models, brain, control = align_rdms(models, brain, control, names=("the models", "the neural data", "the controls"))
    x, y, z = (r.values for r in (models, brain, control))
    n, k = n_from_pairs(x.shape[1]), len(y)
    clusters = cluster_numbers(read_clusters(inference.clusters), rdm_stimulus_ids(models))

    def correlate(stimuli: NDArray[np.int64], subjects: NDArray[np.int64]) -> Array:
        kept = pairs_of(stimuli, n)
        return _partial(x[:, kept], y[subjects][:, kept], z[:, kept], kind, ranks)  # (model, subject)

    found = leave_out(lambda s, v: correlate(s, v).mean(axis=1), n, k, inference, clusters=clusters)
    names = [
        [str(label) for label in (rdms[name].values if name in rdms.coords else np.arange(len(rdms)))]
        for rdms, name in ((models, "name"), (brain, "subject"))
    ]
    columns = {"r": found.value} | {
        name: getattr(found, name) for name in ("se", "dof", "ci_low", "ci_high", "p_zero", "p_zero_corrected")
    }
    dataset = xr.Dataset(
        {"r_subject": (("model", "subject"), correlate(np.arange(n), np.arange(k)))}
        | {name: ("model", values) for name, values in columns.items()}
        | {name: ((), text) for name, text in found.about.items()},
        coords={"model": names[0], "subject": names[1]},
    )
    inputs = {name: describe(rdms) for name, rdms in (("models", models), ("brain", brain), ("control", control))}
    options = {"kind": kind, "ranks": ranks, **inference.described()}
    return PartialCorrelation(dataset, {"options": options, "inputs": inputs, "versions": versions()})


def _partial(x: Array, y: Array, z: Array, kind: str, ranks: str) -> Array:
    """(models, subjects) of vectors of pairs."""
    if ranks == "yes":
        x, y, z = (np.asarray(sps.rankdata(v, axis=1), dtype=np.float64) for v in (x, y, z))
    design = np.column_stack([np.ones(z.shape[1]), z.T])
    basis, singular, _ = np.linalg.svd(design / np.linalg.norm(design, axis=0), full_matrices=False)
    basis = basis[:, singular > 1e-10 * singular[0]]

    def unit(v: Array, *, residual: bool) -> Array:
        v = v - v.mean(axis=1, keepdims=True)
        before = np.linalg.norm(v, axis=1)
        if residual:
            v = v - (v @ basis) @ basis.T
        norm = np.linalg.norm(v, axis=1)
        return np.asarray(v / np.where(norm > 1e-10 * before, norm, np.nan)[:, None])

    return np.asarray(unit(x, residual=True) @ unit(y, residual=kind == "partial").T)
