"""Configs that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
RECIPES: dict[str, Path] = {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}
"""Name -> TOML file."""
