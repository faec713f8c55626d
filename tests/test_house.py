"""How the package is laid out: few parameters, colours in one place, rooms and files that can be looked over."""

import ast
import re
from pathlib import Path

import pytest

import bltvs_neuro

PACKAGE = Path(bltvs_neuro.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_functions_have_few_parameters(path):
    most = 12 if path.parent.name == "cli" else 10
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            assert len([a for a in arguments if a not in ("self", "cls")]) <= most, node.name


def test_colours_stand_in_one_file():
    coloured = [path.name for path in FILES if re.search(r'"#[0-9a-fA-F]{6}"', path.read_text("utf-8"))]
    assert sorted(coloured) == ["figures.py", "figures.py"]  # the package's, and the greys of the page


def test_rooms_can_be_looked_over():
    crowded = {}
    for folder in (PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__")):
        entries = [path for path in folder.iterdir() if path.name[0] not in "_." and path.suffix in (".py", "")]
        if len(entries) > 20:
            crowded[folder.name] = len(entries)
    assert crowded.keys() <= {"bltvs_neuro"}
