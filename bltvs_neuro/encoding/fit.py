"""One call from a store and responses to scores: nested, grouped cross-validation of many feature spaces."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np

from ..cluster import Cluster
from ..errors import SpecError, argument, listed
from ..features.grams import Scale
from ..schema import STIMULUS_ID
from .result import EncodingResult, PartitionResult, build_partition, build_result
from .scores.ceiling import CeilingMethod, noise_ceiling
from .solvers.fold_fits import BANDED
from .solvers.ridge import Dtype, OnEdge
from .sweep.finished_spaces import Parts
from .sweep.partition import commonality
from .sweep.plan import Choices, Choose, Plan, SolverName, Weights, make_plan, make_spec
from .sweep.run import Progress, run_spaces
from .sweep.spaces import (
    Member,
    Over,
    Space,
    banded_spaces,
    choose_members,
    single_spaces,
    stimulus_ids,
    useless_spaces,
)
from .sweep.targets import BadTargets, OnMismatch, Repetitions, Targets, prepare_targets

PLAIN_SWEEP = {"solver": "banded", "scale": "none", "transform": None, "weights": "none", "n_permutations": 0}


def fit_encoding(
    acts: Mapping[str, Any],
    responses: Any,
    *,
    sites: str | Iterable[str] = "all",
    streams: str | Iterable[str] = "all",
    timesteps: Any = "all",
    bands: Over | None = None,
    groups: str | tuple[str, ...] = "stimulus_id",
    repetitions: Repetitions = "average",
    on_mismatch: OnMismatch = "raise",
    bad_targets: BadTargets = "mark",
    cv: int = 5,
    inner_cv: int = 5,
    solver: SolverName = "ridge",
    by: Choose = "auto",
    window: int | None = 1,
    alphas: Sequence[float] | np.ndarray | None = None,
    n_components: int = 25,
    n_iter: int = 100,
    scale: Scale = "none",
    transform: Any = None,
    ceiling: CeilingMethod | np.ndarray | None = None,
    n_permutations: int = 0,
    weights: Weights = "none",
    memory: int | str = "2GiB",
    dtype: Dtype = "float32",
    device: str | None = None,
    seed: int = 0,
    on_edge: OnEdge = "warn",
    progress: Callable[[Progress], None] | None = None,
    resume_path: str | os.PathLike[str] | None = None,
    cluster: Cluster | None = None,
) -> EncodingResult:
    """Predict responses from feature spaces of a store, cross-validated over stimuli.

    Parameters
    ----------
    acts : mapping of site to DataArray (stimulus, timestep, *unit dims)
        A store (:func:`bltvs_neuro.store.open_store`), read lazily, or a dict of such arrays.
    responses : DataArray with dims (presentation, neuroid[, time])
        Matched to the store by ``stimulus_id``.
    sites : str or iterable of str
        ``"all"``, sites (``"V4/td"``), areas (``"V4"``) or a range (``"V1:LOC"``). Sites and timesteps that are the same for
        every stimulus are left out and named in the result; asked for by name and constant throughout, a site is refused.
    streams : str or iterable of str
        ``"bu"``, ``"td"`` or both, of the sites.
    timesteps : str, int, slice or iterable of int
        Of the model.
    bands : {"area", "stream", "timestep"}, optional
        For banded solvers: join the sites that differ in this only.
    groups : str or tuple of str
        Coordinates on presentation whose rows must stay on one side of every fold, such as ``("stimulus_id", "run")``.
    repetitions : {"average", "single"}
        Predict the mean over a stimulus' repetitions (run and session are lost), or every presentation.
    on_mismatch : {"raise", "intersect"}
        When stimuli are on one side only.
    bad_targets : {"mark", "raise"}
        Targets with NaN or without variance: fit the others and give these NaN scores and a status, or refuse.
    cv, inner_cv : int
        Folds that score, and folds within their training rows that choose (``by="kfold"``).
    solver : {"ridge", "banded", "banded_hyper_gradient", "pls", "ols"}
    by : {"auto", "gcv", "loo", "kfold"}
        How ridge chooses alpha. ``"auto"``: generalised cross-validation, or k-fold where groups have several rows.
    window : int or None
        How many alphas beside each minimum of the GCV curve ``"loo"`` and ``"kfold"`` try first; they go on while the loss
        falls. A target whose loss has a second minimum, where GCV has none, may get the other one; None tries all alphas,
        at several times the cost.
    alphas : sequence of positive floats, ascending, optional
        Default: 21 from 1e-4 to 1e6 times the features' variance per training row. Banded solvers scale each band by
        that variance; their alphas are in its units.
    n_components : int
        Of PLS.
    n_iter : int
        Candidate shares of banded ridge.
    scale : {"none", "zscore"}
        Scaling of features, fitted on the training rows of each fold.
    transform : scikit-learn transformer, optional
        PCA, projection or selection; cloned and fitted on the training rows of each fold. Needs the features in memory.
    ceiling : {"split_half", "ncsnr", "repetition_variance"} or array of shape (neuroid[, time]), optional
        Noise ceiling on R2 for normalised scores; by name from the repetitions, or known from elsewhere.
    n_permutations : int
        Shuffles for p values; 0 for none. q values are FDR over all spaces and targets.
    weights : {"none", "dual"}
        Also keep dual coefficients of a fit on all rows (ridge).
    memory : int or str
        The most bytes to use beside the responses: ``"2GiB"``.
    dtype : {"float32", "float64"}
        Of the products of features and with targets; sums and decompositions are always float64.
    device : str, optional
        None for numpy, or a torch device (``"cuda"``, ``"auto"``).
    seed : int
        Of folds, candidates and permutations.
    on_edge : {"warn", "ignore"}
        Warn when the grid's edge is chosen.
    progress : callable taking a Progress, optional
        Called after each feature space, with the time left.
    resume_path : path, optional
        A folder for finished feature spaces: the same call goes on where it stopped, another call is refused.
    cluster : str or distributed.Client, optional
        A Dask cluster (:data:`bltvs_neuro.cluster.Cluster`) whose workers fit a feature space each; they must see the
        store under the same name.

    Returns
    -------
    EncodingResult

    Raises
    ------
    SpecError
        Arguments that do not fit, or more memory needed than granted.
    DataError
        Stimuli that differ, fewer stimuli than folds, no target that can be fitted.
    StoreError
        A store of another form, or a resume_path of another sweep.

    Examples
    --------
    >>> acts = bn.open_store("acts.h5")
    >>> voxels = acts["V1/bu"].sel(timestep=1).values[:, :4]
    >>> responses = bn.make_responses(voxels, acts.stimulus_ids, neuroid_coords={"roi": "V1"})
    >>> fit = fit_encoding(acts, responses, timesteps=1, cv=3, on_edge="ignore")
    >>> fit["stream"].values.tolist(), fit["r"].dims, fit["r"].shape
    (['bu', 'td'], ('space', 'neuroid'), (2, 4))
    """
    if (bands is not None) != (solver in BANDED):
        raise SpecError(
            f"bands are for solvers {listed(BANDED)}, which need them; got bands {bands!r} and solver {solver!r}"
        )
    choices = Choices(
        groups=groups, repetitions=repetitions, on_mismatch=on_mismatch, bad_targets=bad_targets, cv=cv,
        inner_cv=inner_cv, solver=solver, by=by, window=window, alphas=alphas, n_components=n_components, n_iter=n_iter,
        scale=scale, transform=transform, weights=weights, n_permutations=n_permutations, memory=memory, dtype=dtype,
        device=device, seed=seed, on_edge=on_edge,
    )  # fmt: skip
    members, left_out = choose_members(acts, sites, timesteps, streams)
    spaces = single_spaces(members) if bands is None else banded_spaces(members, bands)
    sweep = prepare(acts, responses, members, spaces, left_out, choices)
    limits = _ceiling(responses, ceiling, sweep.plan.targets, repetitions, sweep.ids)
    arrays = sweep.run(progress, resume_path, cluster)
    return build_result(sweep.spaces, arrays, sweep.plan, sweep.attrs, ceiling=limits, ids=sweep.ids)


def partition_encoding(
    acts: Mapping[str, Any],
    responses: Any,
    *,
    over: Over = "stream",
    sites: str | Iterable[str] = "all",
    streams: str | Iterable[str] = "all",
    timesteps: Any = "all",
    n_iter: int = 20,
    progress: Callable[[Progress], None] | None = None,
    resume_path: str | os.PathLike[str] | None = None,
    cluster: Cluster | None = None,
    **options: Any,
) -> PartitionResult:
    """Unique and shared variance of streams, areas or timesteps, by commonality of cross-validated R2.

    Every combination of bands is fitted by banded ridge on the same folds; see
    :func:`bltvs_neuro.encoding.sweep.partition.commonality`. Each area and timestep (``over="stream"``) is a partition of
    its own. What a band that adds nothing would show is measured on simulated responses
    (:mod:`bltvs_neuro.encoding.sweep.simulated_null`); :meth:`PartitionResult.unique` gives the mean over neuroids beyond
    that, with an interval.

    Parameters
    ----------
    acts, responses, sites, streams, timesteps, progress, resume_path, cluster
        As :func:`fit_encoding`.
    over : {"stream", "area", "timestep"}
        What is told apart; at most 8 of them.
    n_iter : int
        Candidate shares of each banded ridge.
    **options
        groups, repetitions, on_mismatch, bad_targets, cv, inner_cv, by, window, alphas, memory, dtype, device, seed and
        on_edge, as :func:`fit_encoding` takes them; ``on_edge`` is ``"ignore"`` here.

    Returns
    -------
    PartitionResult

    Raises
    ------
    SpecError, DataError, StoreError
        As :func:`fit_encoding`.
    """
    choices = Choices.read({"on_edge": "ignore", **options}, fixed={"n_iter": n_iter, "n_components": 1, **PLAIN_SWEEP})
    members, left_out, spaces = partition_spaces(acts, over, sites, timesteps, streams)
    sweep = prepare(acts, responses, members, spaces, left_out, choices)
    arrays = sweep.run(progress, resume_path, cluster)
    grouped: dict[tuple[Any, ...], dict[frozenset[str], np.ndarray]] = {}
    useless: dict[tuple[Any, ...], dict[str, np.ndarray]] = {}
    labels: dict[tuple[Any, ...], dict[str, Any]] = {}
    for space, result in zip(spaces, arrays, strict=True):
        key = tuple(sorted(space.labels.items()))
        labels[key] = space.labels
        if space.useless:
            useless.setdefault(key, {})[space.useless] = result["r2"]
            continue
        grouped.setdefault(key, {})[frozenset(member.band for member in space.members)] = result["r2"]
    partitions = [(labels[key], commonality(r2), useless.get(key, {})) for key, r2 in grouped.items()]
    return build_partition(partitions, sweep.plan, sweep.attrs)


def partition_spaces(
    acts: Mapping[str, Any], over: Over, sites: Any, timesteps: Any, streams: Any
) -> tuple[list[Member], list[str], list[Space]]:
    """The feature spaces of a partition; SpecError where there is nothing to tell apart."""
    members, left_out = choose_members(acts, sites, timesteps, streams)
    spaces = banded_spaces(members, over, subsets=True)
    useless = useless_spaces(spaces)
    if not useless:
        raise SpecError(
            f"a partition by {over} tells at least two {over}s apart, at the same of all else; chosen are {listed(members)}"
        )
    return members, left_out, spaces + useless


class Sweep(NamedTuple):
    """Feature spaces, ready to be fitted."""

    acts: Mapping[str, Any]
    spaces: Sequence[Space]
    plan: Plan
    spec: dict[str, Any]
    attrs: dict[str, Any]
    """Provenance, for the result."""
    ids: np.ndarray
    """The store's stimuli."""

    def run(
        self,
        progress: Callable[[Progress], None] | None,
        resume_path: str | os.PathLike[str] | None,
        cluster: Cluster | None = None,
    ) -> list[dict[str, np.ndarray]]:
        """Fit every space."""
        parts = None if resume_path is None else Parts(resume_path, self.spec)
        return run_spaces(self.acts, self.spaces, self.plan, parts=parts, progress=progress, cluster=cluster)


def prepare(
    acts: Mapping[str, Any],
    responses: Any,
    members: Sequence[Member],
    spaces: Sequence[Space],
    left_out: Sequence[str],
    choices: Choices,
) -> Sweep:
    """Match responses and store, and plan the sweep over ``spaces``."""
    ids = stimulus_ids(acts, members)
    targets = prepare_targets(
        responses,
        ids,
        groups=choices.groups,
        repetitions=choices.repetitions,
        on_mismatch=choices.on_mismatch,
        bad_targets=choices.bad_targets,
    )
    plan = make_plan(targets, spaces, choices)
    spec = make_spec(plan, spaces, acts)
    return Sweep(acts, spaces, plan, spec, _attrs(responses, spec, targets, left_out), ids)


def _ceiling(
    responses: Any,
    ceiling: CeilingMethod | np.ndarray | None,
    targets: Targets,
    repetitions: str,
    store_ids: np.ndarray,
) -> np.ndarray | None:
    if ceiling is None:
        return None
    if not isinstance(ceiling, str):
        limits = np.asarray(ceiling, np.float64)
        if limits.shape != targets.shape:
            raise SpecError(f"ceiling has shape {targets.shape}, one value per target; got {limits.shape}")
        return limits
    if repetitions != "average":
        raise SpecError(
            f"a ceiling by name is one of averaged responses: pass {argument('repetitions', 'average')}, or an array"
        )
    shared = np.isin(responses[STIMULUS_ID].values.astype(str), store_ids)
    return noise_ceiling(responses if shared.all() else responses[shared], ceiling)


def _attrs(responses: Any, spec: dict[str, Any], targets: Targets, left_out: Sequence[str]) -> dict[str, Any]:
    """Provenance of a result, as text."""
    try:
        ours = version("bltvs_neuro")
    except PackageNotFoundError:
        ours = "unknown"
    about = {key: value for key, value in responses.attrs.items() if key not in ("volume_shape", "affine")}
    attrs: dict[str, Any] = {
        "package": f"bltvs_neuro {ours}",
        "spec": json.dumps(spec, default=str, sort_keys=True),
        "responses": json.dumps(about, default=str, sort_keys=True),
        "left_out": json.dumps(list(left_out)),
        "stimuli_not_shared": json.dumps(targets.left_out),
    }
    for key in ("volume_shape", "affine"):
        if key in responses.attrs:
            attrs[key] = json.dumps(np.asarray(responses.attrs[key]).tolist())
    return attrs
