"""Which files a plugin carries; brainscore-vision need not be there."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from bltvs_neuro.brainscore.submission.closure import files_of, modules_of, requirements_of
from bltvs_neuro.errors import BltvsError

PLUGIN = ("brainscore.submission.plugin",)


def test_lazy_packages_are_carried_as_their_docstrings_and_need_no_lazy_loader():
    files = files_of(PLUGIN)
    for name in ("bltvs_neuro/__init__.py", "bltvs_neuro/brainscore/__init__.py"):
        (only,) = ast.parse(files[name]).body
        assert isinstance(only, ast.Expr)
    assert not [name for name, content in files.items() if b"lazy_loader" in content and "submission" not in name]
    assert not [line for line in requirements_of(modules_of(PLUGIN)) if line.startswith("lazy")]


def test_the_copy_is_imported_where_there_is_no_lazy_loader(tmp_path):
    for name, content in files_of(PLUGIN).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code = (
        "import sys; sys.modules['lazy_loader'] = None; sys.path.insert(0, '.')\n"
        "import bltvs_neuro.brainscore, bltvs_neuro.brainscore.subject.timeline, bltvs_neuro.model.blt_vs.module as m\n"
        "print(m.__file__)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith((str(tmp_path), "./"))


def test_an_entry_that_is_not_there_is_refused():
    """It gave a plugin without any file when the module had moved."""
    with pytest.raises(BltvsError, match="there is no module bltvs_neuro.brainscore.plugin"):
        modules_of(("brainscore.plugin",))
