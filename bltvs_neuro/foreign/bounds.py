"""How large a file may become in memory, checked before anything is allocated."""

from __future__ import annotations

import os

from ..errors import DataError

VARIABLE = "BLTVS_UNFOLD_GIB"
DEFAULT_GIB = 0.25
RATIO = 100
"""Compressed recordings shrink 2 to 20 times. Deflate shrinks zeros 1000 times, which no measured data are."""


def unfold_limit() -> int:
    """Bytes that compressed data may always unfold to: 0.25 GiB, or what ``BLTVS_UNFOLD_GIB`` says."""
    text = os.environ.get(VARIABLE, "")
    try:
        size = float(text) if text else DEFAULT_GIB
        if not 0 < size < 2**30:
            raise ValueError
    except ValueError:
        raise DataError(f"{VARIABLE} should be a number of GiB, such as 4; it is {text!r}") from None
    return int(size * 2**30)


def check_unfolded(what: str, need: int, stored: int, *, shape: tuple[int, ...] | None = None) -> None:
    """Refuse ``need`` bytes in memory for ``what`` where only ``stored`` are in the file, unless limit or ratio allow it."""
    if need > max(unfold_limit(), RATIO * stored):
        form = f" {shape}" if shape is not None else ""
        raise DataError(
            f"{what} declares {need} bytes{form} but only {stored} are stored; the file is unfinished, damaged or made "
            f"to fill the memory. If it is meant, set the environment variable {VARIABLE}={-(-need // 2**30)}"
        )
