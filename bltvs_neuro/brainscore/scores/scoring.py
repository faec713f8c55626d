"""Scores: run a benchmark, and keep what it said with all that it came from."""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from brainscore_core.benchmarks import score_benchmark
from brainscore_core.metrics import Score
from brainscore_vision import load_benchmark

from ...durable import check_outputs, write_durably
from ...errors import BltvsError, SpecError, argument, unknown
from ...versions import versions
from ..environment import BrainScoreError, no_installing
from ..subject.commitment import Commitment

log = logging.getLogger(__name__)

NEUROID_COLUMNS = ["benchmark", "neuroid_id", "subject", "time_bin_start", "time_bin_end", "raw"]


@dataclass(frozen=True)
class Result:
    """Scores of one model.

    Attributes
    ----------
    table : DataFrame
        One row per benchmark, and per time bin where there are several: benchmark, region, time_bin_start,
        time_bin_end (milliseconds), score (normalised by the ceiling), raw, error (standard error of raw over splits),
        ceiling. What a benchmark does not have is NaN.
    neuroids : DataFrame
        Of benchmarks that score neuroids: benchmark, neuroid_id, time bin, raw (mean over splits).
    provenance : dict
        JSON-safe.
    """

    table: pd.DataFrame
    neuroids: pd.DataFrame
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path, *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write ``path`` with the suffixes .json (everything but neuroids) and .csv (neuroids; scores if there are none)."""
        rows = json.loads(self.table.to_json(orient="records"))
        text = json.dumps({"scores": rows, "provenance": self.provenance}, indent=2, ensure_ascii=False, default=str)
        as_json, as_csv = check_result(path, overwrite=overwrite)
        write_durably(as_json, (text + "\n").encode(), overwrite=overwrite)
        shown = self.neuroids if len(self.neuroids) else self.table
        write_durably(as_csv, shown.to_csv(index=False).encode(), overwrite=overwrite)
        return as_json, as_csv


def check_result(path: str | Path, *, overwrite: bool = False) -> tuple[Path, Path]:
    """Try, before the work, whether :meth:`Result.save` can write; returns the paths of its two files."""
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".json", ".csv") else path
    as_json, as_csv = stem.with_name(stem.name + ".json"), stem.with_name(stem.name + ".csv")
    check_outputs(as_json, as_csv, overwrite=overwrite)
    return as_json, as_csv


def score(
    subject: Commitment, benchmarks: Sequence[Any], *, described: Mapping[str, Any] | None = None,
    check_memory: bool = True,
) -> Result:  # fmt: skip
    """Score a model on benchmarks, or on those of Brain-Score by name, whose data it fetches.

    ``described`` is what the provenance says of the data. With ``check_memory`` Brain-Score estimates first whether the
    memory suffices. BrainScoreError where it does not, or a benchmark's data cannot be had.
    """
    rows, neuroids = [], []
    for given in benchmarks:
        benchmark = public_benchmark(given) if isinstance(given, str) else given
        with quiet(), no_installing():
            try:
                value = score_benchmark(benchmark, subject) if check_memory else benchmark(subject)
            except MemoryError as error:
                smaller = argument("reduce", "pool:4")
                raise BrainScoreError(f"{error} A smaller reduction such as {smaller} takes less") from error
        rows.append(score_rows(value, benchmark))
        if len(found := neuroid_rows(value, benchmark)):
            neuroids.append(found)
    provenance = {
        "model": subject.describe(),
        "weights": subject.activations_model._network.provenance,
        "data": dict(described or {}),
        "versions": versions() | {name: version(name) for name in ("brainscore_vision", "brainscore_core")},
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    scored = pd.concat(neuroids, ignore_index=True) if neuroids else pd.DataFrame(columns=NEUROID_COLUMNS)
    return Result(pd.concat(rows, ignore_index=True), scored, provenance)


@contextmanager
def quiet() -> Iterator[None]:
    """Send what Brain-Score prints (estimates of memory) to the log, and keep its loops over time bins in this process."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), joblib.parallel_backend("threading"):
            yield
    finally:
        for line in printed.getvalue().splitlines():
            log.info("%s", line)


def public_benchmark(name: str) -> Any:
    """Load a benchmark of Brain-Score; BrainScoreError if its data cannot be had: no network, or private ones."""
    known = benchmark_names()
    if name not in known:
        raise unknown("benchmark", name, known)
    try:
        with quiet(), no_installing():
            return load_benchmark(name)
    except BltvsError:
        raise
    except Exception as error:  # botocore, urllib3 and Brain-Score's own classes have no base in common
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise BrainScoreError(
            f"cannot load benchmark {name!r}: {type(error).__name__}: {said}. Its data are fetched from Brain-Score's "
            "servers, which takes network access; those of benchmarks that are not public are scored there only, by "
            "submitting a model (`bltvs brainscore package`)"
        ) from error


def benchmark_names() -> list[str]:
    """Names of the benchmarks of the installed brainscore-vision, found as it finds them itself: in the text."""
    import brainscore_vision

    names = set()
    for path in (Path(brainscore_vision.__file__).parent / "benchmarks").glob("*/__init__.py"):
        names.update(re.findall(r"benchmark_registry\[['\"]([^'\"]+)['\"]\]", path.read_text("utf-8")))
    return sorted(names)


def score_rows(value: Score, benchmark: Any) -> pd.DataFrame:
    """Rows of :attr:`Result.table` for one score."""
    raw, ceiling = value.attrs.get("raw"), value.attrs.get("ceiling")
    error = None if raw is None else raw.attrs.get("error", value.attrs.get("error"))
    bins: list[tuple[float, float]] = [(np.nan, np.nan)]
    if "time_bin" in value.dims or (raw is not None and "time_bin" in raw.dims):
        timed = value if "time_bin" in value.dims else raw
        bins = [(float(a), float(b)) for a, b in timed["time_bin"].values.tolist()]
    columns = {"score": value, "raw": raw, "error": error, "ceiling": ceiling}
    table = pd.DataFrame(bins, columns=["time_bin_start", "time_bin_end"])
    table.insert(0, "benchmark", benchmark.identifier)
    table.insert(1, "region", getattr(benchmark, "region", ""))
    return table.assign(**{name: _per_bin(column, len(bins)) for name, column in columns.items()})


def _per_bin(values: Any, count: int) -> np.ndarray:
    """One number per time bin: one for each, one for all, or NaN."""
    if values is None:
        return np.full(count, np.nan)
    numbers = np.asarray(values, dtype=float).reshape(-1)
    if numbers.size not in (1, count):
        raise SpecError(f"a score has {numbers.size} values for {count} time bins")
    return np.broadcast_to(numbers, count).copy()


def neuroid_rows(value: Score, benchmark: Any) -> pd.DataFrame:
    """Rows of :attr:`Result.neuroids` for one score."""
    found: Any = value
    while found is not None and "neuroid" not in found.dims:
        found = found.attrs.get("raw")
    if found is None:
        return pd.DataFrame(columns=NEUROID_COLUMNS)
    mean = found.mean("split") if "split" in found.dims else found
    labels = {name: mean[name].values for name in ("neuroid_id", "subject") if hasattr(mean, name)}
    bins = mean["time_bin"].values.tolist() if "time_bin" in mean.dims else [(np.nan, np.nan)]
    values = mean.transpose("neuroid", ...).values.reshape(mean.sizes["neuroid"], len(bins))
    parts = [
        pd.DataFrame(
            {"benchmark": benchmark.identifier, **labels, "time_bin_start": a, "time_bin_end": b, "raw": column}
        )
        for (a, b), column in zip(bins, values.T, strict=True)
    ]
    return pd.concat(parts, ignore_index=True).reindex(columns=NEUROID_COLUMNS)
