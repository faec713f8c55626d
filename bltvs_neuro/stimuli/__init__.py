"""Stimuli: labelled pictures from folders, tables, arrays, HDF5 bricks and .mat files, decoded when asked for."""

from .decode import IMAGE_FORMATS, decode_image, pixel_sha256
from .stimulus_set import StimulusSet

__all__ = ["IMAGE_FORMATS", "StimulusSet", "decode_image", "pixel_sha256"]
