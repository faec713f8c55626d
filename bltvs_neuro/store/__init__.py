"""The activation store: crash-safe parts, joined into one netCDF-4 file, read lazily.

>>> from bltvs_neuro.store import open_store
>>> acts = open_store("acts.h5")  # doctest: +SKIP
>>> acts["V4/td"]  # doctest: +SKIP
"""

from .read import Store, open_store
from .spec import Block, SiteLayout, StoreSpec, default_block
from .write import Writer, open_writer

__all__ = ["Block", "SiteLayout", "Store", "StoreSpec", "Writer", "default_block", "open_store", "open_writer"]
