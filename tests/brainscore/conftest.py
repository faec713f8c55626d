"""Brain-Score without network, without pip, and with its caches in a folder of the test's own."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec

import pytest
import torch

from bltvs_neuro import BLT_VS, StimulusSet

_HOME = tempfile.TemporaryDirectory(prefix="bltvs-brainscore-tests-")
os.environ |= {
    "RESULTCACHING_HOME": f"{_HOME.name}/cache", "RESULTCACHING_DISABLE": "1", "BRAINSCORE_HOME": f"{_HOME.name}/home",
    "BS_INSTALL_DEPENDENCIES": "no", "TQDM_DISABLE": "1",
}  # fmt: skip  # read when result_caching and brainscore_vision are imported

needs_brainscore = pytest.mark.skipif(
    find_spec("brainscore_vision") is None, reason="brainscore-vision is not installed"
)


def narrow(seed: int = 0, **config) -> BLT_VS:
    """A small model that is quick at 128 pixels; the readout is reached at timestep 4 of 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        defaults = dict(timesteps=8, num_classes=1000, image_size=128, width=0.1, bio_unroll=True)
        return BLT_VS(**{**defaults, **config}).eval()


@pytest.fixture(scope="session")
def model() -> BLT_VS:
    return narrow()


@pytest.fixture(scope="session")
def stimuli() -> StimulusSet:
    return StimulusSet.synthetic(100, size=64)


@pytest.fixture(scope="session")
def images(stimuli, model) -> torch.Tensor:
    return torch.stack([model.transform(stimuli.load(i)) for i in range(len(stimuli))])


@pytest.fixture(scope="session")
def paths(stimuli, tmp_path_factory) -> list[str]:
    """The first five stimuli as files."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    for i in range(5):
        Image.fromarray(stimuli.load(i)).save(folder / f"{i}.png")
    return [str(folder / f"{i}.png") for i in range(5)]
