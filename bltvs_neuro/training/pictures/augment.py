"""What is done to training pictures: crop, blur, flip and TrivialAugment, each picture from a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ...model.transform import Transform
from ..config import AugmentConfig


class Augment:
    """From decoded pixels to the uint8 input of the model, the short side resized as its transform does.

    The original's training blurs along one axis only (a kernel of 1 x 27 for 224 px); this one blurs along both, with
    the same range of widths.
    """

    def __init__(self, config: AugmentConfig, transform: Transform) -> None:
        from torchvision.transforms import v2

        self.transform = transform
        size = transform.size
        steps: list[torch.nn.Module] = [v2.RandomCrop(size) if config.crop == "random" else v2.CenterCrop(size)]
        if config.blur:
            kernel = max(3, (size // 8 - 1) | 1)  # odd
            steps.append(v2.RandomApply([v2.GaussianBlur(kernel, (0.1, kernel / 2))], p=config.blur))
        if config.flip:
            steps.append(v2.RandomHorizontalFlip(config.flip))
        if config.trivial:
            steps.append(v2.TrivialAugmentWide())
        self._random = v2.Compose(steps)
        self._plain = config.crop == "center" and len(steps) == 1

    def __call__(self, rgb: np.ndarray, seed: tuple[int, ...]) -> Tensor:
        """Augment a picture, uint8 (height, width, 3) to (3, size, size); ``seed`` decides everything that is random."""
        if self._plain:
            return torch.from_numpy(self.transform.crop(rgb))
        resized = np.array(self.transform.resized(rgb).transpose(2, 0, 1), order="C")  # (H, W, 3) -> (3, H, W)
        with seeded(seed):
            return self._random(torch.from_numpy(resized))


@contextmanager
def seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Let torch's random numbers on the CPU follow ``seed``, and leave the global state as it was."""
    number = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    with torch.random.fork_rng(devices=[]):
        # not torch.manual_seed, which would also seed every GPU
        torch.default_generator.manual_seed(number)
        yield
