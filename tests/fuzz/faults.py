"""Readers that are wrong on purpose, which the harness has to notice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bltvs_neuro.errors import DataError

from .stimuli import written
from .target import Target

TEXT = "a,b\nc,d\n"


def _after(fault: Callable[[str], Any]) -> Target:
    """A reader that is right about the sample and wrong about anything else."""

    def read(path: Path) -> Any:
        try:
            text = path.read_bytes().decode("latin1") if path.is_file() else ""
        except OSError:
            text = ""
        return {"ids": [TEXT]} if text == TEXT else fault(text)

    return Target(written("x.csv", TEXT), read)


def _refuse(message: str) -> Callable[[str], Any]:
    def fault(text: str) -> Any:
        raise DataError(message)

    return fault


def _memory(text: str) -> Any:
    try:
        return bytearray(8 * 2**30)
    except MemoryError as error:
        raise DataError("the file is damaged") from error


FAULTS: dict[str, tuple[Target, str]] = {
    "fault-none": (_after(_refuse("x.csv is damaged; copy it again")), "refused"),
    "fault-other value": (_after(lambda text: {"ids": [text]}), "another value"),
    "fault-traceback": (_after(lambda text: 1 / 0), "traceback"),
    "fault-crash": (_after(lambda text: os.abort()), "crash"),
    "fault-hang": (_after(lambda text: time.sleep(1000)), "hang"),
    "fault-memory": (_after(_memory), "memory"),
    "fault-long": (_after(_refuse("x.csv is damaged " * 100)), "no sentence"),
    "fault-internals": (_after(_refuse("'NoneType' object has no attribute 'x'")), "no sentence"),
}
"""Name -> target, and an outcome that it has to have."""
