"""Run many feature spaces against the same targets: folds, blocks and targets once, one Gram per site and timestep."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import SpecError
from .folds import Fold
from .gram import FeatureGrams, Scale, feature_tiles, fold_grams
from .parts import Parts
from .ridge import fit_ridge
from .score import pearson, permutation_test, r2
from .solvers import SOLVERS, Features, Options, Outcome, decompose, grid_for
from .spaces import Member, Space, load_features
from .targets import Targets


class Progress(NamedTuple):
    """How far a sweep is."""

    done: int
    total: int
    label: str
    """The space that was finished."""
    seconds_left: float


@dataclass(frozen=True)
class Plan:
    """Everything a sweep shares."""

    targets: Targets
    folds: list[Fold]
    blocks: list[list[np.ndarray]] | None
    """Inner held-out blocks of each fold."""
    all_blocks: list[np.ndarray] | None
    """Held-out blocks of all rows, for weights."""
    solver: str
    options: Options
    scale: Scale
    transform: Any
    weights: str
    n_permutations: int
    tile_bytes: int
    memory: int


def run_spaces(
    acts: Mapping[str, Any],
    spaces: Sequence[Space],
    plan: Plan,
    *,
    parts: Parts | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[dict[str, np.ndarray]]:
    """Fit every space; each gives a dict of arrays (see :func:`_fit_space`)."""
    source = Source(acts, plan)
    start, fresh, out = time.monotonic(), 0, []
    for i, space in enumerate(spaces):
        arrays = parts.read(space.name) if parts is not None else None
        if arrays is None:
            arrays = _fit_space(space, source, plan)
            fresh += 1
            if parts is not None:
                parts.write(space.name, arrays)
        out.append(arrays)
        if progress is not None:
            each = (time.monotonic() - start) / max(fresh, 1)
            progress(Progress(i + 1, len(spaces), space.name, each * (len(spaces) - i - 1)))
    return out


class Source:
    """Features and Grams of members over the sweep's rows, the latest kept as far as memory allows."""

    def __init__(self, acts: Mapping[str, Any], plan: Plan) -> None:
        self.acts, self.plan = acts, plan
        # sorted store positions: what a lazy array reads best; rows then point into these
        self.stimuli, self.row = np.unique(plan.targets.stimuli, return_inverse=True)
        self.row = self.row.ravel()
        self.identity = np.array_equal(self.row, np.arange(len(self.stimuli)))
        size = 8 * len(self.row) ** 2 * (1 if plan.scale == "none" else len(plan.folds))
        self.room = max(1, plan.memory // 4 // size)
        self.kept: OrderedDict[Member, FeatureGrams] = OrderedDict()

    def features(self, member: Member) -> Any:
        """Lazy features of the stimuli used, in the order of ``stimuli``."""
        return load_features(self.acts, member, self.stimuli)

    def rows(self, array: np.ndarray) -> np.ndarray:
        """From one row per stimulus to one per row of the targets."""
        return array if self.identity else array[self.row]

    def matrix(self, member: Member) -> np.ndarray:
        """All features of a member, (rows, p), float64."""
        features = self.features(member)
        p = int(np.prod(features.shape[1:]))
        if 16 * len(self.row) * p > self.plan.memory:
            raise SpecError(
                f"{member} has {p} features: a transform needs them at once, {16 * len(self.row) * p / 2**30:.1f} GiB;"
                " grant more memory, or reduce them when extracting"
            )
        tiles = list(feature_tiles(features, tile_bytes=self.plan.tile_bytes))
        return self.rows(np.concatenate(tiles, axis=1).astype(np.float64))

    def grams(self, member: Member) -> FeatureGrams:
        """A (rows, rows) Gram of a member for every fold."""
        key = member._replace(band="")
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        # rows of one stimulus share features: scaling by the training stimuli, as often as they are shown
        trains = [self.row[fold.train] for fold in self.plan.folds]
        made = fold_grams(
            self.features(member),
            trains,
            scale=self.plan.scale,
            tile_bytes=self.plan.tile_bytes,
            dtype=self.plan.options.dtype,
        )
        if not self.identity:
            shared = made.grams[0] is made.grams[-1]
            grams = [k[np.ix_(self.row, self.row)] for k in (made.grams[:1] if shared else made.grams)]
            made = made._replace(grams=grams * len(made.grams) if shared else grams)
        self.kept[key] = made
        while len(self.kept) > self.room:
            self.kept.popitem(last=False)
        return made


class _Inputs(NamedTuple):
    """A space's features, for every fold."""

    matrix: np.ndarray | None
    made: list[FeatureGrams]
    sizes: np.ndarray
    """(members, 2) number of features, and of those that are constant."""


def _inputs(space: Space, source: Source, plan: Plan) -> _Inputs:
    n_train = min(len(fold.train) for fold in plan.folds)
    first = source.features(space.members[0])
    few = len(space.members) == 1 and int(np.prod(first.shape[1:])) < n_train
    primal = few and plan.solver != "pls" and (plan.scale == "none" or plan.solver == "ols")
    if plan.transform is None and not primal:
        made = [source.grams(member) for member in space.members]
        return _Inputs(None, made, np.array([[m.n_features, m.n_constant] for m in made]))
    matrix = source.matrix(space.members[0])
    return _Inputs(matrix, [], np.array([[matrix.shape[1], int((np.ptp(matrix, axis=0) == 0).sum())]]))


def outcomes(space: Space, inputs: _Inputs, plan: Plan) -> Iterator[Outcome]:
    """Fit and predict fold after fold."""
    y, solve = plan.targets.values, SOLVERS[plan.solver]
    for f, fold in enumerate(plan.folds):
        if inputs.matrix is None:
            features = Features([m.grams[f] for m in inputs.made], None)
        elif plan.transform is not None:
            features = _transformed(inputs.matrix, fold, y, plan.transform)
        else:
            banded = plan.solver.startswith("banded")
            features = Features([_plain_gram(inputs.matrix)] if banded else [], inputs.matrix)
        yield solve(features, fold, y, None if plan.blocks is None else plan.blocks[f], plan.options)


def predict_folds(acts: Mapping[str, Any], space: Space, plan: Plan) -> Iterator[np.ndarray]:
    """Predictions of the test rows of each fold, (n_test, t)."""
    inputs = _inputs(space, Source(acts, plan), plan)
    for outcome in outcomes(space, inputs, plan):
        yield outcome.prediction


def _fit_space(space: Space, source: Source, plan: Plan) -> dict[str, np.ndarray]:
    """Cross-validate one space.

    Returns
    -------
    dict of arrays
        r, r2, alpha: (fold, t); gamma, share: (fold, band, t) for bands; p_value: (t,); dual, dual_alpha; n_features,
        n_constant.
    """
    y, inputs = plan.targets.values, _inputs(space, source, plan)
    sizes = inputs.sizes
    bands = len(space.members)
    t = y.shape[1]
    out: dict[str, np.ndarray] = {"n_features": sizes[:, 0], "n_constant": sizes[:, 1]}
    out |= {key: np.full((len(plan.folds), t), np.nan) for key in ("r", "r2", "alpha")}
    if bands > 1 or plan.solver.startswith("banded"):
        out |= {key: np.full((len(plan.folds), bands, t), np.nan) for key in ("gamma", "share")}
    keep = np.empty((len(y), t), np.float32) if plan.n_permutations else None
    for f, (fold, outcome) in enumerate(zip(plan.folds, outcomes(space, inputs, plan), strict=True)):
        for at in range(0, t, 4096):  # scores work in float64: not for all targets at once
            columns = slice(at, at + 4096)
            truth, prediction = y[fold.test, columns], outcome.prediction[:, columns]
            out["r"][f, columns], out["r2"][f, columns] = pearson(truth, prediction), r2(truth, prediction)
        for key, value in (("alpha", outcome.alpha), ("gamma", outcome.gammas), ("share", outcome.shares)):
            if value is not None:
                out[key][f] = value
        if keep is not None:
            keep[fold.test] = outcome.prediction
    if keep is not None:
        out["p_value"] = np.concatenate(
            [
                permutation_test(
                    y[:, at : at + 1024],
                    keep[:, at : at + 1024],
                    [fold.test for fold in plan.folds],
                    groups=plan.targets.groups,
                    n_permutations=plan.n_permutations,
                    seed=plan.options.seed,
                ).p_value
                for at in range(0, t, 1024)
            ]
        )
    if plan.weights == "dual":
        out |= _dual(Features([m.grams[0] for m in inputs.made], inputs.matrix), plan)
    return out


def _dual(features: Features, plan: Plan) -> dict[str, np.ndarray]:
    """Coefficients on all rows, alpha chosen on all rows."""
    y, options = plan.targets.values, plan.options
    spectrum = decompose(features, np.arange(len(y)), options.backend)
    fit = fit_ridge(
        spectrum,
        y,
        grid_for(options, spectrum),
        by=options.by,
        folds=plan.all_blocks,
        readouts={"dual": spectrum.vectors},
        dtype=options.dtype,
        batch_bytes=options.batch_bytes,
        on_edge="ignore",
        backend=options.backend,
    )
    return {"dual": fit.outputs["dual"], "dual_alpha": fit.alpha}


def _transformed(matrix: np.ndarray, fold: Fold, y: np.ndarray, transform: Any) -> Features:
    """Features through a transformer fitted on the training rows only."""
    from sklearn.base import clone

    targets = y[fold.train]
    fitted = clone(transform).fit(matrix[fold.train], targets[:, 0] if targets.shape[1] == 1 else targets)
    x = np.asarray(fitted.transform(matrix), np.float64)
    if x.ndim != 2 or len(x) != len(matrix) or not np.isfinite(x).all():
        raise SpecError(
            f"{type(transform).__name__} should give finite features of shape (rows, features); got {x.shape}"
        )
    few = x.shape[1] < len(fold.train)
    return Features([_plain_gram(x)], x if few else None)


def _plain_gram(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(axis=0)
    return x @ x.T
