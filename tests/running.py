"""Run a command of ``bltvs`` in this process."""

from __future__ import annotations

import contextlib
import io
import os
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


def bltvs(*arguments: Any, columns: int = 200) -> Done:
    """Run ``bltvs ARGUMENTS`` on a terminal of some width; what is nobody's mistake but the package's is raised."""
    from bltvs_neuro.cli.app import run

    said, complained = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": str(columns)}),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(complained),
    ):
        code = run([str(argument) for argument in arguments])
    return Done(code, said.getvalue(), complained.getvalue())
