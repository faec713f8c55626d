"""One call from a store and responses to scores: nested, grouped cross-validation of many feature spaces."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, get_args

import numpy as np

from ..errors import SpecError, listed, unknown
from ..schema import STIMULUS_ID
from .backend import Backend
from .ceiling import CeilingMethod, noise_ceiling
from .folds import group_folds, inner_blocks
from .gram import Scale
from .partition import commonality
from .parts import Parts
from .result import EncodingResult, PartitionResult, build_partition, build_result
from .ridge import By, Dtype, OnEdge, check_alphas
from .solvers import BANDED, SOLVERS, Options
from .spaces import Over, Space, banded_spaces, choose_members, single_spaces, stimulus_ids
from .sweep import Plan, Progress, run_spaces
from .targets import BadTargets, OnMismatch, Repetitions, Targets, prepare_targets

SolverName = Literal["ridge", "banded", "banded_hyper_gradient", "pls", "ols"]
Choose = Literal["auto", "gcv", "loo", "kfold"]
Weights = Literal["none", "dual"]
log = logging.getLogger(__name__)

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def fit_encoding(
    acts: Mapping[str, Any],
    responses: Any,
    *,
    sites: str | Iterable[str] = "all",
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
    """
    if (bands is not None) != (solver in BANDED):
        raise SpecError(
            f"bands are for solvers {listed(BANDED)}, which need them; got bands={bands!r}, solver={solver!r}"
        )
    members, left_out = choose_members(acts, sites, timesteps)
    spaces = single_spaces(members) if bands is None else banded_spaces(members, bands)
    ids = stimulus_ids(acts, members)
    targets = prepare_targets(
        responses,
        ids,
        groups=groups,
        repetitions=repetitions,
        on_mismatch=on_mismatch,
        bad_targets=bad_targets,
    )
    limits = _ceiling(responses, ceiling, targets, repetitions, ids)
    options = {
        "by": by, "alphas": alphas, "n_components": n_components, "n_iter": n_iter, "dtype": dtype, "seed": seed,
        "on_edge": on_edge, "device": device, "cv": cv, "inner_cv": inner_cv, "solver": solver, "scale": scale,
        "transform": transform, "weights": weights, "n_permutations": n_permutations, "memory": memory,
    }  # fmt: skip
    plan, spec = make_plan(targets, spaces, acts, options)
    parts = None if resume_path is None else Parts(resume_path, spec)
    arrays = run_spaces(acts, spaces, plan, parts=parts, progress=progress)
    attrs = make_attrs(acts, responses, spec, targets, left_out)
    return build_result(spaces, arrays, targets, plan.folds, attrs, ceiling=limits, row_ids=ids[targets.stimuli])


def partition_encoding(
    acts: Mapping[str, Any],
    responses: Any,
    *,
    over: Over = "stream",
    sites: str | Iterable[str] = "all",
    timesteps: Any = "all",
    groups: str | tuple[str, ...] = "stimulus_id",
    repetitions: Repetitions = "average",
    on_mismatch: OnMismatch = "raise",
    bad_targets: BadTargets = "mark",
    cv: int = 5,
    inner_cv: int = 5,
    by: Choose = "auto",
    alphas: Sequence[float] | np.ndarray | None = None,
    n_iter: int = 20,
    memory: int | str = "2GiB",
    dtype: Dtype = "float32",
    device: str | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
    resume_path: str | os.PathLike[str] | None = None,
) -> PartitionResult:
    """Unique and shared variance of streams, areas or timesteps, by commonality of cross-validated R2.

    Every combination of bands is fitted by banded ridge on the same folds; see
    :func:`bltvs_neuro.encoding.partition.commonality`. Each area and timestep (``over="stream"``) is a partition of its own.

    Parameters
    ----------
    over : {"stream", "area", "timestep"}
        What is told apart; at most 8 of them.
    acts, responses, sites, ...
        As :func:`fit_encoding`.

    Returns
    -------
    PartitionResult
    """
    members, left_out = choose_members(acts, sites, timesteps)
    spaces = banded_spaces(members, over, subsets=True)
    ids = stimulus_ids(acts, members)
    targets = prepare_targets(
        responses, ids, groups=groups, repetitions=repetitions, on_mismatch=on_mismatch, bad_targets=bad_targets
    )
    options = {
        "by": by, "alphas": alphas, "n_components": 1, "n_iter": n_iter, "dtype": dtype, "seed": seed,
        "on_edge": "ignore", "device": device, "cv": cv, "inner_cv": inner_cv, "solver": "banded", "scale": "none",
        "transform": None, "weights": "none", "n_permutations": 0, "memory": memory,
    }  # fmt: skip
    plan, spec = make_plan(targets, spaces, acts, options)
    parts = None if resume_path is None else Parts(resume_path, spec)
    arrays = run_spaces(acts, spaces, plan, parts=parts, progress=progress)
    grouped: dict[tuple[Any, ...], dict[frozenset[str], np.ndarray]] = {}
    labels: dict[tuple[Any, ...], dict[str, Any]] = {}
    for space, result in zip(spaces, arrays, strict=True):
        key = tuple(sorted(space.labels.items()))
        labels[key] = space.labels
        grouped.setdefault(key, {})[frozenset(member.band for member in space.members)] = result["r2"]
    partitions = [(labels[key], commonality(r2)) for key, r2 in grouped.items()]
    return build_partition(partitions, targets, make_attrs(acts, responses, spec, targets, left_out))


def parse_memory(memory: int | str) -> int:
    """Bytes from a number or text such as ``"2GiB"``.

    Examples
    --------
    >>> parse_memory("1.5GiB")
    1610612736
    """
    if isinstance(memory, str):
        text = memory.strip()
        unit = next((u for u in sorted(_UNITS, key=len, reverse=True) if text.endswith(u)), "")
        try:
            memory = int(float(text.removesuffix(unit)) * _UNITS.get(unit, 1))
        except (ValueError, OverflowError):
            raise SpecError(f"memory is a number of bytes or text such as '2GiB'; got {text!r}") from None
    if memory <= 0:
        raise SpecError(f"memory is positive; got {memory}")
    return int(memory)


def make_plan(
    targets: Targets, spaces: Sequence[Space], acts: Mapping[str, Any], options: dict[str, Any]
) -> tuple[Plan, dict[str, Any]]:
    """Check options and work out what all spaces share, and the spec that names the sweep."""
    solver, by, scale, transform = (options[key] for key in ("solver", "by", "scale", "transform"))
    for what, got, valid in (
        ("solver", solver, tuple(SOLVERS)),
        ("way to choose alpha", by, get_args(Choose)),
        ("scale", scale, get_args(Scale)),
        ("dtype", options["dtype"], get_args(Dtype)),
        ("weights", options["weights"], get_args(Weights)),
    ):
        if got not in valid:
            raise unknown(what, got, valid)
    if options["weights"] == "dual" and (solver != "ridge" or scale != "none" or transform is not None):
        raise SpecError("weights='dual' is for solver='ridge' without scale or transform")
    if transform is not None and (solver in BANDED or scale != "none"):
        raise SpecError(
            "transform goes with solvers 'ridge', 'pls' and 'ols', and without scale (put a scaler into it)"
        )
    seed, inner = options["seed"], options["inner_cv"]
    folds = group_folds(targets.groups, options["cv"], seed=seed, what="stimuli (or groups)")
    kfold = solver == "banded_hyper_gradient" if by == "auto" else False
    chosen: By = ("kfold" if targets.repeated or kfold else "gcv") if by == "auto" else by
    blocks = all_blocks = None
    if chosen == "kfold":
        blocks = [inner_blocks(targets.groups, f.train, inner, seed=seed, what="training stimuli") for f in folds]
        all_blocks = inner_blocks(targets.groups, np.arange(len(targets.groups)), inner, seed=seed)
    grid = None if options["alphas"] is None else check_alphas(options["alphas"])
    memory = parse_memory(options["memory"])
    n, widest = len(targets.groups), max(len(space.members) for space in spaces)
    copies = widest * (1 if scale == "none" else len(folds))
    # Grams of all bands, their training blocks, and a decomposition with its work space
    needed = 8 * n * n * (copies + (2 * widest if solver in BANDED else 1) + 5)
    if needed > memory:
        raise SpecError(
            f"{n} rows in {copies} Grams need about {needed / 2**30:.2g} GiB; memory grants {memory / 2**30:.2g}:"
            " pass more, or use fewer rows or bands"
        )
    plan = Plan(
        targets=targets,
        folds=folds,
        blocks=blocks,
        all_blocks=all_blocks,
        solver=solver,
        options=Options(
            alphas=grid,
            by=chosen,
            n_components=options["n_components"],
            n_iter=options["n_iter"],
            dtype=options["dtype"],
            seed=seed,
            batch_bytes=max(2**20, memory // 16),
            on_edge=options["on_edge"],
            backend=Backend(options["device"]),
        ),
        scale=scale,
        transform=transform,
        weights=options["weights"],
        n_permutations=options["n_permutations"],
        tile_bytes=max(2**20, memory // 16),
        memory=memory,
    )
    provenance = getattr(acts, "provenance", None)
    spec = {
        **{key: options[key] for key in ("solver", "cv", "inner_cv", "seed", "dtype", "n_components", "n_iter")},
        **{key: options[key] for key in ("scale", "weights", "n_permutations")},
        "by": chosen,
        "alphas": None if grid is None else grid.tolist(),
        "transform": None if transform is None else repr(transform),
        "spaces": [space.name for space in spaces],
        "responses_sha256": targets.digest,
        "features": provenance if provenance else _fingerprint(acts, spaces),
    }
    return plan, spec


def _fingerprint(acts: Mapping[str, Any], spaces: Sequence[Space]) -> dict[str, Any]:
    """What tells two dicts of arrays apart without reading them whole: shapes and the first stimulus' values."""
    out = {}
    for site in dict.fromkeys(member.site for space in spaces for member in space.members):
        some = np.asarray(acts[site][:2].values, np.float64)
        out[site] = [list(acts[site].shape), float(some.sum()), float((some**2).sum())]
    return out


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
        raise SpecError("a ceiling by name is one of averaged responses: pass repetitions='average', or an array")
    shared = np.isin(responses[STIMULUS_ID].values.astype(str), store_ids)
    return noise_ceiling(responses if shared.all() else responses[shared], ceiling)


def make_attrs(
    acts: Mapping[str, Any], responses: Any, spec: dict[str, Any], targets: Targets, left_out: Sequence[str]
) -> dict[str, Any]:
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
