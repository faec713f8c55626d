"""No text of the package names an argument as Python writes it: commands have options (``errors.argument``)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bltvs_neuro
from bltvs_neuro.errors import argument, spelled_as

ROOT = Path(bltvs_neuro.__file__).parent
ARGUMENT = re.compile(r"(?<![\w/{.?&-])[a-z][a-z_0-9]*=(?!=)")
"""A name in small letters and an equals sign, not within an address, an option or a format."""

TEMPLATES = ("brainscore/submission/check_text.py", "brainscore/submission/plugin_text.py", "notebook.py")
"""Files that hold code or HTML as text."""

WRITTEN_SO = {
    "cli/base.py": ("name=value", "resume=False"),
    "cli/encode.py": ("mask=m.nii.gz",),
    "cli/extract.py": ("noise(0.5,seed=3)",),
    "cli/neural.py": ("name=value",),
    "cli/rsa.py": ("name=value",),
    "model/lesions/actions.py": (",seed=",),
    "model/lesions/lesion.py": ("noise(SD,seed=0)", "noise(0.5,seed=3)", "(PICTURES,seed=0)", "(PICTURES,seed=3)"),
    "model/lesions/resample.py": (",seed=",),
    "model/blt_vs/unroll.py": ("(bio_unroll=False)", "(bio_unroll=True)"),
    "neural/reading/pickles.py": ('format="', ", allow_pickle=True"),
    "store/parts/identity.py": ("resume=False (--fresh)",),
    "store/parts/folder.py": ("resume=False",),
}
"""Phrases in which it is what the user writes, or the name of something else: lesions, readers' options on the command line."""


def texts(tree: ast.AST) -> list[tuple[int, str]]:
    """All literals that are no docstrings, with f-strings joined."""
    skipped, found = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            skipped.update(part for part in node.values if isinstance(part, ast.Constant))
            # the specifications of formats, as in {x:=^9}
            skipped.update(part for value in node.values for part in ast.walk(value) if isinstance(part, ast.JoinedStr))
            if node not in skipped:
                found.append((node.lineno, "".join(map(str, parts))))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            found.append((node.lineno, node.value))
    return found


def spelled_out(source: str, phrases: tuple[str, ...] = ()) -> list[tuple[int, str]]:
    found = []
    for line, text in texts(ast.parse(source)):
        for phrase in phrases:
            text = text.replace(phrase, "")
        found += [(line, hit) for hit in ARGUMENT.findall(text)]
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_names_an_argument_of_python(path):
    name = path.relative_to(ROOT).as_posix()
    if name not in TEMPLATES:
        assert spelled_out(path.read_text(encoding="utf-8"), WRITTEN_SO.get(name, ())) == []


@pytest.mark.parametrize(
    ("source", "hits"),
    [
        ("raise E('choose one with format=')", ["format="]),
        ("warn(f'{x} is odd: pass on_edge={y!r}')", ["on_edge="]),
        ("text = 'weights=PATH'", ["weights="]),
        ('def f():\n    """Give format=."""', []),
        ("print(f'{x:=^9} {y=}', a == b, 'a == b', 'x != y', '?q=1&v=2', '--option key=1'.split())", ["y=", "key="]),
    ],
)
def test_what_the_scan_sees(source, hits):
    assert [hit for _, hit in spelled_out(source)] == hits


def test_a_command_without_the_option_is_told_what_it_has():
    said = dict(otherwise="rename it")
    assert argument("path_column", "NAME", **said) == "path_column=NAME"
    with spelled_as({"format": "--format", "*": "--option {name}="}):
        assert argument("path_column", "NAME", **said) == "rename it"
        assert argument("format", "nsd", **said) == "--format nsd"
    with spelled_as({"ceiling": "--ceiling", "ceiling=False": "--no-ceiling"}):
        assert argument("ceiling", False, **said) == "--no-ceiling"


def test_switches_of_commands_can_be_named_by_their_negative():
    from bltvs_neuro.cli.app import app  # noqa: F401
    from bltvs_neuro.cli.base import flags_of

    assert flags_of(["brainscore", "score", "it.nc"])["ceiling=False"] == "--no-ceiling"


def test_options_of_a_command_by_their_names_in_python():
    from bltvs_neuro.cli.app import app  # noqa: F401
    from bltvs_neuro.cli.base import flags_of

    found = flags_of(["encode", "acts.h5", "--neural", "x.nc"])
    assert found["n_permutations"] == "--n-permutations" and found["keep_dual"] == "--keep-dual"
    assert found["resume=False"] == "--overwrite" and found["*"] == "--option {name}="
