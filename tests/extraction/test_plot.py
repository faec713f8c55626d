"""Activation over time, against numbers written out by hand."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bltvs_neuro.extraction.plot import activation_over_time


def test_patterns_of_zeros_have_no_relative_change():
    values = np.zeros((2, 3, 2), np.float32)  # silent at first; then one stimulus is (3, 4), later both
    values[0, 1:], values[1, 2] = (3, 4), (1, 1)
    acts = xr.DataArray(values, dims=("stimulus", "timestep", "channel"), coords={"timestep": [0, 1, 2]})
    summary = activation_over_time({"V1/bu": acts})
    np.testing.assert_array_equal(summary["change"], [np.nan, np.nan, 0])
    np.testing.assert_allclose(summary["activation"], [0, 1.75, 2.25])
