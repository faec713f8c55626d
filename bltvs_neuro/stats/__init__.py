"""General statistics: multiple comparisons, resampling, permutation and cluster tests. Pure numpy and scipy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
