"""Peak memory of a function, in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def peak_of(function: Callable[..., Any], **arguments: Any) -> tuple[Any, int]:
    """Call an importable function in a fresh process.

    Returns
    -------
    value : object
        What the function returned.
    peak : int
        The process's largest resident memory in bytes, imports included, its own child processes not.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_called, function, arguments).result()


def peak_bytes() -> int:
    """Largest resident memory of this process so far.

    Notes
    -----
    Linux's ``ru_maxrss`` survives ``exec`` and so begins at the size of the parent; the kernel's high-water mark of the
    address space (VmHWM) does not.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):  # macOS counts in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _called(function: Callable[..., Any], arguments: dict[str, Any]) -> tuple[Any, int]:
    return function(**arguments), peak_bytes()
