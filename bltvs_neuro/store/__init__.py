"""The activation store: crash-safe parts, one netCDF-4 file at the end, read lazily.

The names are imported when they are asked for: a writer needs neither xarray nor pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
