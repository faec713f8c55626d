"""The commands of ``bltvs``: each is imported when it is asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from . import base
from .base import app

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

LEGACY = {
    "neural": "List the readers of neural data, or say what a file holds.",
    "decode": "Decode a label of the stimuli from every site and timestep.",
    "drive": "Find images that drive channels of a site.",
    "report": "Show stores and results as one interactive page.",
    "classify": "Name what the model sees, timestep by timestep.",
    "models": "List the models: parameters, multiply-accumulates, receptive fields.",
    "evaluate": "Measure accuracy at every timestep.",
    "train": "Train a model.",
    "export": "Export a trained model as a folder.",
    "upload": "Send an exported model to the Hugging Face hub.",
    "brainscore": "Brain-Score: scores, a submission, its checks.",
}
"""Commands that another parser still reads, with what they do."""


for _name in LEGACY:
    app.command(lambda: None, name=_name, help=LEGACY[_name])


def run(tokens: Sequence[str]) -> int:
    """Run the command line and give its exit code."""
    name = next((token for token in tokens if not token.startswith("-")), None)
    if name not in LEGACY:
        return base.run(tokens)
    from typer.main import get_command

    from .legacy import app as old

    try:
        get_command(old).main(list(tokens), prog_name="bltvs")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def main() -> None:
    """Run the command line."""
    sys.exit(run(sys.argv[1:]))
