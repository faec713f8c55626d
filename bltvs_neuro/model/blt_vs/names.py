"""The connections of BLT_VS by name: ``td:LOC->V4``, ``lateral:V1/bu``, ``skip:*``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...errors import unknown
from ..lesions.lesion import Target

if TYPE_CHECKING:
    from .module import BLT_VS

KINDS: dict[str, str] = {
    "bu_conv": "bu", "readout_conv": "bu", "td_conv": "td", "bu_lateral": "lateral", "td_lateral": "lateral",
    "skip_bu": "skip", "skip_td": "skip",
}  # fmt: skip
"""Connection -> the word before the colon."""


def connection_names(model: BLT_VS) -> dict[str, Target]:
    """Every connection of a model by its name: ``"td:LOC->V4"``, ``"lateral:V1/bu"``."""
    names: dict[str, Target] = {}
    for area, connection in model.intact.connections():
        source = model.intact.source(area, connection)
        kind = KINDS[connection]
        if kind == "lateral":
            names[f"lateral:{area}/{'bu' if connection == 'bu_lateral' else 'td'}"] = area, connection
        else:
            names[f"{kind}:{source[0] if source else 'image'}->{area}"] = area, connection
    return names


def connections(model: BLT_VS, target: str) -> dict[Target, str]:
    """The connections that a target's text names; SpecError for none."""
    names = connection_names(model)
    pattern = re.escape(target).replace(r"\*", "[^:/]*")
    found = {names[name]: name for name in names if re.fullmatch(f"{pattern}(/(bu|td))?", name)}
    if not found:
        raise unknown("connection", target, [*names, *(f"{kind}:*" for kind in dict.fromkeys(KINDS.values()))])
    return found
