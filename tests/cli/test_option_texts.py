"""The text of an option stands once: in its class, or in the function that takes it; commands read it from there."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import bltvs_neuro
from bltvs_neuro.cli.app import COMMANDS, app
from bltvs_neuro.cli.base import told_in

PACKAGE = Path(bltvs_neuro.__file__).parent
OPTIONS = ["options.py", "extraction/options.py", "features/folds.py", "features/select.py", "rsa/inference/options.py",
           "encoding/solvers/estimators.py"]  # fmt: skip
COMMAND_FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "cli").glob("*.py"))
ENTRY = re.compile(r"^(\w[\w, ]*) : .*\n((?: {4}.*\n?)+)", re.MULTILINE)


def texts(file: str, only: str | None = None) -> list[tuple[str, str]]:
    """Name and text of every parameter that the docstrings of a file describe."""
    found = []
    for node in ast.walk(ast.parse((PACKAGE / file).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and only in (None, node.name):
            head, _, told = (ast.get_docstring(node) or "").partition("Parameters\n----------\n")
            section = told.partition("\n\n")[0] + "\n"
            found += [(name, " ".join(text.split())) for name, text in ENTRY.findall(section)]
    return found


def places() -> set[tuple[str, str]]:
    """Files and functions whose text a command takes over."""
    called = re.compile(r'told_in\("([\w/]+\.py):(\w+)"')
    return {place for file in COMMAND_FILES for place in called.findall((PACKAGE / file).read_text("utf-8"))}


def test_the_text_of_an_option_stands_once():
    found = [entry for file in (*COMMAND_FILES, *OPTIONS) for entry in texts(file)]
    found += [entry for file, function in sorted(places()) for entry in texts(file, function)]
    assert len(found) > 150
    twice = [entry for entry, n in Counter(found).items() if n > 1 and len(entry[1].split()) > 2]
    assert twice == []


def test_what_a_command_takes_over_it_does_not_tell_again():
    for file in COMMAND_FILES:
        tree = ast.parse((PACKAGE / file).read_text("utf-8"))
        for node in ast.walk(tree):
            for call in getattr(node, "decorator_list", []):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "told_in":
                    names = {argument.value for argument in call.args[1:] if isinstance(argument, ast.Constant)}
                    assert names and not names & {name for name, _ in texts(file, node.name)}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_text(command):
    _, apps, _ = app.parse_commands(command.split())
    silent = [
        argument.names[0]
        for argument in apps[-1].assemble_argument_collection(parse_docstring=True)
        if argument.show and not argument.parameter.help
    ]
    assert silent == []


def test_a_command_says_what_the_function_says():
    @told_in("probes/decoder.py:decode", "folds")
    def command(*, folds: int) -> None:
        """Do.

        Parameters
        ----------
        """

    assert "Folds of the cross-validation, stratified by label." in str(command.__doc__)
