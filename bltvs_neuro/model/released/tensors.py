"""Which tensors of a file can be weights: plain, dense, finite, of a kind that goes into the model's without a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ...errors import WeightsError, listed

MOST_BYTES = 16 * 2**30
"""Of the values of all tensors together. A file of a few bytes can declare any number of values."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
REMEDY = "save the weights as safetensors, or with torch.save(model.state_dict(), PATH)"

_ODD: dict[str, Callable[[Tensor], bool]] = {
    "nested": lambda t: t.is_nested,
    "quantised": lambda t: t.is_quantized,
    "without values (on the meta device)": lambda t: t.is_meta,
    "sparse": lambda t: t.layout != torch.strided,
    "complex": lambda t: t.is_complex(),
    "float8 or another narrow type": lambda t: t.is_floating_point() and t.dtype not in FLOATS,
}
"""Kind of tensor that cannot be a weight -> how it is told; in an order in which each test works for those that follow."""


def check_tensors(state: Mapping[str, Tensor], name: str) -> None:
    """Raise WeightsError for tensors that cannot be weights, before their values are touched; ``name`` is the file's."""
    for what, is_odd in _ODD.items():
        odd = [f"{key} ({str(value.dtype).removeprefix('torch.')})" for key, value in state.items() if is_odd(value)]
        if odd:
            raise WeightsError(f"{name} holds tensors that are {what}: {listed(odd, 3)}; save dense float32 ones")
    size = sum(value.numel() * value.element_size() for value in state.values())
    if size > MOST_BYTES:
        raise WeightsError(f"{name} declares {size:,} bytes of values; at most {MOST_BYTES:,} are read")
    bad = [key for key, value in state.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if bad:
        raise WeightsError(f"{name} holds values that are not finite, in {listed(bad)}")


def kind(dtype: torch.dtype) -> str:
    """``"float"``, ``"integer"`` or ``"bool"``: what is never turned into another in silence."""
    return "float" if dtype.is_floating_point else "bool" if dtype == torch.bool else "integer"


def too_large(value: Tensor, dtype: torch.dtype) -> bool:
    """Whether a value of a wider type has no place in ``dtype``."""
    if value.dtype == dtype or not value.numel():
        return False
    most = torch.finfo(dtype).max if dtype.is_floating_point else torch.iinfo(dtype).max if dtype != torch.bool else 1
    return float(value.abs().max()) > most


def why_unread(error: Exception) -> str:
    """Say in a few words why a file could not be read safely; torch's own words advise to run code from it."""
    text = str(error)
    held = re.search(r"(?:GLOBAL|[Uu]nsupported (?:class|global)) ([A-Za-z_][\w.]+)", text)
    if held:
        return f"it holds {held[1]}, which only running code could restore"
    lines = [
        line for line in text.strip().splitlines() if "weights_only" not in line and "weights only" not in line.lower()
    ]
    return lines[0].strip()[:200] if lines else f"{type(error).__name__}, it may hold objects other than tensors"
