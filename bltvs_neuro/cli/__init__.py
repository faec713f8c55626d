"""The command ``bltvs``."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; it can be interrupted from the first moment on."""
    from . import signals

    signals.watch()
    from .app import main as run

    run()
