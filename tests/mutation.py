"""Mutation runs of the numeric core: change one operator or constant at a time and see whether a test fails.

    python -m tests.mutation bltvs_neuro/stats/pairs.py bltvs_neuro/rsa/comparing/ [--tests FILE ...] [--lines 10:80]

prints survivors as ``file:line: old -> new`` and a row for the table in MUTATION.md. The module is changed in memory, never
on disk. Each mutant runs in a forked process that has the large libraries loaded already, and only against the tests that
reach its line; a line that runs at import or in a fixture goes against all of them. Messages, annotations and docstrings
are left alone. A run over the whole core takes hours, so it is no part of the test suite.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
BESIDE = {
    "stats": ["tests/stats"],
    "rsa/inference/bootstrap": ["tests/rsa/test_bootstrap.py", "tests/rsa/test_tests_by_hand.py"],
    "rsa/inference/ceiling": [
        "tests/rsa/test_ceiling.py",
        "tests/rsa/test_tests_by_hand.py",
        "tests/rsa/test_units.py",
    ],
    "rsa/inference/influence": [f"tests/rsa/test_{name}.py" for name in ("influence", "jackknife", "units")],
    "rsa/inference/jackknife": ["tests/rsa/test_jackknife.py", "tests/rsa/test_jackknife_by_hand.py"],
    "rsa/inference/limits": ["tests/rsa/test_limits.py", "tests/rsa/test_tests_by_hand.py"],
    "rsa/inference": [f"tests/rsa/test_{name}.py" for name in ("inference", "jackknife", "bootstrap", "tests_by_hand")],
    "rsa/comparing/concordance": ["tests/rsa/test_jackknife.py"],
    "rsa/comparing/missing": ["tests/rsa/test_tests_by_hand.py"],
    "rsa/comparing": [
        f"tests/rsa/test_{name}.py" for name in ("similarity", "regression", "bootstrap", "weights_by_hand", "units")
    ],
    "rsa/rdms": ["tests/rsa/test_rdm.py", "tests/rsa/test_convert.py"],
    "encoding/solvers/banded": ["tests/encoding/test_banded.py", "tests/encoding/test_solvers_by_hand.py"],
    "encoding/solvers/ridge": ["tests/encoding/test_ridge.py", "tests/encoding/test_solvers_by_hand.py"],
    "encoding/solvers": [
        f"tests/encoding/test_{name}.py" for name in ("ridge", "pls_ols", "estimators", "banded", "solvers_by_hand")
    ],
    "encoding/scores": [
        f"tests/encoding/test_{name}.py" for name in ("score", "ceiling", "undefined", "scores_by_hand")
    ],
    "encoding/sweep": [f"tests/encoding/test_{name}.py" for name in ("partition", "unique_variance", "fit")],
    "encoding": ["tests/encoding"],
    "probes": ["tests/probes"],
    "training": ["tests/training/test_accuracy.py", "tests/training/test_evaluate.py"],
    "features/grams": ["tests/encoding/test_gram.py", "tests/encoding/test_float32.py"],
    "features": ["tests/features"],
    "store/format": ["tests/store/test_chunks.py", "tests/store/test_encode.py", "tests/store/test_seal.py"],
    "extraction/reduce": ["tests/extraction/test_reduce.py"],
    "extraction/projection": ["tests/extraction/test_reduce.py"],
    "extraction/pca": ["tests/extraction/test_reduce.py"],
    "neural/condensed": ["tests/neural/test_condensed.py", "tests/neural/test_labelled.py"],
    "neural/align": ["tests/neural/test_labelled.py"],
    "neural": ["tests/neural"],
}
"""Start of a module's path -> the tests beside it; the longest start counts."""

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
LEFT_ALONE = (ast.JoinedStr, ast.Raise, ast.Import, ast.ImportFrom)


class Mutant(NamedTuple):
    """One change, found again by its position in the list of a module's changes."""

    line: int
    old: str
    new: str
    tree: ast.Module


def places(node: ast.AST) -> Iterator[ast.AST]:
    """Walk through the code that computes: no annotations, decorators, messages or docstrings."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, LEFT_ALONE):
                yield from places(child)


def changes(node: ast.AST) -> Iterator[Callable[[], None]]:
    """Yield functions that change this node, one way each."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPERATORS:
        yield lambda: setattr(node, "op", OPERATORS[type(node.op)]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield lambda: setattr(node, "op", ast.UAdd())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        yield lambda: setattr(node, "operand", ast.UnaryOp(node.op, node.operand))
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in OPERATORS:
                yield lambda i=i, op=op: node.ops.__setitem__(i, OPERATORS[type(op)]())
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield lambda: setattr(node, "value", node.value + 1)


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every single change of a module."""
    count = sum(1 for node in places(ast.parse(source)) for _ in changes(node))
    for index in range(count):
        tree = ast.parse(source)
        node, change = [(node, change) for node in places(tree) for change in changes(node)][index]
        old = ast.unparse(node)
        change()
        ast.fix_missing_locations(tree)
        yield Mutant(node.lineno, old, ast.unparse(node), tree)


class Changed(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Finds one module, and loads it from a changed tree."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        super().__init__(module_name(path), str(path))
        self.tree = tree

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_code(self, fullname: str) -> Any:
        return compile(self.tree, self.path, "exec", dont_inherit=True)


class Reach:
    """A pytest plugin: which tests reach which lines of one file. What is not a test's own call is reached by all."""

    def __init__(self, path: Path) -> None:
        self.file, self.now, self.lines, self.seconds = str(path), "", {}, {}
        threading.settrace(self.enter)
        sys.settrace(self.enter)

    def enter(self, frame: Any, event: str, arg: Any) -> Any:
        return self.step(frame, event, arg) if frame.f_code.co_filename == self.file else None

    def step(self, frame: Any, event: str, arg: Any) -> Any:
        self.lines.setdefault(self.now, set()).add(frame.f_lineno)
        return self.step

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self.now, started = item.nodeid, time.monotonic()
        yield
        self.seconds[self.now] = time.monotonic() - started
        self.now = ""


def module_name(path: Path) -> str:
    """Dotted name of a module of the package."""
    parts = path.resolve().relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tests_beside(path: Path) -> list[str]:
    """Give the tests of a module."""
    inside = path.resolve().relative_to(ROOT / "bltvs_neuro").as_posix()
    return BESIDE[max((start for start in BESIDE if inside.startswith(start)), key=len)]


def forked(work: Callable[[], int], seconds: float) -> int | None:
    """Run ``work`` in a process of its own, its output thrown away; its exit status, None past the time."""
    child = os.fork()
    if child == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        status = 70
        try:
            status = work()
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def run_tests(tests: Sequence[str], *plugins: object) -> int:
    """Run pytest in this process; its exit status."""
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=plugins))


def reach(path: Path, tests: Sequence[str]) -> tuple[dict[str, list[int]], dict[str, float]]:
    """Lines that each test reaches (those of all under ""), and how long each takes."""
    with tempfile.NamedTemporaryFile("r") as file:

        def work() -> int:
            plugin = Reach(path)
            status = run_tests(tests, plugin)
            sys.settrace(None)
            found = {name: sorted(lines) for name, lines in plugin.lines.items()}
            Path(file.name).write_text(json.dumps([found, plugin.seconds, list(sys.modules)]))
            return status

        if (status := forked(work, 1800)) != 0:
            sys.exit(f"the tests of {path} fail without a change (pytest's status {status}): {' '.join(tests)}")
        lines, seconds, loaded = json.load(file)
    load_libraries(loaded)
    if forked(lambda: run_tests(tests), 1800) != 0:
        sys.exit(f"the tests of {path} fail without a change once libraries are shared: no mutant would mean anything")
    return lines, seconds


def load_libraries(names: Sequence[str]) -> None:
    """Load what the tests load of others, so that forked processes need not; nothing of the package or its tests."""
    for name in names:
        if name.split(".")[0] not in ("bltvs_neuro", "tests", "conftest", "__main__", "__mp_main__"):
            with contextlib.suppress(Exception):  # a name in sys.modules need not be one that can be imported
                importlib.import_module(name)


def run_module(path: Path, tests: Sequence[str], chosen: range, limit: float, sample: int | None = None) -> None:
    """Run every mutant of a module, or ``sample`` of them drawn by seed 0, and print survivors."""
    lines, seconds = reach(path, tests)
    ends = {
        node.lineno: node.end_lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.stmt)
    }
    shared, count, survivors, idle = set(lines.pop("", [])), 0, 0, 0
    drawn = [mutant for mutant in mutants(path.read_text()) if mutant.line in chosen]
    if sample is not None and sample < len(drawn):
        drawn = sorted(random.Random(0).sample(drawn, sample), key=lambda mutant: mutant.line)
    for mutant in drawn:
        start = max(first for first in ends if first <= mutant.line)
        own = set(range(start, max(mutant.line, ends[start] if ends[start] - start < 12 else 0) + 1))
        reached = list(seconds) if own & shared else [name for name in lines if own & set(lines[name])]
        reached.sort(key=lambda name: seconds[name])
        count += 1

        def work(mutant: Mutant = mutant, reached: list[str] = reached) -> int:
            sys.meta_path.insert(0, Changed(path, mutant.tree))
            return run_tests(reached)

        status = forked(work, limit + 3 * sum(seconds[name] for name in reached)) if reached else 0
        survivors += status == 0
        idle += not reached
        if status == 0:
            where = f"{path.resolve().relative_to(ROOT)}:{mutant.line}"
            print(f"{where}: {mutant.old} -> {mutant.new}{'' if reached else '  (no test reaches it)'}", flush=True)  # noqa: T201
    name = path.resolve().relative_to(ROOT / "bltvs_neuro")
    print(f"| {name} | {count} | {count - survivors} | {survivors} | {idle} |", flush=True)  # noqa: T201


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="+", type=Path, help="files or folders of the package")
    parser.add_argument("--tests", nargs="+", help="test files, instead of those that BESIDE names")
    parser.add_argument("--lines", default="1:100000", help="first:last line to change")
    parser.add_argument("--limit", type=float, default=30, help="seconds for a mutant, beside three times its tests'")
    parser.add_argument("--sample", type=int, help="so many mutants of a module, drawn by seed 0")
    options = parser.parse_args()
    first, last = map(int, options.lines.split(":"))
    for module in options.modules:
        for path in sorted(module.rglob("*.py")) if module.is_dir() else [module]:
            if path.name != "__init__.py":
                run_module(
                    path.resolve(),
                    options.tests or tests_beside(path),
                    range(first, last + 1),
                    options.limit,
                    options.sample,
                )


if __name__ == "__main__":
    main()
