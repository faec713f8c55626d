"""The ``fast`` precision: float32 on a CPU with fewer multiplications, where a convolution allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ...errors import SpecError
from .small_maps import MOST_POSITIONS, Gathered, Scattered
from .winograd import POINTS, Winograd

LEAST_CHANNELS = 32
"""Below, transforming tiles costs more than it saves."""


class Fast:
    """A model's convolutions in a faster form (``kernels``, by name), their weights transformed once.

    The model is on a CPU, and fastest in channels-last memory format; weights that change afterwards are not seen.

    Notes
    -----
    Dense convolutions of stride 1 with 3 x 3 or 5 x 5 taps, and their transposed ones, go through :class:`Winograd`;
    strided ones that end in, or transposed ones that begin with, at most 64 positions through one matrix product. All
    others stay. Results differ from plain float32 by rounding: about 4e-6 of a map's standard deviation
    (root mean square) a convolution, ten times that at most. Without gradients only: a call that needs them is plain.
    """

    def __init__(self, model: nn.Module) -> None:
        parameter = next(model.parameters())
        if parameter.device.type != "cpu" or parameter.dtype != torch.float32:
            raise SpecError(
                f"precision 'fast' is float32 on a CPU; the model is {parameter.dtype} on {parameter.device}: use "
                "'float32' or 'bfloat16' there"
            )
        self.kernels: dict[str, Callable[[Tensor], Tensor]] = {}
        self._modules: dict[str, nn.Module] = dict(model.named_modules())
        with torch.no_grad():
            for name, module in self._modules.items():
                if (kernel := _faster(module)) is not None:
                    self.kernels[name] = kernel

    @contextmanager
    def active(self) -> Iterator[None]:
        """Compute with the faster forms within a ``with`` block."""
        own = {name: vars(self._modules[name]).get("forward") for name in self.kernels}
        try:
            for name, kernel in self.kernels.items():
                module = self._modules[name]
                module.forward = _either(kernel, module.forward)  # type: ignore[method-assign]
            yield
        finally:
            for name, plain in own.items():
                vars(self._modules[name]).pop("forward", None)  # the class's own again
                if plain is not None:
                    self._modules[name].forward = plain  # type: ignore[method-assign]


def _either(kernel: Callable[[Tensor], Tensor], plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Choose the plain form where gradients are wanted."""

    def forward(x: Tensor, *args: object) -> Tensor:
        return plain(x, *args) if torch.is_grad_enabled() or args else kernel(x)

    return forward


def _faster(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """The faster form of a convolution, None if it has none."""
    if type(module) not in (nn.Conv2d, nn.ConvTranspose2d):
        return None
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    (size, other), (stride, stride_x) = module.kernel_size, module.stride
    square = size == other and stride == stride_x and module.dilation == (1, 1)
    if not square or module.groups > 1 or isinstance(module.padding, str) or module.padding_mode != "zeros":
        return None
    padding, padding_x = module.padding
    weight, bias = module.weight.detach(), None if module.bias is None else module.bias.detach()
    if padding != padding_x or min(module.in_channels, module.out_channels) < LEAST_CHANNELS:
        return None
    if isinstance(module, nn.ConvTranspose2d):
        if module.output_padding[0] != module.output_padding[1]:
            return None
        if stride == 1 and size in POINTS and module.output_padding == (0, 0) and padding < size:
            # the transposed convolution is the plain one with the kernel turned round
            return Winograd(weight.transpose(0, 1).flip(2, 3), bias, size - 1 - padding)
        if stride > 1 and size > 1:
            scattered = Scattered(weight, bias, stride, padding, int(module.output_padding[0]))
            return _small(scattered, module.forward, 1)
        return None
    if stride == 1:
        return Winograd(weight, bias, padding) if size in POINTS else None
    return _small(Gathered(weight, bias, stride, padding), module.forward, stride) if size > 1 else None


def _small(
    kernel: Callable[[Tensor], Tensor], plain: Callable[[Tensor], Tensor], stride: int
) -> Callable[[Tensor], Tensor]:
    """Take ``kernel`` for maps of few positions only."""

    def convolve(x: Tensor) -> Tensor:
        positions = -(-x.shape[2] // stride) * -(-x.shape[3] // stride)
        return kernel(x) if positions <= MOST_POSITIONS else plain(x)

    return convolve
