"""The checkpoint's own transform: short side to ``size`` with antialias, centre crop, to [-1, 1].

It is cut in two so that worker processes send uint8 (a quarter of the bytes) and the scaling runs where the model is.
Both halves together are bit for bit torchvision's ``Resize(size, antialias=True)``, ``CenterCrop(size)``,
``ToTensor()`` and ``2 * x - 1`` on the same RGB picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import StimulusError

if TYPE_CHECKING:
    import torch

MAX_RESIZED_PIXELS = 80_000_000
"""A picture of extreme proportions would grow without bound when its short side is enlarged."""


@dataclass(frozen=True)
class Transform:
    """From decoded pixels to the model's input.

    Attributes
    ----------
    size : int
        Height and width of the model's input, pixels.
    """

    size: int = 224

    def crop(self, rgb: np.ndarray) -> np.ndarray:
        """Resize and crop one picture; needs no torch.

        Parameters
        ----------
        rgb : uint8 array of shape (height, width, 3)

        Returns
        -------
        uint8 array of shape (3, size, size), contiguous
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise StimulusError(f"a picture is uint8 (height, width, 3); got {rgb.dtype} {rgb.shape}")
        height, width = rgb.shape[:2]
        short, long = min(height, width), max(height, width)
        stretched = self.size * long // short  # truncated, as torchvision does: int(size * long / short)
        if stretched * self.size > MAX_RESIZED_PIXELS:
            raise StimulusError(
                f"a picture of {width} x {height} is too narrow to be resized to {self.size} on its short side"
            )
        wide, high = (stretched, self.size) if width >= height else (self.size, stretched)
        if (high, wide) != (height, width):
            image = Image.fromarray(np.ascontiguousarray(rgb)).resize((wide, high), Image.Resampling.BILINEAR)
            rgb = np.asarray(image)
        top, left = round((high - self.size) / 2), round((wide - self.size) / 2)  # half to even, as torchvision does
        window = rgb[top : top + self.size, left : left + self.size]
        return np.ascontiguousarray(window.transpose(2, 0, 1))  # (H, W, 3) -> (3, H, W)

    def scale(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map uint8 to float32 in [-1, 1], of any shape, on the tensor's device: 0 to -1, 255 to 1.

        The division is a true one and happens before the rest; ``x / 127.5 - 1`` would round differently.
        """
        import torch

        if pixels.dtype != torch.uint8:
            raise StimulusError(f"the transform scales uint8 pixels; got {pixels.dtype}")
        return pixels.to(torch.float32).div_(255).mul_(2).sub_(1)

    def __call__(self, rgb: np.ndarray) -> torch.Tensor:
        """Both halves for one picture: uint8 (height, width, 3) to float32 (3, size, size)."""
        import torch

        return self.scale(torch.from_numpy(self.crop(rgb)))

    def describe(self) -> dict[str, Any]:
        """The transform in words and numbers, JSON-safe, for a store's provenance."""
        return {
            "resize_short_side": self.size,
            "interpolation": "bilinear, antialiased",
            "centre_crop": self.size,
            "range": [-1.0, 1.0],
        }
