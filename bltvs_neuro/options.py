"""How to run: what concerns the machine and chance, as one object that every analysis takes as ``run=``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from .errors import SpecError, argument, unknown

Dtype = Literal["float32", "float64"]

T = TypeVar("T")

LARGEST_SEED = 2**32 - 1
"""numpy, scikit-learn and torch all take seeds up to this."""

MOST_SAMPLES = 1_000_000
"""Bootstrap samples, permutations and candidates that are drawn at most."""

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def inherited(options: type[T]) -> type[T]:
    """Decorator of an option class that inherits options from another module: types are looked up where they stand.

    Types are written as text, and whoever reads those of a constructor looks them up in the module of the class.
    """
    hints = get_type_hints(options, include_extras=True)
    made = options.__init__.__annotations__  # type: ignore[misc]
    made.update({name: hints[name] for name in made if name in hints})
    return options


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where it runs.

    Parameters
    ----------
    device : str
        ``"auto"`` is the first GPU, else the processor; ``"cpu"``, ``"cuda"``, ``"cuda:1"``; ``"all"`` is every GPU where
        several can share the work.
    cluster : str or distributed.Client, optional
        Workers of a Dask cluster: the scheduler's address (``tcp://host:8786``), ``local:4`` for four processes here, or a
        client. They must see all files under the same names.
    threads : int, optional
        Most threads of the linear algebra.
    """

    device: str = "auto"
    cluster: Any = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise SpecError(f"{argument('threads')} is at least 1; got {self.threads}")

    @contextmanager
    def limited(self) -> Iterator[None]:
        """While this lasts, linear algebra uses no more than ``threads``."""
        if self.threads is None:
            yield
            return
        from threadpoolctl import threadpool_limits

        with threadpool_limits(
            min(self.threads, 4 * (os.cpu_count() or 1))
        ):  # OpenBLAS crashes if it is told a million
            yield


@dataclass(frozen=True, kw_only=True)
class Run(Machine):
    """How an analysis runs.

    Parameters
    ----------
    memory : int or str
        Most bytes to use beside the inputs, a number or text such as ``2GiB``.
    dtype : {"float32", "float64"}
        Precision of large matrix products; sums and decompositions are always float64.
    seed : int
        Seed of everything random: folds, candidates, permutations, bootstrap samples.

    Examples
    --------
    >>> Run(seed=1, memory="1.5GiB").bytes
    1610612736
    """

    memory: int | str = "2GiB"
    dtype: Dtype = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype not in get_args(Dtype):
            raise unknown("dtype", self.dtype, get_args(Dtype))
        check_seed(self.seed)
        parse_memory(self.memory)

    @property
    def bytes(self) -> int:
        """``memory`` as a number of bytes."""
        return parse_memory(self.memory)


def check_seed(seed: int) -> None:
    """Raise a SpecError for what is no seed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise SpecError(f"{argument('seed')} is an integer from 0 to {LARGEST_SEED}; got {seed!r}")


def check_samples(name: str, samples: int, least: int = 0) -> None:
    """Raise a SpecError for a number of random samples that is too small, or that no memory holds."""
    if samples < least:
        raise SpecError(f"{argument(name)} is at least {least}; got {samples}")
    if samples > MOST_SAMPLES:
        raise SpecError(f"{argument(name)} is at most {MOST_SAMPLES:,}; got {samples:,}")


def parse_memory(memory: int | str) -> int:
    """Bytes from a number or text such as ``"2GiB"``.

    Raises
    ------
    SpecError
        No such number, or none above 0.

    Examples
    --------
    >>> parse_memory("1.5GiB")
    1610612736
    """
    if isinstance(memory, str):
        text = memory.strip()
        unit = next((u for u in sorted(_UNITS, key=len, reverse=True) if text.endswith(u)), "")
        try:
            memory = int(float(text.removesuffix(unit)) * _UNITS.get(unit, 1))
        except (ValueError, OverflowError):
            raise SpecError(f"{argument('memory')} is a number of bytes or text such as '2GiB'; got {text!r}") from None
    if memory <= 0:
        raise SpecError(f"{argument('memory')} is above 0; got {memory}")
    return int(memory)
