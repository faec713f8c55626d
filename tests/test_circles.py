"""No module imports itself by way of others, also not inside of a function."""

from __future__ import annotations

import pytest

RESULT_AND_PLOT = [
    {"bltvs_neuro.probes.figures", "bltvs_neuro.probes.result"},
    {"bltvs_neuro.encoding.outputs.partition", "bltvs_neuro.encoding.outputs.scores", "bltvs_neuro.encoding.result"},
]
"""Circles that may be: ``result.plot_...()`` imports its figure when it is called."""


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components of two modules and more (Tarjan 1972)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in imports[module]:
            if other not in number:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == number[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(set(stack[at:]))
            del stack[at:]

    for module in imports:
        if module not in number:
            visit(module)
    return found


def test_no_import_circle_but_from_result_to_plot():
    grimp = pytest.importorskip("grimp")
    # imports for types only are never carried out
    graph = grimp.build_graph("bltvs_neuro", exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert [sorted(circle) for circle in circles(imports) if circle not in RESULT_AND_PLOT] == []


def test_a_circle_of_three_is_found():
    assert circles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) == [{"a", "b", "c"}]
