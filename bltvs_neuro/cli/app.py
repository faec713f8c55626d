"""The commands of ``bltvs``: each is imported when it is asked for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from cyclopts import App

from .base import app, run

COMMANDS = {
    "demo": "demo:demo",
    "extract": "extract:extract",
    "join": "store:join",
    "info": "store:info",
    "verify": "store:verify",
    "neural": "neural:neural",
    "rsa": "rsa:rsa",
    "encode": "encode:encode",
    "decode": "probes:decode",
    "drive": "probes:drive",
    "report": "report:report",
    "classify": "models:classify",
    "models": "models:models",
    "evaluate": "evaluate:evaluate",
    "train": "training:train",
    "export": "training:export",
    "upload": "training:upload",
    "selftest": "selftest:selftest",
    "cite": "about:cite",
    "completion": "about:completion",
    "brainscore score": "brainscore:score",
    "brainscore package": "brainscore:package",
    "brainscore check": "brainscore:check",
}
"""Name of a command -> module of this package and function."""

GROUPS = {
    "brainscore": "Brain-Score: check and write submissions, score models on its benchmarks and on your own data."
}
"""First word of commands of two words -> what they are about."""


def _summary(module: str, function: str) -> str:
    """First line of a command's docstring; nothing is imported for the list of commands."""
    text = Path(__file__).with_name(f"{module}.py").read_text("utf-8")
    found = re.search(rf'^def {function}\(.*?"""(.*?)$', text, re.MULTILINE | re.DOTALL)
    return found[1].removesuffix('"""') if found else ""


_groups = {name: App(name=name, help=text) for name, text in GROUPS.items()}
for _group in _groups.values():
    app.command(_group)
for _name, _place in COMMANDS.items():
    _first, _, _second = _name.partition(" ")
    _into = _groups[_first] if _second else app
    _into.command(f"{__package__}.{_place}", name=_second or _first, help=_summary(*_place.split(":")))


def main() -> None:
    """Run the command line."""
    sys.exit(run(sys.argv[1:]))
