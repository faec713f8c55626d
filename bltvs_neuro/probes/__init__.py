"""Probes of a model: what can be decoded from a site over time, and which images drive a unit at a timestep."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
