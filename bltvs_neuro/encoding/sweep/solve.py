"""Fold after fold of one feature space."""

from __future__ import annotations

from collections.abc import Iterator

from ..solvers.fold_fits import FITS, Outcome
from .inputs import Inputs
from .plan import Plan


def outcomes(inputs: Inputs, plan: Plan) -> Iterator[Outcome]:
    """Fit and predict fold after fold."""
    solve = FITS[type(plan.solver)]
    for f, fold in enumerate(plan.folds):
        blocks = None if plan.blocks is None else plan.blocks[f]
        yield solve(inputs.of_fold(f, plan), fold, plan.targets_of(f), blocks, plan.settings)
