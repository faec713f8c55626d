"""The activation store: crash-safe parts, one netCDF-4 file at the end, read lazily."""

from .read import Store, describe, open_store
from .spec import Block, SiteLayout, StoreSpec, default_block
from .verify import Report, verify
from .write import open_writer

__all__ = [
    "Block",
    "Report",
    "SiteLayout",
    "Store",
    "StoreSpec",
    "default_block",
    "describe",
    "open_store",
    "open_writer",
    "verify",
]
