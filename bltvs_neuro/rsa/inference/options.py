"""How scores are inferred, as one object."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from ...errors import SpecError, argument, unknown
from ...options import check_samples
from ...stats.multiple import Correction

Missing = Literal["raise", "drop"]
TestName = Literal["t", "sign_flip"]
Variance = Literal["bootstrap", "jackknife"]
TimeTest = Literal["labels", "sign_flip"]
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
    clusters : mapping of stimulus id to category, optional
        Resample, leave out and shuffle whole categories of stimuli, so that results hold for new categories (6 at least).
        Without it they hold for new stimuli of the same categories. The command takes a column of the stimuli, ``category``.
    test : {"t", "sign_flip"}
        Test against zero: t, or sign flips over subjects.
    time_test : {"labels", "sign_flip"}
        Cluster test of data over time. ``labels`` shuffles the stimuli: is the model related to the brains of these subjects?
        With ``clusters``, whole categories change places. ``sign_flip`` flips subjects: it holds for new subjects, but takes a
        model that is unrelated to what subjects share for related, and needs scores that are symmetric over subjects. Both
        correct over all sites, timesteps and times by the largest cluster.
    correction : {"fdr", "fdr_by", "holm", "bonferroni", "none"}
        For the families of all models and targets (against zero; against the ceiling) and of all pairs of models and
        targets.
    confidence : float
        Of the intervals.
    n_permutations : int
        Of the cluster tests of data over time.

    Examples
    --------
    >>> Inference(variance="jackknife", correction="holm").confidence
    0.95
    """

    bootstrap: int = 1000
    variance: Variance = "bootstrap"
    over: Generalise = "auto"
    clusters: Any = None
    test: TestName = "t"
    time_test: TimeTest = "labels"
    correction: Correction = "fdr"
    confidence: float = 0.95
    n_permutations: int = 1000

    def described(self) -> dict[str, Any]:
        """The options for a provenance; of categories only how many there are."""
        named = len(set(self.clusters.values())) if self.clusters else None
        return {**asdict(replace(self, clusters=None)), "clusters": named}

    def check_variance(self) -> None:
        """A SpecError where the variance is the bootstrap's and there are no samples."""
        if self.variance == "bootstrap" and self.bootstrap < 2:
            raise SpecError(
                f"{argument('bootstrap')} is at least 2 for {argument('variance', 'bootstrap')}; got {self.bootstrap}"
            )

    def __post_init__(self) -> None:
        for name, valid in (
            ("variance", get_args(Variance)), ("over", get_args(Generalise)), ("test", get_args(TestName)),
            ("time_test", get_args(TimeTest)), ("correction", get_args(Correction)),
        ):  # fmt: skip
            if getattr(self, name) not in valid:
                raise unknown(name, getattr(self, name), valid)
        if not isinstance(self.clusters, str | None):
            from .clusters import read_clusters  # imports pandas, which help does without

            object.__setattr__(self, "clusters", read_clusters(self.clusters))
        if self.clusters is not None and self.over == "subjects":
            raise SpecError(
                f"{argument('clusters')} says nothing where stimuli stay the same: leave {argument('over', 'subjects')} out"
            )
        check_samples("bootstrap", self.bootstrap)
        if not 0 < self.confidence < 1:
            raise SpecError(f"{argument('confidence')} lies between 0 and 1; got {self.confidence}")
        check_samples("n_permutations", self.n_permutations, least=1)
