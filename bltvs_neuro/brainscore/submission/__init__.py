"""A plugin for Brain-Score: packed, and checked offline."""
