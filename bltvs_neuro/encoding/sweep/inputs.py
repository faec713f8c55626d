"""The features of a sweep: one pass over the store per site and timestep, Grams or features for every fold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import SpecError
from ...features.folds import Fold
from ...features.grams import FeatureGrams, feature_tiles, fold_grams
from ..solvers.estimators import OLS, PLS, BandedRidge, Ridge
from ..solvers.fold_fits import Features, RoughGram
from .plan import Plan
from .spaces import Member, Space, load_features


class Source:
    """Features and Grams of members over the sweep's rows, the latest kept as far as memory allows.

    ``once`` says that no member comes again, so that nothing is worth keeping.
    """

    def __init__(self, acts: Mapping[str, Any], plan: Plan, *, once: bool = False) -> None:
        self.acts, self.plan = acts, plan
        # sorted store positions: what a lazy array reads best; rows then point into these
        self.stimuli, self.row = np.unique(plan.targets.stimuli, return_inverse=True)
        self.row = self.row.ravel()
        self.identity = np.array_equal(self.row, np.arange(len(self.stimuli)))
        size = 8 * len(self.row) ** 2 * (1 if plan.scale == "none" else len(plan.folds))
        self.room = 0 if once else max(1, plan.memory // 4 // size)
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
        tiles = list(feature_tiles(features, tile_bytes=self.plan.settings.batch_bytes))
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
            tile_bytes=self.plan.settings.batch_bytes,
            dtype=self.plan.settings.dtype,
        )
        if not self.identity:
            shared = made.grams[0] is made.grams[-1]
            grams = [k[np.ix_(self.row, self.row)] for k in (made.grams[:1] if shared else made.grams)]
            made = made._replace(grams=grams * len(made.grams) if shared else grams)
        self.kept[key] = made
        while len(self.kept) > self.room:
            self.kept.popitem(last=False)
        return made


class Inputs(NamedTuple):
    """A space's features, for every fold."""

    matrix: np.ndarray | None
    made: list[FeatureGrams]
    sizes: np.ndarray
    """(members, 2) number of features, and of those that are constant."""
    rough: RoughGram | None = None
    """Where one Gram serves every fold."""

    def of_fold(self, f: int, plan: Plan) -> Features:
        """The features of the f-th fold; a transform is fitted on its training rows."""
        if self.matrix is None:
            return Features([m.grams[f] for m in self.made], None, self.rough)
        if plan.transformer is not None:
            return _transformed(self.matrix, plan.folds[f], plan.targets.values, plan.transformer)
        return Features([_plain_gram(self.matrix)] if isinstance(plan.solver, BandedRidge) else [], self.matrix)

    def of_all(self) -> Features:
        """The features of all rows, without scaling or transform."""
        return Features([m.grams[0] for m in self.made], self.matrix)


def load_inputs(space: Space, source: Source, plan: Plan) -> Inputs:
    """Read a space: as features where these are few or to be transformed, else as Grams."""
    n_train = min(len(fold.train) for fold in plan.folds)
    first = source.features(space.members[0])
    few = len(space.members) == 1 and int(np.prod(first.shape[1:])) < n_train
    primal = few and not isinstance(plan.solver, PLS) and (plan.scale == "none" or isinstance(plan.solver, OLS))
    if plan.transformer is None and not primal:
        made = [source.grams(member) for member in space.members]
        shared = len(made) == 1 and made[0].grams[0] is made[0].grams[-1]
        rough = RoughGram(made[0].grams[0]) if shared and type(plan.solver) is Ridge else None
        return Inputs(None, made, np.array([[m.n_features, m.n_constant] for m in made]), rough)
    matrix = source.matrix(space.members[0])
    return Inputs(matrix, [], np.array([[matrix.shape[1], int((np.ptp(matrix, axis=0) == 0).sum())]]))


def _transformed(matrix: np.ndarray, fold: Fold, y: np.ndarray, transform: Any) -> Features:
    """Features through a transformer fitted on the training rows only."""
    from sklearn.base import clone

    targets = y[fold.train]
    try:
        fitted = clone(transform).fit(matrix[fold.train], targets[:, 0] if targets.shape[1] == 1 else targets)
    except ValueError as error:
        shape = matrix[fold.train].shape
        raise SpecError(f"{transform} cannot be fitted on training rows of shape {shape}: {error}") from error
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
