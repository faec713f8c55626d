"""How numbers are computed: float32 by default, the same on every run; faster and half precisions as a measured choice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from ..devices import pick_device, why_slow
from ..errors import argument
from ..model import Network, State
from ..model.fast.kernels import Fast
from .hooks import hooked
from .options import MemoryFormat, Precision, check_precision

HALVES: dict[str, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}
log = logging.getLogger(__name__)


@contextmanager
def computing(device: torch.device, precision: Precision) -> Iterator[None]:
    """Compute in ``precision`` without gradients: true float32 (no TF32) and deterministic convolutions on a GPU."""
    cudnn = torch.backends.cudnn
    saved = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32
    cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = False, True, False
    torch.backends.cuda.matmul.allow_tf32 = False
    half = torch.autocast(device.type, dtype=HALVES[precision]) if precision in HALVES else nullcontext()
    try:
        with torch.no_grad(), half:
            yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32 = saved


def kernels(model: Network, precision: Precision) -> Callable[[], AbstractContextManager[None]]:
    """Prepare, once for a run, the kernels of a precision; what is returned makes the context they are used in."""
    return Fast(model).active if precision == "fast" else nullcontext


def warn_if_slow(device: torch.device, precision: Precision) -> None:
    """Warn, with numbers and the faster choice, where a half precision is slower than float32."""
    if reason := why_slow(device, precision):
        better = argument("precision", "fast" if device.type == "cpu" else "float32")
        log.warning("%s; %s is the faster choice", reason, better)


def try_device(name: str, precision: Precision) -> str | None:
    """What :func:`warn_if_slow` would say of a worker's device; SpecError where it cannot compute there."""
    device = pick_device(name)
    check_precision(device, precision)
    return why_slow(device, precision)


@contextmanager
def placed(model: Network, device: torch.device, memory_format: MemoryFormat) -> Iterator[None]:
    """Move the model to where it computes, and back to where it was."""
    home = next(model.parameters()).device
    layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
    model.to(device=device)
    model.to(memory_format=layout)  # type: ignore[call-overload]
    try:
        yield
    finally:
        model.to(device=home)
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def as_laid_out(model: Network, images: Tensor) -> Tensor:
    """Lay images out in memory as the model's convolutions are."""
    kernels = (p for p in model.parameters() if p.ndim == 4 and not p.is_contiguous())
    if any(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels):
        return images.contiguous(memory_format=torch.channels_last)
    return images


def deviation(model: Network, states: tuple[State, ...], images: Tensor, precision: Precision) -> dict[str, float]:
    """Measure what a precision costs on a few scaled images (B, 3, size, size).

    Site -> the largest absolute deviation from float32 over units, stimuli and timesteps, in standard deviations of the
    site's float32 activations at that timestep.
    """
    reference: dict[State, Tensor] = {}
    worst: dict[str, float] = {}

    def keep(state: State, activations: Tensor) -> None:
        reference[state] = activations.float()

    def compare(state: State, activations: Tensor) -> None:
        expected = reference.pop(state)
        spread = float(expected.std()) or 1.0
        site = f"{state.area}/{state.stream}"
        worst[site] = max(worst.get(site, 0.0), float((activations.float() - expected).abs().max()) / spread)

    with computing(images.device, "float32"), hooked(model, states, keep):
        model.run(images)
    with computing(images.device, precision), kernels(model, precision)(), hooked(model, states, compare):
        model.run(images)
    return worst
