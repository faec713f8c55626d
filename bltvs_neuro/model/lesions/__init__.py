"""Lesions: what is done to connections and sites at run time, on every network."""

from .actions import Action, Add, Clamp, Freeze, Noise, Scale
from .part import Partly
from .resample import Resample

__all__ = ["Action", "Add", "Clamp", "Freeze", "Noise", "Partly", "Resample", "Scale"]
