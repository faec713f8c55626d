"""A submission to Brain-Score: a plugin folder that needs nothing but Brain-Score, in a zip."""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import files as installed_files
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from pprint import pformat
from typing import Any

from ...durable import check_outputs, write_durably
from ...errors import SpecError, WeightsError, argument
from ...model import Network
from ...model.released.checkpoints import load_model
from ...model.released.table import CHECKPOINTS
from ...references import ALWAYS, bibtex, used
from ..subject.regions import REGIONS
from . import plugin_text
from .closure import PACKAGE, ROOT, files_of, modules_of, requirements_of
from .plugin import OPTIONS, build

ENTRIES = ("brainscore.submission.plugin",)
MAX_BYTES = 50_000_000
"""Brain-Score's website takes no larger zip."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the zip, so that the same plugin is the same zip."""


@dataclass(frozen=True)
class Entry:
    """A model of a submission, with its weights as for :func:`bltvs_neuro.load_model`.

    The released weights are fetched by the plugin; a file or folder of your own is carried in the zip, unless ``url`` says where
    the file can be downloaded; its sha256 is checked. No two models share an ``identifier``; see
    :func:`bltvs_neuro.brainscore.subject.commitment.model_identifier` for the default. ``options`` are those of
    :func:`bltvs_neuro.brainscore.brain_model`, JSON-safe.
    """

    model: str = "imagenet"
    weights: str = "pretrained"
    seed: int = 0
    image_size: int | None = None
    identifier: str | None = None
    url: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def package(
    path: str | Path, entries: Sequence[Entry] = (Entry(),), *, directory: str | None = None, install: str | None = None,
    metadata: bool = True, overwrite: bool = False,
) -> Path:  # fmt: skip
    """Write a submission.

    Parameters
    ----------
    path : path
        The zip file. It holds ``submission/models/<directory>/``.
    entries : sequence of Entry
        The models that the plugin registers.
    directory : str, optional
        Name of the plugin's folder. Default: the identifiers, joined.
    install : str, optional
        A requirement, such as ``"bltvs_neuro @ git+https://..."``, that the plugin installs instead of carrying
        bltvs_neuro's files.
    metadata : bool
        Write ``metadata.yml``. Brain-Score does not merge a submission that holds one without a look at it.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SpecError
        Names that Brain-Score could not find, or a zip above 50 MB.
    WeightsError
        Weights of your own cannot be read.
    """
    path = Path(path)
    check_outputs(path, overwrite=overwrite)
    settings: dict[str, dict[str, Any]] = {}
    about: dict[str, dict[str, Any]] = {}
    files: dict[str, bytes] = {}
    for entry in entries:
        identifier, setting, carried = _settle(entry)
        subject = _subject(identifier, setting, entry)
        identifier += "" if entry.identifier else subject.options_digest
        if identifier in settings:
            raise SpecError(f"two models of the submission are called {identifier!r}")
        settings[identifier] = setting
        files |= carried
        about[identifier] = _about(subject, entry)
        layers = subject.layer_model.region_layer_map
        files[f"region_layer_map/{identifier}.json"] = _json({r: layers[r] for r in REGIONS if r in layers})
    directory = directory or re.sub(r"\W", "_", "_".join(settings))
    if not directory.isidentifier():
        raise SpecError(f"a plugin's folder is named like a Python module; got {directory!r}")
    files |= _texts(settings, about, install)
    if metadata:
        files["metadata.yml"] = _yaml(plugin_text.metadata(about))
    if install is None:
        files |= files_of(ENTRIES)
        files[f"{PACKAGE}/LICENSE"] = _license()
    content = _zip({f"submission/models/{directory}/{name}": data for name, data in files.items()})
    if len(content) > MAX_BYTES:
        raise SpecError(
            f"the zip has {len(content):,} bytes, and Brain-Score takes {MAX_BYTES:,}: put the weights where they can be "
            f"downloaded and pass their address as {argument('url', 'ADDRESS')}"
        )
    write_durably(path, content, overwrite=overwrite)
    return path


def _settle(entry: Entry) -> tuple[str, dict[str, Any], dict[str, bytes]]:
    """Identifier, settings and carried files of a model."""
    from ..subject.commitment import model_identifier, released_identifier

    setting: dict[str, Any] = {"model": entry.model, "weights": entry.weights, **dict(entry.options)}
    wrong = [key for key in entry.options if key not in (*OPTIONS, "timeline")]
    if wrong:
        raise SpecError(f"a plugin has no option {wrong[0]!r}; its options: {', '.join((*OPTIONS, 'timeline'))}")
    carried: dict[str, bytes] = {}
    if setting.get("timeline") is not None:
        setting["timeline"] = asdict(setting["timeline"])
    if entry.weights == "untrained":
        setting |= {"seed": entry.seed}
    if entry.image_size is not None:
        setting |= {"image_size": entry.image_size}
    if _released(entry):
        return entry.identifier or released_identifier(entry.model), setting, carried
    folder = _folder(entry)
    model = load_model(entry.model, entry.weights, seed=entry.seed, image_size=entry.image_size)
    setting["weights_sha256"] = model.provenance["weights_sha256"]
    identifier = entry.identifier or model_identifier(model)
    if entry.url:
        if folder or entry.weights == "untrained":
            raise SpecError(
                f"{argument('url')} is the address of a file of weights, for {argument('weights', 'PATH')} of that file"
            )
        setting |= {"url": entry.url, "sha256": model.provenance["file_sha256"], "weights": "url"}
    elif folder:
        setting |= {"carried": f"weights/{identifier}", "model": model.provenance["model"]}
        for name in ("model.json", model.provenance["file"]):
            carried[f"weights/{identifier}/{name}"] = (folder / name).read_bytes()
    elif entry.weights != "untrained":
        name = f"weights/{identifier}{Path(entry.weights).suffix}"
        setting |= {"carried": name, "weights": "carried"}
        carried[name] = Path(entry.weights).read_bytes()
    return identifier, setting, carried


def _subject(identifier: str, setting: Mapping[str, Any], entry: Entry) -> Any:
    """The model as the plugin will have it; with released weights an untrained one stands in, which has the same layers."""
    here = {key: value for key, value in setting.items() if key not in ("carried", "url", "weights_sha256", "sha256")}
    here |= {"model": entry.model, "weights": "untrained" if _released(entry) else entry.weights}
    logger = logging.getLogger(PACKAGE)
    level = logger.level
    logger.setLevel(logging.ERROR)  # the stand-in is thrown away; its warning would mislead
    try:
        return build(identifier, here, Path())
    finally:
        logger.setLevel(level)


def _folder(entry: Entry) -> Path | None:
    """Where the weights lie that the zip shall carry: of an exported model, or of one that comes with the package."""
    if Path(entry.model).is_dir():
        return Path(entry.model)
    known = CHECKPOINTS.get(entry.model)
    return known.folder if known and entry.weights == "pretrained" else None


def _released(entry: Entry) -> bool:
    return entry.weights == "pretrained" and _folder(entry) is None


def _about(subject: Any, entry: Entry) -> dict[str, Any]:
    model: Network = subject.activations_model._network
    checkpoint = getattr(model, "checkpoint", None)
    classes = getattr(checkpoint, "classes", "")
    description = str(getattr(checkpoint, "description", "") or model.provenance.get("model", type(model).__name__))
    return {
        "description": f"random weights, else as: {description}" if entry.weights == "untrained" else description,
        "parameters": sum(p.numel() for p in model.parameters()),
        "model": str(model.provenance.get("model", "")),
        "architecture": type(model).__name__,
        "bibtex": bibtex(k for k in used(model.provenance) if k not in ALWAYS) or bibtex(ALWAYS),
        "preprocessing": ", ".join(f"{k} {v}" for k, v in model.transform.describe().items() if v is not None)[:500],
        "recurrent": model.timesteps > 1 and subject.timestep is None,
        "timesteps": model.timesteps,
        "image_size": model.image_size,
        "num_classes": model.num_classes,
        "classes": classes if isinstance(classes, str) else "own",
        "trained": entry.weights != "untrained",
        "visual_degrees": subject.visual_degrees(),
        "weights_sha256": "" if _released(entry) else model.provenance["weights_sha256"],
        "regions": subject.regions.source,
        "timeline": subject.activations_model.timeline.describe(),
    }


def _texts(settings: Mapping[str, Any], about: Mapping[str, dict[str, Any]], install: str | None) -> dict[str, bytes]:
    title = ", ".join(settings)
    first = next(iter(about.values()))
    expected = {
        identifier: {
            "visual_degrees": facts["visual_degrees"], "weights_sha256": facts["weights_sha256"],
            "imagenet": facts["num_classes"] == 1000, "recurrent": facts["recurrent"],
        }
        for identifier, facts in about.items()
    }  # fmt: skip
    names = "\n".join(f"- `{identifier}`: {facts['description']}" for identifier, facts in about.items())
    time = (
        "timestep t lasts from {start_ms:g} + {step_ms:g} t to {start_ms:g} + {step_ms:g} (t + 1) ms after stimulus onset; a "
        "single time bin is the mean over {static_ms[0]:g} to {static_ms[1]:g} ms."
    ).format(**first["timeline"])
    carried = f"It installs `{install}`." if install else f"`{PACKAGE}/` holds the files of bltvs_neuro that it runs."
    package = PACKAGE if install else f".{PACKAGE}"
    requirements = [install] if install else requirements_of(modules_of(ENTRIES))
    return {
        "__init__.py": plugin_text.init_py(list(settings)).encode(),
        "model.py": plugin_text.MODEL_PY.format(
            title=title,
            version=version(PACKAGE),
            package=package,
            models=_python(settings),
            bibtex=_python({identifier: facts["bibtex"] for identifier, facts in about.items()}),
        ).encode(),
        "test.py": plugin_text.TEST_PY.format(expected=_python(expected)).encode(),
        "requirements.txt": ("\n".join(requirements) + "\n").encode(),
        "README.md": plugin_text.README_MD.format(
            title=title, version=version(PACKAGE), table=names, regions=first["regions"], timeline=time, carried=carried
        ).encode(),
    }


def _license() -> bytes:
    """The licence's text, from a checkout or from the installed distribution."""
    installed = (Path(str(file.locate())) for file in installed_files(PACKAGE) or [] if file.name == "LICENSE")
    for path in (ROOT.parent / "LICENSE", *installed):
        if path.is_file():
            return path.read_bytes()
    raise WeightsError("the licence of bltvs_neuro was not found beside it")


def _zip(files: Mapping[str, bytes]) -> bytes:
    """A zip with an entry for every folder, which Brain-Score's website looks for, in a fixed order."""
    folders = {f"{parent}/" for name in files for parent in PurePosixPath(name).parents if str(parent) != "."}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(folders, key=lambda folder: (folder.count("/"), folder)):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o40755 << 16 | 0x10
            archive.writestr(entry, b"")
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, files[name])
    return stream.getvalue()


def _python(value: Any) -> str:
    """JSON-safe data as Python text; TypeError for any other, which a plugin could not be written with."""
    return pformat(json.loads(json.dumps(value)), width=110)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=4) + "\n").encode()


def _yaml(value: Any) -> bytes:
    from brainscore_core.metadata.contract import dump

    return str(dump(value)).encode()
