"""How scores are inferred, as one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ...errors import SpecError, argument, unknown
from ...stats.multiple import Correction
from .tests import TestName

Variance = Literal["jackknife", "bootstrap"]
Generalise = Literal["auto", "both", "stimuli", "subjects"]


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How scores are inferred: standard errors, intervals, tests.

    Parameters
    ----------
    bootstrap : int
        Bootstrap samples: for ``best_share``, how often each model is the best of all (0 leaves it out; tau-a has none), for
        intervals of latencies, and for ``variance="bootstrap"``.
    variance : {"jackknife", "bootstrap"}
        Where standard errors, intervals and t tests come from. ``jackknife``: leaving stimuli and subjects out, with the
        surplus of pairs removed (:mod:`~bltvs_neuro.rsa.inference.jackknife`); exact to repeat, and calibrated (see the
        guide). ``bootstrap``: rsatoolbox's corrected dual bootstrap, the same numbers; conservative for models that are
        unrelated to the brain.
    over : {"auto", "both", "stimuli", "subjects"}
        What intervals and t tests generalise to. ``auto``: both, or stimuli where a roi has one subject only; its results
        then hold for that subject.
    test : {"t", "sign_flip"}
        Test against zero: t, or sign flips over subjects.
    correction : {"fdr", "fdr_by", "holm", "bonferroni", "none"}
        For the families of all models and targets (against zero; against the ceiling) and of all pairs of models and
        targets.
    confidence : float
        Of the intervals.
    n_permutations : int
        Sign flips of the cluster tests of data over time.
    """

    bootstrap: int = 1000
    variance: Variance = "jackknife"
    over: Generalise = "auto"
    test: TestName = "t"
    correction: Correction = "fdr"
    confidence: float = 0.95
    n_permutations: int = 1000

    def __post_init__(self) -> None:
        for name, valid in (
            ("variance", get_args(Variance)), ("over", get_args(Generalise)), ("test", get_args(TestName)),
            ("correction", get_args(Correction)),
        ):  # fmt: skip
            if getattr(self, name) not in valid:
                raise unknown(name, getattr(self, name), valid)
        least = 2 if self.variance == "bootstrap" else 0
        if self.bootstrap < least:
            raise SpecError(f"{argument('bootstrap')} is at least {least} here; got {self.bootstrap}")
        if not 0 < self.confidence < 1:
            raise SpecError(f"{argument('confidence')} lies between 0 and 1; got {self.confidence}")
        if self.n_permutations < 1:
            raise SpecError(f"{argument('n_permutations')} is at least 1; got {self.n_permutations}")
