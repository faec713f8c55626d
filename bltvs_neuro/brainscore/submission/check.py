"""Run on a submission, offline, what Brain-Score runs on it.

The zip is unpacked into a copy of the installed brainscore_vision, so that the installation itself stays as it is. The
website's rules, the search for registrations, the metadata contract, the generic model tests, the plugin's own tests and
the mock benchmark all run there; the mock benchmark's data, which Brain-Score would fetch, are made up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ...errors import SpecError, listed
from ..environment import require
from .check_text import SUBMISSION_TESTS
from .package import MAX_BYTES

TIMEOUT = 3600
"""Seconds that the tests may take."""

MAX_UNPACKED = 500_000_000
GENERIC = "generic_plugin_tests"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked, with what was found or is wrong; a ``note`` is not required of a sound submission."""

    what: str
    ok: bool
    detail: str = ""
    note: bool = False


def check(path: str | Path, *, tests: bool = True) -> list[Finding]:
    """Check the submission in a zip: it is sound if every finding is ok or a note; without ``tests``, no model is loaded.

    SpecError where there is no such zip; BrainScoreError where brainscore-vision is not installed.
    """
    require()
    path = Path(path)
    if not zipfile.is_zipfile(path):
        raise SpecError(f"{path} is no zip" if path.exists() else f"there is no file {path}")
    findings = list(_archive(path))
    if not all(f.ok or f.note for f in findings):
        return findings
    with tempfile.TemporaryDirectory(prefix="brainscore-check-") as scratch:
        root = Path(scratch) / "brainscore_vision"
        _copy_package(root)
        plugins = _unpack(path, root)
        for plugin in plugins:
            static = list(_plugin(root, plugin))
            findings += static
            if tests and all(f.ok or f.note for f in static):
                findings += _run_tests(Path(scratch), root, plugin)
    return findings


def _archive(path: Path) -> Iterator[Finding]:
    """The rules of the website's upload."""
    size = path.stat().st_size
    yield Finding("size", size <= MAX_BYTES, f"{size:,} of {MAX_BYTES:,} bytes")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    unsafe = [name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name]
    unpacked = sum(entry.file_size for entry in entries)
    yield Finding("paths", not unsafe and unpacked <= MAX_UNPACKED, listed(unsafe) or f"{len(names)} entries")
    folders = [name for name in names if name.endswith("/")]
    kinds = sorted({name.split("/")[1] for name in folders if name.count("/") == 2})
    plugins = sorted({name.split("/")[2] for name in folders if name.count("/") == 3})
    yield Finding(
        "layout", kinds == ["models"] and bool(plugins),
        f"models: {listed(plugins)}" if kinds == ["models"] else
        f"a zip holds one folder with the folder 'models' in it, as entries of their own; it holds {listed(kinds) or 'none'}",
    )  # fmt: skip
    for plugin in plugins:
        files = {PurePosixPath(name).name for name in names if PurePosixPath(name).parent.name == plugin}
        missing = {"__init__.py", "model.py", "test.py"} - files
        yield Finding(f"{plugin}: files", not missing, f"missing: {listed(sorted(missing))}" if missing else "")


def _copy_package(root: Path) -> None:
    """Copy brainscore_vision without its models, benchmarks and data, and the images that its release forgot."""
    import brainscore_vision

    source = Path(brainscore_vision.__file__).parent

    def ignored(folder: str, names: list[str]) -> list[str]:
        if Path(folder) in (source / "models", source / "benchmarks", source / "data"):
            return [name for name in names if name != "__init__.py"]
        return [name for name in names if name == "__pycache__"]

    shutil.copytree(source, root, ignore=ignored)
    images = root / "model_helpers" / f"{GENERIC}_resources"
    images.mkdir(exist_ok=True)
    for seed, name in enumerate(("rgb1.jpg", "rgb2.jpg", "rgb3.png")):
        if not (images / name).exists():
            pixels = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(images / name)


def _unpack(path: Path, root: Path) -> list[Path]:
    plugins = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            if entry.is_dir() or len(parts) < 4 or parts[1] != "models":
                continue
            target = root.joinpath(*parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(entry))
            if (plugin := root / "models" / parts[2]) not in plugins:
                plugins.append(plugin)
    return plugins


def _plugin(root: Path, plugin: Path) -> Iterator[Finding]:
    """What Brain-Score reads from the plugin's files without importing them."""
    from brainscore_core.metadata.contract import MetadataError, load
    from brainscore_core.plugin_management.import_plugin import ImportPlugin
    from brainscore_core.plugin_management.parse_plugin_changes import get_plugin_ids, parse_plugin_changes
    from brainscore_core.plugin_management.test_plugins import PluginTestRunner

    name = plugin.name
    identifiers = get_plugin_ids("models", [name], str(root))
    text = (plugin / "__init__.py").read_text("utf-8").replace('"', "'")
    garbled = [identifier for identifier in identifiers if f"model_registry['{identifier}']" not in text]
    said = listed(identifiers) or "no line model_registry['...'] was found"
    if garbled:
        said = f"Brain-Score reads the names {listed(garbled)}: write model_registry['name'] = lambda: ... with the name in it"
    yield Finding(f"{name}: registrations", bool(identifiers) and not garbled, said)
    for identifier in identifiers:
        try:
            taken = ImportPlugin("brainscore_vision", "models", identifier).plugin_dirname
        except AssertionError:
            taken = ""
        detail = f"the installed brainscore_vision has a model of that name, in models/{taken}" if taken else ""
        yield Finding(f"{identifier}: name is free", not taken, detail)
        mapping = plugin / "region_layer_map" / f"{identifier}.json"
        stated = mapping.is_file()
        yield Finding(f"{identifier}: region_layer_map", stated, "" if stated else f"no {mapping.name}")
    try:
        # its constructor asks for conda, which the validation does not
        runner = PluginTestRunner.__new__(PluginTestRunner)
        runner.plugin_directory = plugin
        runner.validate_plugin()
        yield Finding(f"{name}: validate_plugin", True)
    except AssertionError as error:
        yield Finding(f"{name}: validate_plugin", False, str(error))
    changed = [path.relative_to(root.parent).as_posix() for path in plugin.rglob("*") if path.is_file()]
    parsed = parse_plugin_changes(" ".join(changed), root.name)
    yield Finding(f"{name}: touches plugins only", parsed["modifies_plugins"] and not parsed["test_all_plugins"])
    metadata = next(plugin.glob("metadata.y*ml"), None)
    yield Finding(
        f"{name}: is merged automatically", parsed["is_automergeable"],
        "" if parsed["is_automergeable"] else "no: it holds a metadata file, which is looked at first", note=True,
    )  # fmt: skip
    if metadata is not None:
        try:
            models = load(metadata.read_text("utf-8"), domain="vision")["models"]
            strange = listed(set(models) - set(identifiers))
            detail = f"about models that are not registered: {strange}" if strange else ""
            yield Finding(f"{name}: metadata", not strange, detail)
        except MetadataError as error:
            yield Finding(f"{name}: metadata", False, str(error))


def _run_tests(scratch: Path, root: Path, plugin: Path) -> list[Finding]:
    """Run the generic tests, the plugin's own and the mock benchmark, in a process that sees the copy."""
    extra = root / "model_helpers" / "test_submission.py"
    extra.write_text(SUBMISSION_TESTS, "utf-8")
    report = scratch / "report.xml"
    environment = {
        **os.environ, "PYTHONPATH": str(scratch), "BS_INSTALL_DEPENDENCIES": "no", "RESULTCACHING_DISABLE": "1",
        "RESULTCACHING_HOME": str(scratch / "cache"), "BRAINSCORE_HOME": str(scratch / "home"),
        "PYTHONDONTWRITEBYTECODE": "1", "TQDM_DISABLE": "1",
    }  # fmt: skip
    environment.pop("PYTEST_ADDOPTS", None)
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(scratch),
        "--junitxml", str(report), "--plugin_directory", str(plugin),
        str(root / "model_helpers" / f"{GENERIC}.py"), str(extra), str(plugin / "test.py"),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return [Finding(f"{plugin.name}: tests", False, f"they took more than {TIMEOUT} seconds")]
    if not report.is_file():
        return [Finding(f"{plugin.name}: tests", False, (done.stdout + done.stderr).strip()[-2000:])]
    findings = list(_outcomes(report, plugin.name))
    own = [f for f in findings if ": test.py::" in f.what]
    if not own:  # Brain-Score itself would let this pass
        findings.append(Finding(f"{plugin.name}: test.py", False, "it holds no test"))
    if done.returncode and all(f.ok for f in findings):
        findings.append(Finding(f"{plugin.name}: tests", False, (done.stdout + done.stderr).strip()[-2000:]))
    return findings


def _outcomes(report: Path, plugin: str) -> Iterator[Finding]:
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        module = case.get("classname", "").split(".")[-1]
        what = f"{plugin}: {module}.py::{case.get('name')}"
        problem = next((child for child in case if child.tag in ("failure", "error")), None)
        skipped = case.find("skipped")
        if problem is not None:
            yield Finding(what, False, (problem.get("message") or problem.text or "").strip()[:1000])
        elif skipped is not None:
            yield Finding(what, False, f"skipped: {skipped.get('message', '')}", note=True)
        else:
            yield Finding(what, True)
