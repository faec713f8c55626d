"""Activation over time, against numbers written out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bltvs_neuro.extraction.plot import activation_over_time, plot_activation
from bltvs_neuro.figures import figure_of


def test_patterns_of_zeros_have_no_relative_change():
    values = np.zeros((2, 3, 2), np.float32)  # silent at first; then one stimulus is (3, 4), later both
    values[0, 1:], values[1, 2] = (3, 4), (1, 1)
    acts = xr.DataArray(values, dims=("stimulus", "timestep", "channel"), coords={"timestep": [0, 1, 2]})
    summary = activation_over_time({"V1/bu": acts})
    np.testing.assert_array_equal(summary["change"], [np.nan, np.nan, 0])
    np.testing.assert_allclose(summary["activation"], [0, 1.75, 2.25])


def test_the_figure_has_a_row_per_stream_and_areas_from_v1_up():
    rows = [(a, s, t, 1.0 + t, 0.5, 1.5, 0.1 * t) for a in ("LOC", "V1") for s in ("bu", "td") for t in (0, 1)]
    summary = pd.DataFrame(rows, columns=["area", "stream", "timestep", "activation", "low", "high", "change"])
    axes = plot_activation(summary, "7 drawings", 7, provenance={"model": "m", "weights": "untrained"})
    assert [line.get_label() for line in axes[0].lines] == ["V1", "LOC"]
    assert [axis.get_ylabel().split("\n")[0] for axis in axes[::2]] == ["bottom-up", "top-down"]
    np.testing.assert_array_equal(axes[2].lines[0].get_ydata(), [1, 2])
    told = " ".join(figure_of(axes)._supxlabel.get_text().split())
    assert told.endswith("bands: 95 % of 7 stimuli. 7 drawings. Model: m, untrained weights.")
