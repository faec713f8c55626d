"""Effective receptive fields against networks whose fields are known, and the design against the table of areas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bltvs_neuro.errors import SpecError
from bltvs_neuro.model import BLT_VS, State
from bltvs_neuro.model.blt_vs.areas import areas_for, receptive_fields
from bltvs_neuro.model.measure.design import CHANNELS_PER_UNIT, DESIGN, design_table, relative_scale
from bltvs_neuro.model.measure.fields import effective_fields, sensitivity
from bltvs_neuro.model.others.feedforward import B_VS
from bltvs_neuro.model.others.wrapped import Wrapped
from bltvs_neuro.model.transform import symmetric


def test_one_convolution_has_the_field_of_its_kernel():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 9, 4, 4), nn.Flatten(), nn.LazyLinear(3))
    network(torch.zeros(1, 3, 64, 64))
    model = Wrapped(network, ("0",), symmetric(64))
    nn.init.constant_(network[0].weight, 0.1)
    state = State("0", "bu", 0)
    (seen,) = sensitivity(model, [state], seed=1)
    middle = int(model.grid("0/bu").centres(16)[8])
    expected = np.zeros((64, 64))
    expected[middle - 4 : middle + 5, middle - 4 : middle + 5] = 1
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    assert effective_fields(model, [state], seed=1)[0][1:] == (9, 9 * 5 / 64)
    with pytest.raises(SpecError, match="logits/bu has no map"):
        effective_fields(model, [State("logits", "bu", 0)])


def test_fields_grow_along_the_hierarchy_within_those_of_the_kernels():
    torch.manual_seed(0)
    model = B_VS(5, 128).eval()
    fields = effective_fields(model, [State(area, "bu", 0) for area in model.areas[:-1]])
    largest = [field.size for field in receptive_fields(128)]
    assert all(1 <= field.size <= most for field, most in zip(fields, largest, strict=False))
    assert [field.size for field in fields] == sorted(field.size for field in fields)
    assert [p.grad for p in model.parameters() if p.grad is not None] == []


def test_recurrence_widens_the_field_of_v1():
    torch.manual_seed(0)
    model = BLT_VS(timesteps=5, num_classes=3, image_size=128).eval()
    first, last = effective_fields(model, [State("V1", "bu", 2), State("V1", "bu", 4)], n_images=1)
    assert first.size <= 17 < last.size


@pytest.mark.parametrize("size", [224, 128])
def test_the_design_gives_the_channels_and_nearly_the_fields(size):
    for area, design, field in zip(areas_for(size), DESIGN, receptive_fields(size), strict=False):
        assert area.name == design.area
        assert area.channels == CHANNELS_PER_UNIT * relative_scale(design)[1]
        assert abs(field.degrees - design.degrees) < 0.28, area
    assert [round(relative_scale(design)[0]) for design in DESIGN] == [1, 1, 327, 229, 131, 65, 131]
    needed = design_table(size).needed.dropna().round().tolist()
    assert needed == ([8, 18, 34, 36, 61, 83, 111] if size == 224 else [5, 10, 19, 20, 35, 47, 63])
