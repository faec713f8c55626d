"""RSA with stimuli in categories that are new in each experiment, without and with ``clusters``; about 20 minutes on one core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .rsa_scores import HEAD, RUNS, outcome, row, summary
from .rsa_worlds import Design

DESIGNS = (
    Design(48, 8, categories=6), Design(48, 8, categories=8), Design(48, 8, categories=12), Design(92, 12, categories=23),
    Design(92, 4, categories=12), Design(60, 8, categories=12, uneven=True), Design(48, 8, categories=12, heavy=True),
    Design(48, 8, categories=12, similarity="pearson"), Design(48, 8, categories=12, similarity="spearman"),
)  # fmt: skip


def table(designs: Sequence[Design] = DESIGNS, runs: int = RUNS) -> Iterator[str]:
    """Coverage and sizes over new categories, by stimuli (as if they were independent) and by categories."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    for design in designs:
        worlds = [design.draw(seed) for seed in range(runs)]
        for by in ("stimuli", "categories"):
            for variance in ("bootstrap", "jackknife"):
                found = [
                    outcome(w, design.similarity, variance, seed=i, by=by)  # type: ignore[arg-type]
                    for i, w in enumerate(worlds)
                ]
                yield row(str(design), f"{variance} of {by}", summary(found))
