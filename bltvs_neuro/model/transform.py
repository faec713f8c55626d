"""The checkpoint's own transform: short side resized with antialias, centre crop, normalisation per colour channel.

It is cut in two so that worker processes send uint8 (a quarter of the bytes) and the scaling runs where the model is.
Both halves together are bit for bit torchvision's ``Resize(resize, antialias=True)``, ``CenterCrop(size)``,
``ToTensor()`` and ``Normalize(mean, std)`` on the same RGB picture; with mean and std 0.5, BLT_VS's ``2 * x - 1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from ..errors import SpecError, StimulusError, unknown

if TYPE_CHECKING:
    import torch

MAX_RESIZED_PIXELS = 80_000_000
"""A picture of extreme proportions would grow without bound when its short side is enlarged."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue, as most models trained on ImageNet expect them."""

Interpolation = Literal["bilinear", "bicubic"]
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Transform:
    """From decoded pixels to the model's input.

    Attributes
    ----------
    size : int
        Height and width of the model's input, pixels.
    resize : int or None
        Short side before the centre crop, pixels, at least ``size``. None, the default, is ``size``: nothing is cut off
        a square picture. Many models trained on ImageNet have 256 for a size of 224.
    mean, std : sequence of three floats
        Of red, green and blue, where black is 0 and white 1: subtracted, then divided by. They must be given: 0.5 and
        0.5 map to [-1, 1], 0 and 1 leave [0, 1], and :data:`IMAGENET_MEAN` and :data:`IMAGENET_STD` are usual.
    interpolation : {"bilinear", "bicubic"}
        How pictures are resized, always with antialias. Bilinear is the default, as torchvision's.

    Raises
    ------
    SpecError
        A size below 1, a short side below the size, or a mean and std that are not three numbers each (a mean from 0
        to 1, std above 0).

    Examples
    --------
    >>> Transform(224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD).describe()["resize_short_side"]
    256
    """

    size: int
    resize: int | None = None
    _: KW_ONLY
    mean: Sequence[float]
    std: Sequence[float]
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            given = getattr(self, name)
            # a list or array would make transforms that are equal differ
            object.__setattr__(self, name, tuple(float(v) for v in given) if np.ndim(given) == 1 else ())
        if self.size < 1 or self.short < self.size:
            raise SpecError(f"a transform resizes to at least the size it crops; got {self.resize} and {self.size}")
        if self.interpolation not in RESAMPLING:
            raise unknown("interpolation", self.interpolation, list(RESAMPLING))
        sound = all(0 <= m <= 1 for m in self.mean) and all(0 < s < float("inf") for s in self.std)
        if len(self.mean) != 3 or len(self.std) != 3 or not sound:
            raise SpecError(
                "mean and std are three numbers each, of pixels from 0 to 1 (divide by 255 what is meant for 0 to 255), "
                f"std above 0; got {self.mean} and {self.std}"
            )

    @property
    def short(self) -> int:
        """Short side before the crop, pixels."""
        return self.size if self.resize is None else self.resize

    def at(self, size: int) -> Transform:
        """The same for another input size: the short side keeps its ratio to the crop."""
        return self if size == self.size else replace(self, size=size, resize=round(size * self.short / self.size))

    def resized(self, rgb: np.ndarray) -> np.ndarray:
        """Resize a picture, uint8 (height, width, 3), so that its short side has :attr:`short` pixels; needs no torch."""
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise StimulusError(f"a picture is uint8 (height, width, 3); got {rgb.dtype} {rgb.shape}")
        height, width = rgb.shape[:2]
        short, long = min(height, width), max(height, width)
        stretched = self.short * long // short  # truncated, as torchvision does: int(size * long / short)
        if stretched * self.short > MAX_RESIZED_PIXELS:
            raise StimulusError(
                f"a picture of {width} x {height} is too narrow to be resized to {self.short} on its short side"
            )
        wide, high = (stretched, self.short) if width >= height else (self.short, stretched)
        if (high, wide) != (height, width):
            image = Image.fromarray(np.ascontiguousarray(rgb)).resize((wide, high), RESAMPLING[self.interpolation])
            rgb = np.asarray(image)
        return rgb

    def crop(self, rgb: np.ndarray) -> np.ndarray:
        """Resize and crop a picture, uint8 (height, width, 3) to (3, size, size), contiguous; needs no torch."""
        rgb = self.resized(rgb)
        high, wide = rgb.shape[:2]
        top, left = round((high - self.size) / 2), round((wide - self.size) / 2)  # half to even, as torchvision does
        window = rgb[top : top + self.size, left : left + self.size]
        return np.ascontiguousarray(window.transpose(2, 0, 1))  # (H, W, 3) -> (3, H, W)

    def scale(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise uint8 (..., 3, H, W) to float32 on the tensor's device: ``(pixels / 255 - mean) / std``.

        In this order; another one would round differently. Any shape will do where mean and std are the same for all colours.
        """
        import torch

        if pixels.dtype != torch.uint8:
            raise StimulusError(f"the transform scales uint8 pixels; got {pixels.dtype}")
        scaled = pixels.to(torch.float32).div_(255)
        if len(set(self.mean)) == 1 and len(set(self.std)) == 1:
            return scaled.sub_(self.mean[0]).div_(self.std[0])
        mean, std = (scaled.new_tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return scaled.sub_(mean).div_(std)

    def __call__(self, rgb: np.ndarray) -> torch.Tensor:
        """Both halves for one picture: uint8 (height, width, 3) to float32 (3, size, size)."""
        import torch

        return self.scale(torch.from_numpy(self.crop(rgb)))

    def describe(self) -> dict[str, Any]:
        """The transform in words and numbers, JSON-safe, for a store's provenance."""
        described: dict[str, Any] = {
            "resize_short_side": self.short,
            "interpolation": f"{self.interpolation}, antialiased",
            "centre_crop": self.size,
        }
        if set(self.mean) == set(self.std) == {0.5}:
            return described | {"range": [-1.0, 1.0]}
        return described | {"mean": list(self.mean), "std": list(self.std)}


def symmetric(size: int) -> Transform:
    """BLT_VS's own: the short side is resized to ``size``, bilinearly, and colours lie in [-1, 1]."""
    return Transform(size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
