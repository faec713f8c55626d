"""Where the units of a map are, followed through a network while it computes.

A convolution or pooling with kernel k, stride s and padding p on a map whose units are ``stride`` pixels apart,
the first at ``start``, gives units ``s * stride`` apart, the first at ``start + ((k - 1) / 2 - p) * stride``. Anything
else that keeps a map's height and width keeps its grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..network import Grid

GRID = "_bltvs_grid"
"""Attribute of a tensor that has one."""


class follow_grids(TorchFunctionMode):
    """Give every map that follows from ``images`` its grid while the context is open."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        setattr(images, GRID, Grid(1.0))

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:  # fmt: skip
        output = function(*args, **(kwargs or {}))
        if isinstance(output, Tensor) and output.ndim == 4 and getattr(output, GRID, None) is None:
            source = _source(args)
            grid = None if source is None else _moved(function, source, output, args, dict(kwargs or {}))
            if grid is not None:
                setattr(output, GRID, grid)
        return output


def _source(args: tuple[Any, ...]) -> Tensor | None:
    """The first argument that is a map with a grid, also within a list (``torch.cat``)."""
    for arg in args:
        for value in arg if isinstance(arg, list | tuple) else (arg,):
            if isinstance(value, Tensor) and value.ndim == 4 and getattr(value, GRID, None) is not None:
                return value
    return None


def _moved(
    function: Callable[..., Any], source: Tensor, output: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Grid | None:
    grid: Grid = getattr(source, GRID)
    name = getattr(function, "__name__", "")
    if name in WINDOWS:
        options = dict(zip(WINDOWS[name], args, strict=False)) | kwargs
        if name == "conv2d":
            options["kernel_size"] = tuple(options["weight"].shape[2:])
        kernel, dilation = _one(options["kernel_size"]), _one(options.get("dilation", 1))
        stride = _one(options.get("stride") or (1 if name == "conv2d" else kernel))
        reach, padding = (kernel - 1) * dilation, options.get("padding", 0)
        padded = reach // 2 if padding == "same" else 0 if padding == "valid" else _one(padding)
        return Grid(grid.stride * stride, grid.start + (reach / 2 - padded) * grid.stride)
    if function is F.pad or name == "pad":
        left = (args[1] if len(args) > 1 else kwargs["pad"])[0]
        return Grid(grid.stride, grid.start - left * grid.stride)
    same = output.shape[2:] == source.shape[2:] and name not in MIXING
    return grid if same else None


def _one(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple | list | torch.Size) else value)


WINDOWS: dict[str, tuple[str, ...]] = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding"),
}
"""Functions that slide a window -> the names of their arguments."""

MIXING = ("permute", "transpose", "reshape", "view", "roll", "flip", "matmul", "linear", "adaptive_avg_pool2d")
"""Functions after which equal height and width say nothing about positions."""
