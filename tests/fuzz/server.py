"""The child process: makes samples, reads changed ones and runs commands; one line of JSON for each request.

One import of the libraries serves all cases. The address space may grow by :data:`MEMORY` beyond what they need; the parent
watches the time. Started as ``python -m tests.fuzz.server``.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

MEMORY = 768 * 2**20
"""Bytes that reading a sample of some kilobytes may take at most."""


def _limit_memory() -> None:
    """Allow for :data:`MEMORY` bytes beyond what is mapped now; without /proc (macOS) there is no limit."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _where(error: BaseException) -> str:
    """The innermost line of the package that an error came through, and its type."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "bltvs_neuro" in Path(f.filename).parts]
    at = f"{frames[-1].filename.rpartition('bltvs_neuro/')[2]}:{frames[-1].lineno} {frames[-1].name}" if frames else "?"
    return f"{type(error).__name__} at {at}"


def _failure(error: BaseException) -> dict[str, Any]:
    from bltvs_neuro.errors import BltvsError

    chain: list[BaseException | None] = [error]
    for one in chain:
        if isinstance(one, MemoryError):
            return {"outcome": "memory", "message": str(error)[:2000], "where": _where(error)}
        chain += [] if one is None else [one.__cause__ or one.__context__]
    refused = isinstance(error, BltvsError)
    text = str(error)[:20000] if refused else "".join(traceback.format_exception(error))[-6000:]
    return {"outcome": "refused" if refused else "traceback", "message": text, "where": _where(error)}


def read(name: str, path: Path) -> dict[str, Any]:
    """Read one path with a target."""
    from .target import find
    from .verdict import fingerprint

    try:
        return {"outcome": "value", "value": fingerprint(find(name).read(path))}
    except Exception as error:
        return _failure(error)


def make(name: str, folder: Path) -> dict[str, Any]:
    """Write a target's sample; its path is relative to the folder."""
    from . import commands
    from .target import find

    path = commands.make(folder) if name == "commands" else find(name).make(folder)
    return {"outcome": "made", "path": None if path is None else path.relative_to(folder).as_posix()}


def run(arguments: list[str], folder: str) -> dict[str, Any]:
    """Run a command of ``bltvs`` in a folder."""
    from tests.running import bltvs

    before = os.getcwd()
    os.chdir(folder)
    try:
        done = bltvs(*arguments)
    except Exception as error:
        return _failure(error)
    finally:
        os.chdir(before)
    return {"outcome": "done", "code": done.exit_code, "message": done.output}


def serve() -> None:
    """Answer until the parent closes the pipe; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    faulthandler.enable()
    from .target import all_targets

    all_targets()
    import torch

    from bltvs_neuro.cli.app import COMMANDS

    for place in COMMANDS.values():
        importlib.import_module(f"bltvs_neuro.cli.{place.partition(':')[0]}")

    torch.set_num_threads(1)
    _limit_memory()
    answers.write('{"outcome": "ready"}\n')
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "make" in request:
                answer = make(request["make"], Path(request["folder"]))
            elif "read" in request:
                answer = read(request["read"], Path(request["path"]))
            else:
                answer = run(request["run"], request["folder"])
        except Exception as error:
            answer = _failure(error)
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    serve()
