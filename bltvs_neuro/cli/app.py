"""The commands of ``bltvs``: each is imported when it is asked for."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .base import app, run

COMMANDS = {
    "rsa": "rsa:rsa",
    "demo": "demo:demo",
    "extract": "extract:extract",
    "encode": "encode:encode",
    "join": "store:join",
    "info": "store:info",
    "verify": "store:verify",
}
"""Name of a command -> module of this package and function."""


def _summary(module: str, function: str) -> str:
    """First line of a command's docstring; nothing is imported for the list of commands."""
    text = Path(__file__).with_name(f"{module}.py").read_text("utf-8")
    found = re.search(rf'^def {function}\(.*?"""(.*?)$', text, re.MULTILINE | re.DOTALL)
    return found[1].removesuffix('"""') if found else ""


for _name, _place in COMMANDS.items():
    app.command(f"{__package__}.{_place}", name=_name, help=_summary(*_place.split(":")))

LEGACY = (
 "neural", "report", "classify", "models", "decode", "drive", "brainscore", "evaluate",
    "train", "export", "upload",
)  # fmt: skip


def _pass_on(name: str) -> None:
    @app.command(name=name, help_flags=[], version_flags=[])
    def command(*tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]) -> int:
        from typer.main import get_command

        from .base import Settings
        from .legacy import app as old

        try:
            get_command(old).main([*(["--debug"] if Settings.debug else []), name, *tokens], prog_name="bltvs")
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    command.__doc__ = name


for _name in LEGACY:
    _pass_on(_name)


def main() -> None:
    """Run the command line."""
    sys.exit(run(sys.argv[1:]))
