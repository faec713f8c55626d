from __future__ import annotations

import pytest
import torch

from bltvs_neuro import BLT_VS, StimulusSet


@pytest.fixture(scope="session")
def model() -> BLT_VS:
    """A small model whose every area but the readout's neighbours is reached within five timesteps."""
    torch.manual_seed(0)
    return BLT_VS(timesteps=5, num_classes=7, image_size=128, width=0.25).eval()


@pytest.fixture(scope="session")
def stimuli() -> StimulusSet:
    return StimulusSet.synthetic(20, size=64)
