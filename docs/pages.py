"""Pages of the documentation that follow from the package: one per module of the API, and the help of every command."""

import ast
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bltvs_neuro

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
GENERATED = HERE / "generated"
PACKAGES = {
    "model": "Models, checkpoints, lesions",
    "stimuli": "Stimuli",
    "extraction": "Extraction",
    "store": "The store",
    "features": "Features",
    "neural": "Neural data",
    "stats": "Statistics",
    "rsa": "Representational similarity analysis",
    "encoding": "Encoding models",
    "probes": "Probes",
    "training": "Training and evaluation",
    "brainscore": "Brain-Score",
    "report": "Reports",
}


def write_pages() -> None:
    """Write everything anew, but for the gallery, which is made anew where a script has changed."""
    for part in ("api", "commands.rst"):
        path = GENERATED / part
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (GENERATED / "api").mkdir(parents=True)
    _write_commands()
    _write_api()


def commands() -> list[str]:
    """The commands in the README's table, which a test holds against those that exist."""
    return re.findall(r"`bltvs ([a-z ]+)`", README.read_text("utf-8").partition("## Commands")[2].partition("\n## ")[0])


def _write_commands() -> None:
    names = commands()
    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(_help, names))
    lines = ["Commands", "========", "", "What ``bltvs COMMAND --help`` prints.", ""]
    for name, text in zip(names, texts, strict=True):
        title = f"``bltvs {name}``"
        lines += [title, "-" * len(title), "", ".. code-block:: text", "", *(f"   {line}" for line in text), ""]
    (GENERATED / "commands.rst").write_text("\n".join(lines) + "\n", "utf-8")


def _help(name: str) -> list[str]:
    words = [sys.executable, "-m", "bltvs_neuro", *name.split(), "--help"]
    plain = os.environ | {"COLUMNS": "88", "NO_COLOR": "1", "TERM": "dumb"}
    text = subprocess.run(words, env=plain, capture_output=True, text=True, check=True).stdout
    return text.replace(f"{Path(sys.executable).name} -m bltvs_neuro", "bltvs").rstrip().splitlines()


def _write_api() -> None:
    lines = ["API reference", "=============", "", "The public names, as ``import bltvs_neuro as bn`` gives them:", ""]
    lines += [".. list-table::", "   :widths: 30 70", ""]
    stub = ast.parse(Path(bltvs_neuro.__file__).with_suffix(".pyi").read_text("utf-8"))
    homes = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    for name in sorted(homes, key=str.lower):
        module = f"bltvs_neuro.{homes[name]}"
        said = (getattr(bltvs_neuro, name).__doc__ or "").strip().split("\n")[0]
        said = said if callable(getattr(bltvs_neuro, name)) else "A table."
        lines += [f"   * - ``bn.{name}``", f"     - {said} (:mod:`{module}`)"]
    lines += ["", ".. toctree::", "   :maxdepth: 1", ""]
    for package, title in PACKAGES.items():
        lines.append(f"   {package}")
        (GENERATED / "api" / f"{package}.rst").write_text(_package_page(package, title), "utf-8")
    for module, title in (("cluster", "Clusters"), ("schema", "Words"), ("errors", "Errors")):
        lines.append(f"   {module}")
        text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: bltvs_neuro.{module}\n"
        (GENERATED / "api" / f"{module}.rst").write_text(text, "utf-8")
    (GENERATED / "api" / "index.rst").write_text("\n".join(lines) + "\n", "utf-8")


def _package_page(package: str, title: str) -> str:
    root = importlib.import_module(f"bltvs_neuro.{package}")
    text = [title, "=" * len(title), "", f".. automodule:: bltvs_neuro.{package}", "   :no-members:", ""]
    for found in sorted(pkgutil.walk_packages(root.__path__, f"{root.__name__}."), key=lambda m: m.name):
        if found.ispkg or any(part.startswith("_") for part in found.name.split(".")):
            continue
        short = found.name.removeprefix("bltvs_neuro.")
        text += [f"``{short}``", "-" * (len(short) + 4), "", f".. automodule:: {found.name}", ""]
    return "\n".join(text)
