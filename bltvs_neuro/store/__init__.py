"""The activation store: crash-safe parts, one netCDF-4 file at the end, read lazily.

The names are imported when they are asked for: a writer needs neither xarray nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .description import describe
    from .parts.shards import Shard
    from .read import Store, open_store
    from .spec import Block, SiteLayout, StoreSpec, default_block
    from .verification import Report, verify
    from .write import Writer, join_store, open_writer

__all__ = [
    "Block",
    "Report",
    "Shard",
    "SiteLayout",
    "Store",
    "StoreSpec",
    "Writer",
    "default_block",
    "describe",
    "join_store",
    "open_store",
    "open_writer",
    "verify",
]

_HOME = {
    "Block": "spec",
    "Report": "verification",
    "Shard": "parts.shards",
    "SiteLayout": "spec",
    "Store": "read",
    "StoreSpec": "spec",
    "Writer": "write",
    "default_block": "spec",
    "describe": "description",
    "join_store": "write",
    "open_store": "read",
    "open_writer": "write",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
