"""The names that are imported when they are first used: what editors are told of them, and what is there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import bltvs_neuro

ROOT = Path(bltvs_neuro.__file__).parent
STUBS = sorted(ROOT.rglob("__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_a_stub_names_what_is_there(stub):
    package = importlib.import_module(".".join(stub.parent.relative_to(ROOT.parent).parts))
    tree = ast.parse(stub.read_text("utf-8"))
    homes = {alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    assert sorted(homes) == sorted(listed) == sorted(package.__all__) == sorted(dir(package))
    for name, home in homes.items():
        full = f"{package.__name__}.{home}"
        if package.__name__ == "bltvs_neuro.brainscore" and importlib.util.find_spec("brainscore_vision") is None:
            text = (ROOT / "brainscore" / f"{home.replace('.', '/')}.py").read_text("utf-8")
            assert f"def {name}(" in text or f"class {name}" in text
            continue
        assert getattr(package, name) is getattr(importlib.import_module(full), name)


def test_every_lazy_package_has_a_stub():
    assert len(STUBS) == 8
    by_hand = [path for path in ROOT.rglob("*.py") if "\ndef __getattr__(" in path.read_text("utf-8")]
    assert by_hand == []
    assert (ROOT / "py.typed").is_file()


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="extrct"):
        _ = bltvs_neuro.extrct


def test_the_package_is_imported_without_torch_and_pandas():
    code = "import sys, bltvs_neuro, bltvs_neuro.store, bltvs_neuro.probes; print({'torch', 'pandas', 'xarray'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_every_public_name_has_an_example():
    without = []
    for name in bltvs_neuro.__all__:
        thing = getattr(bltvs_neuro, name)
        home = thing if callable(thing) else next(m for m in list(sys.modules.values()) if _defines(m, name, thing))
        if ">>> " not in (home.__doc__ or ""):
            without.append(name)
    assert without == []


def _defines(module, name: str, thing: object) -> bool:
    """Whether a table stands in a module of this package, whose docstring then has its example."""
    path = getattr(module, "__file__", None) or ""
    return path.startswith(str(ROOT)) and f"\n{name}: " in Path(path).read_text("utf-8") and vars(module)[name] is thing
