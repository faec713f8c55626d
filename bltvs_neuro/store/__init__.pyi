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
