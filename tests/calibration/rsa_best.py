"""RSA's winner: the score of the best of many models, plain and nested; about 10 minutes on one core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist

from bltvs_neuro.neural.labelled import make_rdms
from bltvs_neuro.options import Run
from bltvs_neuro.rsa.inference.options import Inference
from bltvs_neuro.rsa.result import RsaResult, compare_rdms

from .rsa_worlds import DIMS, SEED, share

RUNS, MODELS = 500, 24


@dataclass(frozen=True)
class Race:
    """Models among which the best is looked for.

    ``shared``: how many of the features of each model are those of the brain; ``better``: how many more the first has.
    """

    stimuli: int
    subjects: int
    shared: int
    better: int = 0

    def __str__(self) -> str:
        kind = {0: "unrelated", DIMS // 2: "equally good"}[self.shared]
        return f"{self.stimuli} stimuli, {self.subjects} subjects, {kind}" + (", one better" if self.better else "")

    def draw(self, seed: int) -> tuple[xr.DataArray, xr.DataArray]:
        """Model and brain RDMs of one experiment."""
        rng = np.random.default_rng([SEED, self.stimuli, self.subjects, self.shared, self.better, seed])
        true = rng.normal(size=(self.stimuli, DIMS))
        models = []
        for i in range(MODELS):
            x, kept = rng.normal(size=true.shape), self.shared + (self.better if i == 0 else 0)
            which = rng.permutation(DIMS)[:kept]
            x[:, which] = true[:, which]
            models.append(pdist(x, "sqeuclidean"))
        gain = np.exp(rng.normal(0, 0.35, (self.subjects, 1, DIMS)))
        measured = true * gain + rng.normal(size=(self.subjects, *true.shape))
        ids = [f"s{i:03d}" for i in range(self.stimuli)]
        steps = list(range(MODELS))
        return (
            make_rdms(np.array(models), ids, metric="m", name=[f"A/bu@{t}" for t in steps], area="A", stream="bu",
                      timestep=steps),
            make_rdms(np.array([pdist(y, "sqeuclidean") for y in measured]), ids, metric="m",
                      subject=[f"P{i}" for i in range(self.subjects)]),
        )  # fmt: skip

    def compare(self, seed: int, variance: str) -> RsaResult:
        """The comparison of one experiment."""
        options = Inference(variance=variance, bootstrap=200 if variance == "bootstrap" else 0)  # type: ignore[arg-type]
        return compare_rdms(*self.draw(seed), similarity="corr_cov", inference=options, run=Run(seed=seed))


RACES = tuple(
    Race(stimuli, subjects, shared, better)
    for stimuli, subjects in ((24, 6), (48, 12), (92, 4))
    for shared, better in ((0, 0), (DIMS // 2, 0), (DIMS // 2, 2))
)


def table(races: Sequence[Race] = RACES, runs: int = RUNS) -> Iterator[str]:
    """Bias of the winner's score and coverage of its interval, plain and nested.

    The truth is the mean over experiments of the models' scores: of the winner, or for nested scores of what was chosen in the
    splits.
    """
    yield "| models | variance | plain: bias | holds the truth | nested: bias | holds the truth | above zero | stability |"
    yield "|---|---|---|---|---|---|---|---|"
    for race in races:
        for variance in ("bootstrap", "jackknife"):
            plain, nested, scores, first, often = [], [], [], [], []
            for seed in range(runs):
                result = race.compare(seed, variance)
                scores.append(result["score"].values[0])
                winner = result.best().iloc[0]
                row = result.best(nested=True).iloc[0]
                plain.append((winner["score"], winner["ci_low"], winner["ci_high"]))
                nested.append((row["score"], row["ci_low"], row["ci_high"], row["stability"]))
                first.append(int(np.argmax(scores[-1])))
                often.append(result["chosen_share"].values[0])
            truth = np.mean(scores, axis=0)
            # all but the first are equally good: what they share is known better than each of them
            truth[1:] = truth[1:].mean()
            truth[0] = truth[0] if race.better else truth[1]
            cells = [str(race), variance]
            for rows, true in ((np.array(plain), truth[first]), (np.array(nested), np.array(often) @ truth)):
                held = (rows[:, 1] <= true) & (true <= rows[:, 2])
                cells += [f"{np.mean(rows[:, 0] - true):.3f}", share(held)]
            rows = np.array(nested)
            cells += [share(rows[:, 1] > 0), f"{rows[:, 3].mean():.2f}"]
            yield "| " + " | ".join(cells) + " |"
