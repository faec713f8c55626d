"""Extraction: what to record (sites), hooks that always detach, reductions on the fly, and the resumable loop."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
