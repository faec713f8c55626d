"""Strided convolutions of small maps as one matrix product: there the library's own kernels leave the processor idle."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_POSITIONS = 64
"""Positions of the smaller map, up to which this pays."""

CHUNK_BYTES = 64 << 20
"""Of patches that are held at once, whatever the batch."""


class Gathered:
    """A strided convolution by (C_out, C_in, r, r): patches are gathered, then multiplied."""

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> None:
        self.bias, self.stride, self.padding, self.size = bias, stride, padding, weight.shape[-1]
        self.kernel = weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous()  # (r r C_in, C_out)

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, C, H, W); the result (B, C', H', W') lies channels last in memory."""
        return _by_chunks(self._convolve, x, len(self.kernel))

    def _convolve(self, x: Tensor) -> Tensor:
        p, r = self.padding, self.size
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, p, p, p, p))  # (B, H, W, C)
        patches = padded.unfold(1, r, self.stride).unfold(2, r, self.stride)  # (B, H', W', C, r, r)
        batch, high, wide = patches.shape[:3]
        rows = patches.permute(0, 1, 2, 4, 5, 3).reshape(batch * high * wide, -1)
        made = rows @ self.kernel if self.bias is None else torch.addmm(self.bias, rows, self.kernel)
        return made.view(batch, high, wide, -1).permute(0, 3, 1, 2)


class Scattered:
    """A transposed strided convolution by (C_in, C_out, r, r): multiplied, then every position added where it belongs."""

    def __init__(self, weight: Tensor, bias: Tensor | None, stride: int, padding: int, output_padding: int) -> None:
        self.bias, self.stride, self.padding, self.output_padding = bias, stride, padding, output_padding
        self.size, self.channels = weight.shape[-1], weight.shape[1]
        self.kernel = weight.detach().permute(0, 2, 3, 1).flatten(1).contiguous()  # (C_in, r r C_out)

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, C, H, W); the result (B, C', H', W') lies channels last in memory."""
        return _by_chunks(self._convolve, x, self.kernel.shape[1])

    def _convolve(self, x: Tensor) -> Tensor:
        s, r, p = self.stride, self.size, self.padding
        batch, channels, height, width = x.shape
        made = (x.permute(0, 2, 3, 1).reshape(-1, channels) @ self.kernel).view(batch, height, width, r, r, -1)
        high, wide = ((n - 1) * s - 2 * p + r + self.output_padding for n in (height, width))
        out = x.new_zeros(batch, high + 2 * p, wide + 2 * p, self.channels)
        if self.bias is not None:
            out += self.bias
        for i in range(r):
            for j in range(r):
                out[:, i : i + s * height : s, j : j + s * width : s] += made[:, :, :, i, j]
        return out[:, p : p + high, p : p + wide].permute(0, 3, 1, 2)


def _by_chunks(convolve: Callable[[Tensor], Tensor], x: Tensor, values: int) -> Tensor:
    """Convolve as many images at once as hold :data:`CHUNK_BYTES`, at ``values`` for each position."""
    images = max(1, CHUNK_BYTES // (x.element_size() * values * MOST_POSITIONS))
    return torch.cat([convolve(part) for part in x.split(images)]) if len(x) > images else convolve(x)
