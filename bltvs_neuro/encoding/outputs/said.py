"""What captions say of how responses were predicted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import counted


def how_fitted(about: Mapping[str, Any]) -> str:
    """What was predicted and how, from a provenance: responses, solver, what chose its penalty, and folds."""
    spec, responses = about.get("spec", {}), about.get("responses", {})
    simulated = "SIMULATED responses" if responses.get("simulated") else ""
    name = Path(str(responses.get("source", ""))).name
    source = f"Responses: {name}" if name and not simulated else name
    chosen = f"alpha by {spec.get('by')}" if "alphas" in spec.get("options", {}) else ""
    folds = spec.get("cv", {}).get("folds")
    told = counted(int(folds), "fold") if folds else ""
    return ", ".join(filter(None, (simulated, source, str(spec.get("solver") or ""), chosen, told)))
