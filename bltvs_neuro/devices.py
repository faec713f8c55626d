"""Where the arithmetic runs: the devices of this machine, and what the words for them mean.

Every ``device=`` and ``--device`` goes through here, before any work is done.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from .errors import SpecError, argument, unknown

if TYPE_CHECKING:
    import torch


def gpus() -> list[str]:
    """The GPUs that torch sees: ``["cuda:0", "cuda:1"]``."""
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def here() -> list[str]:
    """Every name of a single device that means something on this machine."""
    import torch

    found = gpus()
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["auto", "cpu", *(["cuda", *found] if found else []), *mps]


def pick_device(device: str | torch.device) -> torch.device:
    """The one device that a name means.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is the first GPU, else the CPU; ``"all"`` the only GPU.

    Raises
    ------
    SpecError
        No such device is here, or several were named where one computes.

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    several = pick_devices(device)
    if len(several) > 1:
        raise SpecError(
            f"{argument('device', str(device))} names {len(several)} devices, and one computes here; choose one of "
            f"{', '.join(here())}"
        )
    return several[0]


def pick_devices(device: str | torch.device) -> list[torch.device]:
    """The devices that a name means, for work that is shared among several.

    Parameters
    ----------
    device : str or torch.device
        As :func:`pick_device`; ``"all"`` is every GPU, ``"cuda:0,cuda:1"`` are these two.

    Raises
    ------
    SpecError
        One of them is not here.
    """
    if device == "all":
        found = gpus()
        if not found:
            raise SpecError(
                f"{argument('device', 'all')} means every GPU, and none is here; valid: {', '.join(here())}"
            )
        return [_one(name) for name in found]
    return [_one(name.strip()) for name in str(device).split(",")]


def pick_float64_device(device: str | torch.device) -> torch.device:
    """As :func:`pick_device`, of those that compute in float64."""
    chosen = pick_device(device)
    if chosen.type == "mps":
        raise SpecError(f"{argument('device', 'mps')} has no float64, in which sums are taken here; use the CPU")
    return chosen


@functools.cache
def half_seconds(kind: str, precision: str) -> tuple[float, float]:
    """Time a convolution in a half precision and in float32, once per process.

    Parameters
    ----------
    kind : str
        ``"cpu"``, ``"cuda"``, ...
    precision : {"bfloat16", "float16"}

    Returns
    -------
    half, single : float
        Seconds, the shortest of three runs each. A processor without instructions for a half precision converts every
        number and takes several times as long.
    """
    import torch
    from torch.nn import functional as F

    batch, channels, size = (1, 64, 28) if kind == "cpu" else (16, 256, 56)
    images = torch.ones(batch, channels, size, size, device=kind)
    weight = torch.ones(channels, channels, 3, 3, device=kind)

    def seconds(half: bool) -> float:
        took = []
        with torch.no_grad(), torch.autocast(kind, dtype=getattr(torch, precision), enabled=half):
            for _ in range(4):
                began = time.perf_counter()
                out = F.conv2d(images, weight, padding=1)
                float(out[0, 0, 0, 0])  # waits for a GPU
                took.append(time.perf_counter() - began)
        return min(took[1:])

    return seconds(True), seconds(False)


SLOWER = 1.1
"""From this ratio on a precision counts as slower than float32."""


def why_slow(device: torch.device, precision: str) -> str | None:
    """A sentence with numbers where a half precision is slower than float32 on a device, else None."""
    if precision not in ("bfloat16", "float16"):
        return None
    half, single = half_seconds(device.type, precision)
    if half <= SLOWER * single:
        return None
    return (
        f"{precision} is {half / single:.1f} times slower than float32 on this {'CPU' if device.type == 'cpu' else 'GPU'} "
        f"({1e3 * half:.2g} against {1e3 * single:.2g} ms for a convolution)"
    )


def _one(name: str) -> torch.device:
    import torch

    valid = here()
    if name not in valid:
        raise _not_here(name, valid)
    chosen = torch.device(("cuda" if gpus() else "cpu") if name == "auto" else name)
    try:
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SpecError(f"{argument('device', name)} cannot be used: {first}") from None
    return chosen


def _not_here(name: str, valid: list[str]) -> SpecError:
    if name.partition(":")[0] == "cuda" and not gpus():
        return SpecError(f"device {name!r} is not here: torch sees no GPU; valid: {', '.join(valid)}")
    return unknown("device", name, valid)
