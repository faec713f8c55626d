"""One call from a store and responses to scores: nested, grouped cross-validation of many feature spaces."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..cluster import Cluster
from ..errors import SpecError, argument, listed
from ..features.folds import Folds
from ..features.select import Selection
from ..features.stores import Activations, store_of
from ..options import Run
from ..schema import STIMULUS_ID
from ..versions import versions
from .build import Partition, build_partition, build_result
from .result import EncodingResult, PartitionResult
from .scores.ceiling import CeilingMethod, ceiling_influence, noise_ceiling
from .solvers.estimators import BandedRidge, Over, Ridge, Solver
from .sweep.finished_spaces import Parts
from .sweep.linear import NEARLY, LinearBandWarning
from .sweep.orders import Permutations
from .sweep.plan import Asked, Plan, make_plan, make_spec
from .sweep.run import run_spaces
from .sweep.spaces import Member, Space, banded_spaces, choose_members, single_spaces, stimulus_ids, useless_spaces
from .sweep.targets import Targets, prepare_targets

PARTITION_SOLVER = BandedRidge(candidates=20, on_edge="ignore")
"""The solver of a partition, unless another is asked for: it is fitted to every combination of bands."""


def fit_encoding(
    acts: Activations,
    responses: Any,
    *,
    sites: Selection = "all",
    solver: Solver = Ridge(),
    cv: Folds = Folds(),
    transform: Any = None,
    ceiling: CeilingMethod | np.ndarray | None = None,
    n_permutations: int | Permutations = 0,
    run: Run = Run(),
    resume_path: str | os.PathLike[str] | None = None,
) -> EncodingResult:
    """Predict responses from feature spaces of a store, cross-validated over stimuli.

    Parameters
    ----------
    acts : path, store, or mapping of site to DataArray (stimulus, timestep, *unit dims)
        A store (:func:`bltvs_neuro.store.open_store`) or its path, read lazily, or a dict of such arrays.
    responses : DataArray with dims (presentation, neuroid[, time])
        Matched to the store by ``stimulus_id``. Targets with NaN or without variance are not fitted; their status in the
        result says so.
    sites : str, iterable of str or Select
        What to predict from (:mod:`bltvs_neuro.features.select`). Sites and timesteps that are the same for every stimulus
        are left out and named in the result; asked for by name, they are refused.
    solver : Ridge, BandedRidge, PLS or OLS
        With its options.
    cv : Folds
        Which presentations are used, and how they are split.
    transform : "zscore" or scikit-learn transformer, optional
        Scaling, PCA, projection or selection, fitted on the training rows of each fold. All but ``"zscore"`` need the
        features in memory.
    ceiling : {"split_half", "ncsnr", "repetition_variance"} or array of shape (neuroid[, time]), optional
        Noise ceiling on R2 for normalised scores; by name from the repetitions (offsets of sessions, where the coordinate
        ``session`` tells them, count as noise), or known from elsewhere.
    n_permutations : int or Permutations
        Shuffles for p values; 0 for none. q values are FDR over all spaces and targets; ``Permutations(1000, fwer=True)`` adds
        p values that bound the family-wise error.
    run : Run
        Device, memory, precision, seed, cluster.
    resume_path : path, optional
        A folder for finished feature spaces: the same call goes on where it stopped, another call is refused.

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
    >>> fit = fit_encoding(acts, responses, sites="all@1", solver=bn.Ridge(on_edge="ignore"), cv=bn.Folds(3))
    >>> fit["stream"].values.tolist(), fit["r"].dims, fit["r"].shape
    (['bu', 'td'], ('space', 'neuroid'), (2, 4))
    """
    permutations = n_permutations if isinstance(n_permutations, Permutations) else Permutations(n_permutations)
    asked = Asked(solver, cv, run, transform, permutations)
    acts = store_of(acts)
    members, left_out = choose_members(acts, sites)
    spaces = banded_spaces(members, solver.bands) if isinstance(solver, BandedRidge) else single_spaces(members)  # type: ignore[arg-type]
    sweep = prepare(acts, responses, members, spaces, left_out, asked)
    limits = _ceiling(responses, ceiling, sweep.plan, cv, sweep.ids)
    with run.limited():
        arrays = sweep.run(resume_path, run.cluster)
    return build_result(sweep.spaces, arrays, sweep.plan, sweep.attrs, ceiling=limits, ids=sweep.ids)


def partition_encoding(
    acts: Activations,
    responses: Any,
    *,
    over: Over = "stream",
    sites: Selection = "all",
    solver: BandedRidge = PARTITION_SOLVER,
    cv: Folds = Folds(),
    run: Run = Run(),
    resume_path: str | os.PathLike[str] | None = None,
) -> PartitionResult:
    """Unique and shared variance of streams, areas or timesteps, by commonality of cross-validated R2.

    Every combination of bands is fitted by banded ridge on the same folds; see
    :func:`bltvs_neuro.encoding.sweep.partition.commonality`. Each area and timestep (``over="stream"``) is a partition of
    its own. What a band that adds nothing would show is measured on simulated responses
    (:mod:`bltvs_neuro.encoding.sweep.simulated_null`); :meth:`PartitionResult.unique` gives the mean over neuroids beyond
    that, with an interval. What is unique to a band is beyond what ridge on the others can reach: a LinearBandWarning says
    where that may be no more than a better basis (:mod:`bltvs_neuro.encoding.sweep.linear`).

    Parameters
    ----------
    acts, responses, sites, cv, run, resume_path
        As :func:`fit_encoding`.
    over : {"stream", "area", "timestep"}
        What is told apart; at most 8 of them.
    solver : BandedRidge
        Its ``bands`` are ``over``.

    Returns
    -------
    PartitionResult

    Raises
    ------
    SpecError, DataError, StoreError
        As :func:`fit_encoding`.

    Examples
    --------
    >>> acts = bn.open_store("acts.h5")
    >>> voxels = acts["V1/bu"].sel(timestep=1).values[:, :4]
    >>> responses = bn.make_responses(voxels, acts.stimulus_ids, neuroid_coords={"roi": "V1"})
    >>> solver = bn.BandedRidge(candidates=2, on_edge="ignore")
    >>> parts = partition_encoding(acts, responses, sites="all@1", solver=solver, cv=bn.Folds(3))
    >>> parts["part"].values.tolist()
    ['bu', 'td', 'bu & td']
    """
    asked = Asked(solver, cv, run)
    acts = store_of(acts)
    members, left_out, spaces = partition_spaces(acts, over, sites)
    sweep = prepare(acts, responses, members, spaces, left_out, asked)
    with run.limited():
        arrays = sweep.run(resume_path, run.cluster)
    partitions: dict[tuple[Any, ...], Partition] = {}
    for space, result in zip(spaces, arrays, strict=True):
        one = partitions.setdefault(tuple(sorted(space.labels.items())), Partition(space.labels, {}, {}))
        if space.useless:
            one.useless[space.useless] = result
        else:
            one.spaces[frozenset(member.band for member in space.members)] = result
    _warn_linear(partitions.values())
    return build_partition(list(partitions.values()), sweep.plan, sweep.attrs)


def _warn_linear(partitions: Iterable[Partition]) -> None:
    """A LinearBandWarning where what a band explains uniquely may be that of a better basis."""
    nearly = [
        f"{band} in {'/'.join(str(v) for v in one.labels.values()) or 'all'} ({float(found['linear']):.2f})"
        for one in partitions
        for band, found in one.useless.items()
        if found["linear"] >= NEARLY
    ]
    if nearly:
        warnings.warn(
            f"nearly linear functions of the other bands: {listed(nearly)}, as shares of what these stimuli can tell. What they "
            "explain uniquely is beyond what ridge on the others can reach, and may be the same information in a better basis",
            LinearBandWarning,
            stacklevel=3,
        )


def partition_spaces(
    acts: Mapping[str, Any], over: Over, sites: Selection
) -> tuple[list[Member], list[str], list[Space]]:
    """The feature spaces of a partition; SpecError where there is nothing to tell apart."""
    members, left_out = choose_members(acts, sites)
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
        self, resume_path: str | os.PathLike[str] | None, cluster: Cluster | None = None
    ) -> list[dict[str, np.ndarray]]:
        """Fit every space."""
        parts = None if resume_path is None else Parts(resume_path, self.spec)
        return run_spaces(self.acts, self.spaces, self.plan, parts=parts, cluster=cluster)


def prepare(
    acts: Mapping[str, Any],
    responses: Any,
    members: Sequence[Member],
    spaces: Sequence[Space],
    left_out: Sequence[str],
    asked: Asked,
) -> Sweep:
    """Match responses and store, and plan the sweep over ``spaces``."""
    ids = stimulus_ids(acts, members)
    targets = prepare_targets(responses, ids, asked.cv)
    plan = make_plan(targets, spaces, asked)
    spec = make_spec(plan, spaces, acts, asked.cv)
    return Sweep(acts, spaces, plan, spec, _attrs(responses, spec, targets, left_out), ids)


def _ceiling(
    responses: Any,
    ceiling: CeilingMethod | np.ndarray | None,
    plan: Plan,
    cv: Folds,
    store_ids: np.ndarray,
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """The ceiling, and the influence of every row on its averages where it was estimated."""
    targets = plan.targets
    if ceiling is None:
        return None
    if not isinstance(ceiling, str):
        limits = np.asarray(ceiling, np.float64)
        if limits.shape != targets.shape:
            raise SpecError(f"ceiling has shape {targets.shape}, one value per target; got {limits.shape}")
        return limits, None
    if cv.repetitions != "average":
        raise SpecError(
            f"a ceiling by name is one of averaged responses: pass {argument('repetitions', 'average')}, or an array"
        )
    shared = np.isin(responses[STIMULUS_ID].values.astype(str), store_ids)
    responses = responses if shared.all() else responses[shared]
    names, influence = ceiling_influence(responses, plan.averages, targets.good)
    return noise_ceiling(responses, ceiling), influence[np.searchsorted(names, store_ids[targets.stimuli].astype(str))]


def _attrs(responses: Any, spec: dict[str, Any], targets: Targets, left_out: Sequence[str]) -> dict[str, Any]:
    """Provenance of a result, and the volume of its neuroids, as text."""
    volume = {key: np.asarray(v).tolist() for key, v in responses.attrs.items() if key in ("volume_shape", "affine")}
    provenance = {
        "spec": spec,
        "responses": {key: value for key, value in responses.attrs.items() if key not in volume},
        "left_out": list(left_out),
        "stimuli_not_shared": targets.left_out,
        "versions": versions(),
    }
    return {
        "provenance": json.dumps(provenance, default=str, sort_keys=True),
        **{key: json.dumps(value) for key, value in volume.items()},
    }
