"""Encoding models: predict voxels and electrodes from areas, timesteps and streams of the model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
