"""Results as Markdown tables, with the machine and the versions that they were measured with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from .timing import Cost, median, ratio

PACKAGES = ("torch", "numpy", "h5py", "scipy", "scikit-learn", "rsatoolbox", "himalaya")


@dataclass(frozen=True)
class Table:
    """What one benchmark has measured.

    Attributes
    ----------
    title : str
        What is compared, with its sizes.
    rows : sequence of mapping
        Column name -> cell; a row may lack columns. Floats are printed with three significant digits.
    note : str
        What a reader must know to judge the figures.
    """

    title: str
    rows: Sequence[Mapping[str, object]]
    note: str = ""

    def markdown(self) -> str:
        """The table as the guide shows it."""
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        lines = [f"| {' | '.join(columns)} |", f"|{'|'.join('---' for _ in columns)}|"]
        lines += [f"| {' | '.join(cell(row.get(column, '')) for column in columns)} |" for row in self.rows]
        return "\n".join([f"**{self.title}**", "", *lines, *(["", self.note] if self.note else [])])


def cell(value: object) -> str:
    """Text of one cell."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio_rows(costs: Mapping[str, list[Cost]], baseline: str) -> list[dict[str, object]]:
    """One row per case: median seconds, and ratios to ``baseline`` (above 1: costs more)."""
    return [
        {
            "": name,
            "CPU s": median(each, "cpu"),
            "wall s": median(each, "wall"),
            "CPU ratio": f"{ratio(costs, name, baseline, 'cpu'):.3g}",
            "wall ratio": f"{ratio(costs, name, baseline, 'wall'):.3g}",
        }
        for name, each in costs.items()
    ]


def machine() -> str:
    """Cores, architecture, threads and versions, in one line; no host name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    threads = os.environ.get("OMP_NUM_THREADS", "default")
    return (
        f"{cores} cores, {platform.machine()}, {platform.system()}; OMP_NUM_THREADS={threads}; "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )
