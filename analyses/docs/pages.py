"""Pages of the documentation that follow from other files: one per module of the API, one per numbered analysis."""

import ast
import importlib
import pkgutil
import shutil
from pathlib import Path

import bltvs_neuro

HERE = Path(__file__).parent
ANALYSES = HERE.parent
GENERATED = HERE / "generated"
PACKAGES = {
    "model": "Models, checkpoints, lesions",
    "stimuli": "Stimuli",
    "extraction": "Extraction",
    "store": "The store",
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
    """Write everything anew."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    (GENERATED / "api").mkdir(parents=True)
    (GENERATED / "analyses").mkdir()
    _write_api()
    _write_analyses()


def _write_api() -> None:
    lines = ["API reference", "=============", "", "The public names, as ``import bltvs_neuro as bn`` gives them:", ""]
    lines += [".. list-table::", "   :widths: 30 70", ""]
    for name in sorted(bltvs_neuro.PUBLIC, key=str.lower):
        module = f"bltvs_neuro.{bltvs_neuro.PUBLIC[name]}"
        said = (getattr(bltvs_neuro, name).__doc__ or "").strip().split("\n")[0]
        said = said if callable(getattr(bltvs_neuro, name)) else "A table."
        lines += [f"   * - ``bn.{name}``", f"     - {said} (:mod:`{module}`)"]
    lines += ["", ".. toctree::", "   :maxdepth: 1", ""]
    for package, title in PACKAGES.items():
        found = importlib.util.find_spec(f"bltvs_neuro.{package}")
        if found is None:
            continue
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


def _write_analyses() -> None:
    lines = [
        "Tutorials",
        "=========",
        "",
        "Numbered scripts that use the public API only; each makes figures and tables.",
        "",
    ]
    lines += [".. toctree::", "   :maxdepth: 1", ""]
    for path in sorted(ANALYSES.glob("[0-9][0-9]_*.py")):
        about = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or path.stem
        title, _, rest = about.partition("\n")
        text = [title, "=" * len(title), "", rest.strip(), ""]
        for figure in sorted((ANALYSES / path.stem).glob("*.png")):
            shutil.copy(figure, GENERATED / "analyses" / f"{path.stem}-{figure.name}")
            text += [f".. figure:: {path.stem}-{figure.name}", f"   :alt: {figure.stem}", "", f"   {figure.stem}", ""]
        text += [f".. literalinclude:: ../../../{path.name}", "   :language: python", ""]
        (GENERATED / "analyses" / f"{path.stem}.rst").write_text("\n".join(text), "utf-8")
        lines.append(f"   {path.stem}")
    (GENERATED / "analyses" / "index.rst").write_text("\n".join(lines) + "\n", "utf-8")
