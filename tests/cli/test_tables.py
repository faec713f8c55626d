"""Tables of commands on a terminal of 80 columns."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

import bltvs_neuro
from bltvs_neuro.cli.base import Table
from tests.running import bltvs

CLI = Path(bltvs_neuro.__file__).parent / "cli"


def shown(table: Table, width: int = 80) -> list[str]:
    console = Console(width=width)
    with console.capture() as taken:
        console.print(table)
    return taken.get().splitlines()


def test_the_first_column_is_whole_and_nothing_is_cut():
    table = Table(title="wide")
    names = [f"a-rather-long-name-of-a-model-{i}" for i in range(3)]
    for column in ("model", *(f"a long heading {i}" for i in range(9))):
        table.add_column(column)
    for name in names:
        table.add_row(name, *("27,332,427" for _ in range(9)))
    lines = shown(table)
    assert all(any(line.strip().startswith(name) for line in lines) for name in names)
    assert "…" not in "".join(lines)


def test_every_command_takes_its_tables_from_one_place():
    others = [path.name for path in CLI.glob("*.py") if "rich.table" in path.read_text("utf-8")]
    assert others == ["base.py"]


def test_models_and_areas_are_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = bltvs("models")
    for name in ("imagenet", "resnet50", "cornet_s", "simultaneous", "feedforward", "neurons (million)"):
        assert name in done.stdout
    assert "…" not in done.stdout
    assert re.search(r"neurons \(million\) +0.3 +0.45 +98 +68.6 +39.2 +19.6 +39.2", done.stdout)
