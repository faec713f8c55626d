"""Help comes at once: no library that takes seconds is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bltvs_neuro.cli.app import COMMANDS

HEAVY = {"torch", "torchvision", "pandas", "xarray", "scipy", "sklearn", "matplotlib", "h5py", "rsatoolbox", "plotly"}
SLOWER = {"encode": {"pandas", "scipy", "sklearn"}}
"""Its solver options are scikit-learn estimators."""
CODE = """
import contextlib, io, json, sys
from bltvs_neuro.cli import app
found = {}
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert app.run([*command.split(), "--help"]) == 0
    found[command] = [len(said.getvalue()), *sys.modules]
print(json.dumps(found), file=sys.stderr)
"""


@pytest.mark.parametrize("commands", [[""], [name for name in COMMANDS if name not in SLOWER], list(SLOWER)])
def test_help_imports_nothing_heavy(commands):
    code = [sys.executable, "-c", CODE, json.dumps(commands)]
    done = subprocess.run(code, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command, (_, *modules) in json.loads(done.stderr.splitlines()[-1]).items():
        assert HEAVY & {*modules} <= SLOWER.get(command, set()), command
        assert "numpy" not in modules or command not in ("", "demo", "extract")
