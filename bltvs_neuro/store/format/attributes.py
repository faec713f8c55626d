"""What a finished file says about itself: the provenance of its parts and of who joined them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from ...versions import versions
from ..parts.part import PartHeader
from ..spec import STORE_VERSION, StoreSpec
from .json_text import canonical
from .layout import spec_attribute


def finished_attributes(
    spec: StoreSpec, parts: Sequence[PartHeader], how: Literal["copy", "virtual"]
) -> dict[str, Any]:
    """Global attributes of the finished file: what all parts say alike, and under ``parts_differ`` the values of all else."""
    shared, differing = _merged([part.attributes for part in parts])
    folder = parts[0].path.parent.name
    identity = spec.identity
    provenance = {
        **({"parts_folder": folder} if how == "virtual" else {}),
        **identity,
        **shared,
        "keep_bits": spec.keep_bits,
        "spec_sha256": spec.digest(),
        "n_stimuli": sum(len(part.ids) for part in parts),
        "n_skipped": sum(len(part.skipped) for part in parts),
        "nonfinite": sum((Counter(part.nonfinite) for part in parts), Counter()),
        "versions": shared.get("versions", versions()),
        "part_versions": _distinct([part.versions for part in parts]),
        **({"parts_differ": differing} if differing else {}),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    plain = {
        "bltvs_store_version": STORE_VERSION,
        "Conventions": "CF-1.10",
        "title": f"activations of {identity.get('model', 'a model')}",
        "model": str(identity.get("model", "")),
        "weights_sha256": str(identity.get("weights_sha256", "")),
        "created_by": f"bltvs_neuro {versions()['bltvs_neuro']}",
        "spec": spec_attribute(spec),
        "provenance": canonical(provenance),
    }
    if how == "virtual":
        files = [[part.path.name, len(part.ids), part.seal.digest] for part in parts]
        plain["parts"] = json.dumps({"folder": folder, "files": files})
    return plain


def _merged(attributes: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """What all parts say alike, and of everything else the different values."""
    keys = dict.fromkeys(key for each in attributes for key in each)
    found = {key: _distinct([each.get(key) for each in attributes]) for key in keys}
    shared = {key: values[0] for key, values in found.items() if len(values) == 1}
    return shared, {key: values for key, values in found.items() if len(values) > 1}


def _distinct(items: Sequence[Any]) -> list[Any]:
    return [item for i, item in enumerate(items) if item not in items[:i]]
