"""What all feature spaces of a sweep share, checked and worked out once: targets, folds, blocks, memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ...errors import SpecError, argument, listed, unknown
from ...features.folds import Fold, Folds, group_folds, inner_blocks
from ...features.grams import Scale
from ...options import Run
from ..scores.images import Averages, make_averages
from ..scores.score import read_truth, varying
from ..solvers.backend import Backend
from ..solvers.estimators import BandedRidge, Choose, Solver
from ..solvers.fold_fits import FITS, FoldTargets, Settings
from ..solvers.ridge import By, about_mean
from .orders import Orders, Permutations
from .spaces import Space
from .targets import CONSTANT_IN_TEST, CONSTANT_IN_TRAINING, Targets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Everything a sweep shares."""

    targets: Targets
    folds: list[Fold]
    blocks: list[list[np.ndarray]] | None
    """Inner held-out blocks of each fold."""
    all_blocks: list[np.ndarray] | None
    """Held-out blocks of all rows, for weights."""
    settings: Settings
    transform: Any
    """``"zscore"``, a scikit-learn transformer, or None."""
    permutations: Permutations
    memory: int
    """Bytes."""
    scored: np.ndarray
    """(folds, t) whether a target varies both in the training and in the test rows of a fold."""
    averages: Averages
    """Over targets, whose intervals over images are kept."""
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
    def solver(self) -> Any:
        """The solver, with its options."""
        return self.settings.solver

    @property
    def scale(self) -> Scale:
        """Scaling that Grams carry, fitted on the training rows of each fold."""
        return "zscore" if isinstance(self.transform, str) else "none"

    @property
    def transformer(self) -> Any:
        """What needs the features themselves, or None."""
        return None if isinstance(self.transform, str) else self.transform


@dataclass(frozen=True)
class Asked:
    """What is asked of a sweep; a SpecError for options that do not exist or do not go together."""

    solver: Any
    cv: Folds
    run: Run
    transform: Any = None
    permutations: Permutations = field(default_factory=Permutations)

    def __post_init__(self) -> None:
        solver, transform = self.solver, self.transform
        if not isinstance(solver, Solver):
            raise SpecError(
                f"{argument('solver')} is one of {listed(kind.__name__ for kind in FITS)}(...); got {solver!r}"
            )
        solver.check()
        Backend(self.run.device)
        if isinstance(transform, str) and transform != "zscore":
            raise unknown("transform", transform, ("zscore", "a scikit-learn transformer"))
        if transform is not None and getattr(solver, "keep_dual", False):
            raise SpecError(f"{argument('keep_dual', True)} is for features without transform")
        if transform is not None and not isinstance(transform, str) and isinstance(solver, BandedRidge):
            raise SpecError(
                f"a transformer goes with solvers of one band; {argument('transform', 'zscore')} with bands, too"
            )


def make_plan(targets: Targets, spaces: Sequence[Space], asked: Asked) -> Plan:
    """Check what is asked for against the targets and work out what all spaces share.

    Raises
    ------
    SpecError
        Options that do not fit, or more memory needed than granted.
    DataError
        Fewer stimuli or groups than folds.
    """
    solver, run, transform = asked.solver, asked.run, asked.transform
    folds = group_folds(targets.groups, asked.cv.folds, seed=run.seed, what="stimuli (or groups)")
    if asked.permutations.n_permutations:
        Orders(targets.groups, run.seed)  # refused before anything is fitted
    by = _by(solver, targets)
    blocks = all_blocks = None
    if by == "kfold":
        every = np.arange(len(targets.groups))
        *blocks, all_blocks = (
            inner_blocks(targets.groups, rows, solver.inner_folds, seed=run.seed, what="training stimuli")
            for rows in (*(fold.train for fold in folds), every)
        )
    memory = run.bytes
    scaled = isinstance(transform, str)
    _check_memory(
        len(targets.groups), len(folds) if scaled else 1, max(len(space.members) for space in spaces), solver, memory
    )
    settings = Settings(solver, by, run.dtype, run.seed, max(2**20, memory // 16), Backend(run.device))
    targets, scored = _scored(targets, folds)
    roi = targets.template.coords.get("roi")
    labels = roi.values.astype(str) if roi is not None and roi.ndim else None
    averages = make_averages(labels, np.asarray(scored.any(axis=0)), targets.good, targets.shape)
    return Plan(targets, folds, blocks, all_blocks, settings, transform, asked.permutations, memory, scored, averages)


def _by(solver: Any, targets: Targets) -> By:
    """How alpha is chosen; ``"auto"`` takes k-fold where rows are not independent."""
    by: Choose = getattr(solver, "by", "gcv")
    if by != "auto":
        return by
    return "kfold" if targets.repeated or getattr(solver, "search", None) == "hyper_gradient" else "gcv"


def _scored(targets: Targets, folds: Sequence[Fold]) -> tuple[Targets, np.ndarray]:
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
    log.warning("%s (their status says so)", text)
    return targets._replace(status=status), scored


def make_spec(plan: Plan, spaces: Sequence[Space], acts: Mapping[str, Any], cv: Folds) -> dict[str, Any]:
    """Everything that determines the numbers of a sweep, as plain values."""
    settings, transform = plan.settings, plan.transform
    options = {name: value for name, value in plan.solver.get_params().items() if name != "on_edge"}
    if "alphas" in options and options["alphas"] is not None:
        options["alphas"] = [float(alpha) for alpha in options["alphas"]]
    return {
        "solver": type(plan.solver).__name__, "options": options, "by": settings.by, "cv": asdict(cv), "seed": settings.seed,
        "dtype": settings.dtype, **asdict(plan.permutations),
        "transform": transform if transform is None or isinstance(transform, str) else repr(transform),
        "spaces": [space.name for space in spaces], "responses_sha256": plan.targets.digest,
        "features": getattr(acts, "provenance", None) or _fingerprint(acts, spaces),
    }  # fmt: skip


def _check_memory(n: int, scalings: int, widest: int, solver: Solver, memory: int) -> None:
    copies = widest * scalings
    # Grams of all bands, their training blocks, and a decomposition with its work space
    needed = 8 * n * n * (copies + (2 * widest if isinstance(solver, BandedRidge) else 1) + 5)
    if needed > memory:
        raise SpecError(
            f"{n} rows in {copies} Grams need about {needed / 2**30:.2g} GiB; {argument('memory')} grants "
            f"{memory / 2**30:.2g}: pass more, or use fewer rows or bands"
        )


def _fingerprint(acts: Mapping[str, Any], spaces: Sequence[Space]) -> dict[str, Any]:
    """What tells two dicts of arrays apart without reading them whole: shapes and the first stimulus' values."""
    out = {}
    for site in dict.fromkeys(member.site for space in spaces for member in space.members):
        some = np.asarray(acts[site][:2].values, np.float64)
        out[site] = [list(acts[site].shape), float(some.sum()), float((some**2).sum())]
    return out
