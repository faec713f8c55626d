"""Which of the package's own files a plugin needs: followed from import to import, so that no copy is kept by hand."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from ...errors import BltvsError

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the package."""

PACKAGE = ROOT.name
GIVEN = ("brainscore_vision", "brainscore_core", "result_caching")
"""Third parties that are there when a plugin runs."""


def files_of(entries: tuple[str, ...]) -> dict[str, bytes]:
    """Collect the files that modules below the package need, and the data files next to them: POSIX path -> content."""
    paths = set(modules_of(entries).values())
    for folder in {path.parent for path in paths}:
        paths.update(folder.glob("*.json"))
    return {path.relative_to(ROOT.parent).as_posix(): _carried(path) for path in sorted(paths)}


def modules_of(entries: tuple[str, ...]) -> dict[str, Path]:
    """Module -> file, for ``entries`` and every module of the package that they import."""
    found: dict[str, Path] = {}
    pending = [f"{PACKAGE}.{entry}" for entry in entries]
    for entry in pending:
        if _file(entry) is None:
            raise BltvsError(f"there is no module {entry} for a plugin to begin with")
    while pending:
        name = pending.pop()
        path = _file(name)
        if path is None or name in found:
            continue
        found[name] = path
        pending += [name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)]  # the packages it lies in
        pending += _imports(name, path)
    return found


def _carried(path: Path) -> bytes:
    """A file as a plugin carries it: of lazy packages, whose names a plugin does not use, nothing but the docstring."""
    content = path.read_bytes()
    if path.suffix == ".py" and path.with_suffix(".pyi").is_file():
        return f'"""{ast.get_docstring(ast.parse(content))}"""\n'.encode()
    return content


def requirements_of(modules: dict[str, Path]) -> list[str]:
    """Requirements of modules, with the bounds that the package itself states; BltvsError for what it does not require."""
    imported: set[str] = set()
    for path in modules.values():
        for node in ast.walk(ast.parse(_carried(path))):
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                imported.add(node.module)
    third_parties = {name.split(".")[0] for name in imported} - {*sys.stdlib_module_names, *GIVEN}
    lines = {line: _normal(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in requires(PACKAGE) or []}
    stated = {name: line for line, name in lines.items() if "extra" not in line}
    owners = packages_distributions()
    needed, unknown = set(), []
    for name in sorted(third_parties):
        owner = next((_normal(o) for o in owners.get(name, [name]) if _normal(o) in stated), None)
        if owner is None:
            unknown.append(name)
        else:
            needed.add(stated[owner])
    extras = {name for line, name in lines.items() if "extra" in line}
    unknown = [
        name for name in unknown if name not in OPTIONAL and not ({name, *map(_normal, owners.get(name, []))} & extras)
    ]
    if unknown:
        raise BltvsError(f"the plugin would import {', '.join(unknown)}, which bltvs_neuro does not require")
    return sorted(needed)


OPTIONAL = {"safetensors"}
"""Imported inside of functions that say so themselves."""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _file(module: str) -> Path | None:
    base = ROOT.parent.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _imports(module: str, path: Path) -> list[str]:
    """Modules of the package that one of its modules imports, by relative imports."""
    package = module if path.name == "__init__.py" else module.rsplit(".", 1)[0]
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
            target = f"{base}.{node.module}" if node.module else base
            names.append(target)
            names += [f"{target}.{alias.name}" for alias in node.names]  # a name may be a module
    return names
