"""``bltvs cite`` and ``bltvs completion``: about the toolkit itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ..errors import DataError
from .base import app, out


def cite(*results: Path) -> None:
    """Print BibTeX of what is to be cited: toolkit, model, data and methods.

    Parameters
    ----------
    results : paths
        Stores and results, or folders of them: what they say they used. The toolkit and its model unless given.

    Examples
    --------
    `bltvs cite`

    `bltvs cite acts.h5 rsa/ encoding/result.h5 > references.bib`
    """
    from ..references import USUAL, bibtex, used

    held = [provenance_of(path) for given in results for path in _files(given)]
    keys = [key for one in held for key in used(one)] if results else USUAL
    out.print(bibtex(dict.fromkeys(keys)), highlight=False, soft_wrap=True)


def _files(path: Path) -> list[Path]:
    """The file itself, or the files of a folder that say where they are from."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix in (".nc", ".h5"))
    if not found:
        raise DataError(f"{path} holds no store and no result (.h5, .nc)")
    return found


def provenance_of(path: Path) -> dict[str, Any]:
    """What a store or a result says of its origin; DataError where it says nothing."""
    from ..foreign.hdf5 import datasets, open_hdf5
    from ..store import describe
    from ..store.seal import is_ours

    if Path(f"{path}.parts").exists() or (path.is_file() and is_ours(path)):
        return dict(describe(path)["provenance"])
    with open_hdf5(path) as file:
        about: dict[str, Any] = {}
        for place in (file, *(file[name] for name in datasets(path))):
            about |= dict(_told(place.attrs))
    if not about.keys() & {"provenance", "reader", "metric"}:
        raise DataError(f"{path} does not say what was used to make it; stores and results of this package do")
    return about


def _told(attributes: Any) -> Iterator[tuple[str, Any]]:
    """Attributes as text, JSON read."""
    for name, value in attributes.items():
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        if isinstance(text, str):
            text = text.removeprefix("json:")
            yield name, json.loads(text) if text[:1] in "{[" and text else text


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes commands and options in a shell.

    Parameters
    ----------
    shell : {"bash", "zsh", "fish"}
        For which: source it in ~/.bashrc; save it as _bltvs in a folder of $fpath; save it as
        ~/.config/fish/completions/bltvs.fish.

    Examples
    --------
    `source <(bltvs completion bash)`
    """
    sys.stdout.write(app.generate_completion(prog_name="bltvs", shell=shell))
