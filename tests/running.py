"""Run a command of ``bltvs`` in this process."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock


class Done(NamedTuple):
    """What a command said and how it ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, one after the other."""
        return self.stdout + self.stderr


@contextlib.contextmanager
def log_kept() -> Iterator[None]:
    """Commands set up the package's log for their process; leave it as it was."""
    logger = logging.getLogger("bltvs_neuro")
    before = logger.handlers[:], logger.level, logger.propagate
    try:
        yield
    finally:
        logger.handlers[:], logger.level, logger.propagate = before


def bltvs(*arguments: Any, columns: int = 200) -> Done:
    """Run ``bltvs ARGUMENTS`` on a terminal of some width; what is nobody's mistake but the package's is raised."""
    from bltvs_neuro.cli.app import run
    from bltvs_neuro.cli.base import err, out

    said, complained = io.StringIO(), io.StringIO()
    with (
        log_kept(),
        mock.patch.dict(os.environ, {"COLUMNS": str(columns)}),  # which rich reads when its consoles are made
        mock.patch.multiple(out, _width=columns),
        mock.patch.multiple(err, _width=columns),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        code = run([str(argument) for argument in arguments])
    return Done(code, said.getvalue(), complained.getvalue())
