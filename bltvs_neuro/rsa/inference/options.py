"""How scores are inferred, as one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ...errors import SpecError, argument, unknown
from ...options import check_samples
from ...stats.multiple import Correction

Missing = Literal["raise", "drop"]
TestName = Literal["t", "sign_flip"]
Variance = Literal["bootstrap", "jackknife"]
Generalise = Literal["auto", "both", "stimuli", "subjects"]


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How scores are inferred: standard errors, intervals, tests.

    Parameters
    ----------
    bootstrap : int
        Bootstrap samples: for standard errors, for ``best_share``, how often each model is the best of all, and for intervals
        of latencies. 0 leaves these out, where the variance is not the bootstrap's.
    variance : {"bootstrap", "jackknife"}
        Where standard errors, intervals and t tests come from. ``bootstrap``: the corrected dual bootstrap of Schütt et al.
        (2023), as rsatoolbox has it; too wide for models that are unrelated to the brain. ``jackknife``: this package's own,
        which leaves stimuli and subjects out and takes the surplus of pairs off; exact to repeat (see the guide).
    over : {"auto", "both", "stimuli", "subjects"}
        What intervals and t tests generalise to. ``auto``: both, from 3 subjects and 8 stimuli on; with fewer subjects
        stimuli alone, with fewer stimuli subjects alone, and results hold for those that were measured.
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
    variance: Variance = "bootstrap"
    over: Generalise = "auto"
    test: TestName = "t"
    correction: Correction = "fdr"
    confidence: float = 0.95
    n_permutations: int = 1000

    def check_variance(self) -> None:
        """A SpecError where the variance is the bootstrap's and there are no samples."""
        if self.variance == "bootstrap" and self.bootstrap < 2:
            raise SpecError(
                f"{argument('bootstrap')} is at least 2 for {argument('variance', 'bootstrap')}; got {self.bootstrap}"
            )

    def __post_init__(self) -> None:
        for name, valid in (
            ("variance", get_args(Variance)), ("over", get_args(Generalise)), ("test", get_args(TestName)),
            ("correction", get_args(Correction)),
        ):  # fmt: skip
            if getattr(self, name) not in valid:
                raise unknown(name, getattr(self, name), valid)
        check_samples("bootstrap", self.bootstrap)
        if not 0 < self.confidence < 1:
            raise SpecError(f"{argument('confidence')} lies between 0 and 1; got {self.confidence}")
        check_samples("n_permutations", self.n_permutations, least=1)
