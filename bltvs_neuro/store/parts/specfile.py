"""``spec.json`` in the folder of parts: what is being written there."""

from __future__ import annotations

import json
from pathlib import Path

from ...errors import StoreError, argument
from ..format.json_text import sha256_json
from ..spec import StoreSpec
from .sink import replacing

PARTS_SUFFIX = ".parts"
SPEC_FILE = "spec.json"
_MAX_BYTES = 512 << 20


def parts_folder(path: Path) -> Path:
    """The folder of parts that belongs to a store."""
    return path.parent / (path.name + PARTS_SUFFIX)


def write_spec(folder: Path, spec: StoreSpec) -> None:
    """Write ``spec.json`` so that it is there whole or not at all."""
    data = spec.to_json()
    text = json.dumps({"sha256": sha256_json(data), "spec": data}, indent=1)
    with replacing(folder / SPEC_FILE) as sink:
        sink.write(memoryview(text.encode()))


def read_spec(folder: Path) -> StoreSpec:
    """Read ``spec.json``.

    Nothing is allocated by what it claims: lists are as long as their text, shapes are only compared.

    Raises
    ------
    StoreError
        It is damaged, too large, or of a newer version.
    """
    path = folder / SPEC_FILE
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StoreError(f"{path} is larger than {_MAX_BYTES >> 20} MiB; this is not a spec")
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["sha256"] != sha256_json(data["spec"]):
            raise StoreError("it was changed after it was written")
        return StoreSpec.from_json(data["spec"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, StoreError) as error:
        raise StoreError(
            f"{path} is damaged ({error}); restore it, or start anew with {argument('resume', False)}"
        ) from None
