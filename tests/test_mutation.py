"""The mutation tool finds every operator and number that computes, and leaves words and types alone."""

from __future__ import annotations

import pytest

from .mutation import BESIDE, ROOT, mutants

SOURCE = '''
def f(x: int = 1, *, y: "1 + 1" = None) -> "2 * 2":
    """Not 3 + 3."""
    if not x:
        raise ValueError(f"{x + 4}")
    return x**2 + 5 if 0 < x <= 6 and y else -x
'''


def test_every_change_is_made_once():
    found = [(m.line, m.old, m.new) for m in mutants(SOURCE)]
    assert found == [
        (2, "1", "2"),
        (4, "not x", "not not x"),
        (6, "0 < x <= 6 and y", "0 < x <= 6 or y"),
        (6, "0 < x <= 6", "0 <= x <= 6"),
        (6, "0 < x <= 6", "0 < x < 6"),
        (6, "0", "1"),
        (6, "6", "7"),
        (6, "x ** 2 + 5", "x ** 2 - 5"),
        (6, "x ** 2", "x * 2"),
        (6, "2", "3"),
        (6, "5", "6"),
        (6, "-x", "+x"),
    ]


def test_a_changed_tree_computes_something_else():
    values = []
    for mutant in mutants("def f(x):\n    return x * 2 + 1\n"):
        space: dict = {}
        exec(compile(mutant.tree, "changed", "exec"), space)
        values.append(space["f"](3))
    assert values == [5, 2.5, 10, 8]  # x * 2 - 1, x / 2 + 1, x * 3 + 1, x * 2 + 2


@pytest.mark.parametrize("start", BESIDE)
def test_the_tests_beside_a_module_are_there(start):
    assert list((ROOT / "bltvs_neuro").glob(f"{start}*"))
    assert all((ROOT / name).exists() for name in BESIDE[start])
