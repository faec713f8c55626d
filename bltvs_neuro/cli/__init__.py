"""The command ``bltvs``."""

from .app import main

__all__ = ["main"]
