"""What a sweep is asked for, checked, and what all of its feature spaces share: folds, blocks, grid, memory."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

import numpy as np

from ...errors import DataError, SpecError, argument, unknown
from ...features.folds import Fold, group_folds, inner_blocks
from ...features.grams import Scale
from ...options import parse_memory
from ..scores.score import read_truth, varying
from ..solvers.backend import Backend
from ..solvers.fold_fits import BANDED, SOLVERS, FoldTargets, Options
from ..solvers.ridge import By, Dtype, OnEdge, about_mean, check_alphas
from .spaces import Space
from .targets import CONSTANT_IN_TEST, CONSTANT_IN_TRAINING, BadTargets, OnMismatch, Repetitions, Targets

log = logging.getLogger(__name__)

SolverName = Literal["ridge", "banded", "banded_hyper_gradient", "pls", "ols"]
Choose = Literal["auto", "gcv", "loo", "kfold"]
Weights = Literal["none", "dual"]


@dataclass(frozen=True)
class Choices:
    """How a sweep is to be fitted; :func:`bltvs_neuro.encoding.fit_encoding` says what each means."""

    groups: str | tuple[str, ...] = "stimulus_id"
    repetitions: Repetitions = "average"
    on_mismatch: OnMismatch = "raise"
    bad_targets: BadTargets = "mark"
    cv: int = 5
    inner_cv: int = 5
    solver: SolverName = "ridge"
    by: Choose = "auto"
    window: int | None = 1
    alphas: Sequence[float] | np.ndarray | None = None
    n_components: int = 25
    n_iter: int = 100
    scale: Scale = "none"
    transform: Any = None
    weights: Weights = "none"
    n_permutations: int = 0
    memory: int | str = "2GiB"
    dtype: Dtype = "float32"
    device: str | None = None
    seed: int = 0
    on_edge: OnEdge = "warn"

    @classmethod
    def read(cls, given: Mapping[str, Any], *, fixed: Mapping[str, Any]) -> Self:
        """Choices from keyword arguments, of which ``fixed`` ones are not the caller's to make.

        Raises
        ------
        SpecError
            A keyword that does not exist or is fixed.
        """
        free = [field.name for field in dataclasses.fields(cls) if field.name not in fixed]
        for name in given:
            if name not in free:
                raise unknown("option", name, free)
        return cls(**given, **fixed)

    def check(self) -> None:
        """Raise a SpecError for values that do not exist or do not go together."""
        for what, got, valid in (
            ("solver", self.solver, tuple(SOLVERS)),
            ("way to choose alpha", self.by, get_args(Choose)),
            ("scale", self.scale, get_args(Scale)),
            ("dtype", self.dtype, get_args(Dtype)),
            ("weights", self.weights, get_args(Weights)),
            ("on_edge", self.on_edge, get_args(OnEdge)),
        ):
            if got not in valid:
                raise unknown(what, got, valid)
        Backend(self.device)
        parse_memory(self.memory)
        if self.alphas is not None:
            check_alphas(self.alphas)
        for name, least in (
            ("cv", 2),
            ("inner_cv", 2),
            ("n_components", 1),
            ("n_iter", 1),
            ("n_permutations", 0),
            ("window", 0),
        ):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise SpecError(f"{name} is at least {least}; got {getattr(self, name)}")
        if self.weights == "dual" and (self.solver != "ridge" or self.scale != "none" or self.transform is not None):
            raise SpecError(
                f"{argument('weights', 'dual')} is for {argument('solver', 'ridge')} without scale or transform"
            )
        if self.transform is not None and (self.solver in BANDED or self.scale != "none"):
            raise SpecError(
                "transform goes with solvers 'ridge', 'pls' and 'ols', and without scale (put a scaler into it)"
            )

    def selection(self, targets: Targets) -> By:
        """How alpha is chosen; ``"auto"`` takes k-fold where rows are not independent."""
        if self.by != "auto":
            return self.by
        return "kfold" if targets.repeated or self.solver == "banded_hyper_gradient" else "gcv"


@dataclass(frozen=True)
class Plan:
    """Everything a sweep shares."""

    targets: Targets
    folds: list[Fold]
    blocks: list[list[np.ndarray]] | None
    """Inner held-out blocks of each fold."""
    all_blocks: list[np.ndarray] | None
    """Held-out blocks of all rows, for weights."""
    choices: Choices
    options: Options
    memory: int
    """Bytes."""
    scored: np.ndarray
    """(folds, t) whether a target varies both in the training and in the test rows of a fold."""
    _kept: dict[int, FoldTargets] = field(default_factory=dict, init=False, repr=False, compare=False)

    def targets_of(self, f: int) -> FoldTargets:
        """The targets of the f-th fold, the same for every space; kept where that takes a quarter of the memory or less."""
        if f in self._kept:
            return self._kept[f]
        values, fold = self.targets.values, self.folds[f]
        made = FoldTargets(*about_mean(values[fold.train]), read_truth(values[fold.test]))
        if len(self.folds) * values.nbytes <= self.memory // 4:
            self._kept[f] = made
        return made

    @property
    def tile_bytes(self) -> int:
        """Of a tile of features."""
        return self.options.batch_bytes


def make_plan(targets: Targets, spaces: Sequence[Space], choices: Choices) -> Plan:
    """Check the choices against the targets and work out what all spaces share.

    Raises
    ------
    SpecError
        Choices that do not fit, or more memory needed than granted.
    DataError
        Fewer stimuli or groups than folds.
    """
    choices.check()
    folds = group_folds(targets.groups, choices.cv, seed=choices.seed, what="stimuli (or groups)")
    if choices.n_permutations:
        fewest = min(len(np.unique(targets.groups[fold.test])) for fold in folds)
        if fewest < 2:
            raise DataError("a permutation needs at least 2 groups in every test fold: use fewer folds")
    by = choices.selection(targets)
    blocks = all_blocks = None
    if by == "kfold":
        every = np.arange(len(targets.groups))
        *blocks, all_blocks = (
            inner_blocks(targets.groups, rows, choices.inner_cv, seed=choices.seed, what="training stimuli")
            for rows in (*(fold.train for fold in folds), every)
        )
    memory = parse_memory(choices.memory)
    _check_memory(len(targets.groups), len(folds), max(len(space.members) for space in spaces), choices, memory)
    options = Options(
        alphas=None if choices.alphas is None else check_alphas(choices.alphas),
        by=by,
        window=choices.window,
        n_components=choices.n_components,
        n_iter=choices.n_iter,
        dtype=choices.dtype,
        seed=choices.seed,
        batch_bytes=max(2**20, memory // 16),
        backend=Backend(choices.device),
    )
    targets, scored = _scored(targets, folds, choices)
    return Plan(targets, folds, blocks, all_blocks, choices, options, memory, scored)


def _scored(targets: Targets, folds: Sequence[Fold], choices: Choices) -> tuple[Targets, np.ndarray]:
    """Mark targets that are constant in some fold, and say in which folds each is scored."""
    in_training, in_test = (
        np.array([varying(targets.values[rows]) for rows in some]) for some in zip(*folds, strict=True)
    )
    scored = in_training & in_test
    if scored.all():
        return targets, scored
    status, good = targets.status.copy(), np.flatnonzero(targets.good)
    status[good[~in_test.all(axis=0)]] = CONSTANT_IN_TEST
    status[good[~in_training.all(axis=0)]] = CONSTANT_IN_TRAINING  # and so in all other test folds: none is left
    some, none = int((~scored.all(axis=0)).sum()), int((~scored.any(axis=0)).sum())
    text = (
        f"{some} of {scored.shape[1]} targets are constant in a fold, where no score is defined: theirs are means over the "
        f"other folds, and NaN for {none} without any"
    )
    if choices.bad_targets == "raise":
        raise DataError(text)
    log.warning("%s (their status says so)", text)
    return targets._replace(status=status), scored


def make_spec(plan: Plan, spaces: Sequence[Space], acts: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that determines the numbers of a sweep, as plain values."""
    choices, alphas = plan.choices, plan.options.alphas
    names = (
        "solver",
        "cv",
        "inner_cv",
        "seed",
        "dtype",
        "n_components",
        "n_iter",
        "scale",
        "weights",
        "n_permutations",
    )
    return {
        **{name: getattr(choices, name) for name in names},
        "window": choices.window,
        "groups": choices.groups,
        "repetitions": choices.repetitions,
        "by": plan.options.by,
        "alphas": None if alphas is None else alphas.tolist(),
        "transform": None if choices.transform is None else repr(choices.transform),
        "spaces": [space.name for space in spaces],
        "responses_sha256": plan.targets.digest,
        "features": getattr(acts, "provenance", None) or _fingerprint(acts, spaces),
    }


def _check_memory(n: int, n_folds: int, widest: int, choices: Choices, memory: int) -> None:
    copies = widest * (1 if choices.scale == "none" else n_folds)
    # Grams of all bands, their training blocks, and a decomposition with its work space
    needed = 8 * n * n * (copies + (2 * widest if choices.solver in BANDED else 1) + 5)
    if needed > memory:
        raise SpecError(
            f"{n} rows in {copies} Grams need about {needed / 2**30:.2g} GiB; memory grants {memory / 2**30:.2g}:"
            " pass more, or use fewer rows or bands"
        )


def _fingerprint(acts: Mapping[str, Any], spaces: Sequence[Space]) -> dict[str, Any]:
    """What tells two dicts of arrays apart without reading them whole: shapes and the first stimulus' values."""
    out = {}
    for site in dict.fromkeys(member.site for space in spaces for member in space.members):
        some = np.asarray(acts[site][:2].values, np.float64)
        out[site] = [list(acts[site].shape), float(some.sum()), float((some**2).sum())]
    return out
