"""A part of a site: channels, positions, tokens or single units that a lesion is confined to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError, SpecError, unknown
from ...foreign.npy import open_npy
from ...schema import Site
from .actions import Action, Draws

if TYPE_CHECKING:
    from ..network import Network

AXES: dict[int, tuple[str, ...]] = {1: ("channel",), 2: ("channel", "token"), 3: ("channel", "y", "x")}


class Partly(Action):
    """An action on a part of a site; the rest stays as it was.

    ``part`` is text, ``"0:64"`` (channels), ``"0,5;y=0:8;x=0:8"``, ``"unit=0,17"`` (flat positions) or the name of a ``.npy``
    file, or a boolean array: of the site's shape, one value per channel, or one per position.
    """

    def __init__(self, action: Action, part: str | np.ndarray, mask: np.ndarray | None = None) -> None:
        self.action, self.part, self._mask = action, part, mask
        self.varies, self.holds, self.of_sites = action.varies, action.holds, True

    def on(self, network: Network, site: Site, timesteps: Collection[int]) -> Action:  # noqa: D102
        mask = read_part(self.part, network.shape(site), site)
        ready = self.action.on(network, site, timesteps)
        return ready if mask.all() else Partly(ready, self.part, mask)

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:  # noqa: D102
        assert self._mask is not None, "a part is read on its site"
        mask = torch.from_numpy(self._mask).to(value.device)
        return torch.where(mask, self.action.apply(value, key, draws, held), value)

    def describe(self) -> dict[str, Any]:
        """The action, and its part by channels where they are whole, else by number and sha256: however it was written."""
        assert self._mask is not None
        flat = self._mask.reshape(len(self._mask), -1)  # (channel, ...) -> (channel, position)
        if (flat == flat[:, :1]).all():
            return {**self.action.describe(), "channels": np.flatnonzero(flat[:, 0]).tolist()}
        digest = hashlib.sha256(np.ascontiguousarray(self._mask).data).hexdigest()
        return {**self.action.describe(), "units": int(self._mask.sum()), "units_sha256": digest}

    def __str__(self) -> str:
        return str(self.action)


def read_part(part: str | np.ndarray, shape: tuple[int, ...], site: Site) -> np.ndarray:
    """The units of a part, boolean, of the site's ``shape``; SpecError for units that do not exist, or none."""
    if isinstance(part, str) and part.strip().endswith(".npy"):
        try:
            part = np.array(open_npy(Path(part.strip())))
        except (OSError, ValueError, DataError) as error:
            raise SpecError(f"cannot read the part {part!r} of {site}: {str(error).splitlines()[0]}") from None
    mask = _spelled(part, shape, site) if isinstance(part, str) else _given(np.asarray(part), shape, site)
    if not mask.any():
        raise SpecError(f"no unit of {site} lies in the part {part if isinstance(part, str) else 'that is given'!r}")
    return mask


def _given(mask: np.ndarray, shape: tuple[int, ...], site: Site) -> np.ndarray:
    allowed = {shape[:1]: (..., *[None] * (len(shape) - 1)), shape[1:]: (None, ...), shape: (...,)}
    if mask.dtype != bool or mask.shape not in allowed or not mask.ndim:
        wanted = " or ".join(str(s) for s in dict.fromkeys((shape[:1], shape[1:] or shape, shape)))
        raise SpecError(f"a part of {site} is a boolean array of shape {wanted}; got {mask.dtype} {mask.shape}")
    index: Any = allowed[mask.shape]
    return np.broadcast_to(mask[index], shape).copy()


def _spelled(text: str, shape: tuple[int, ...], site: Site) -> np.ndarray:
    axes, mask = AXES[len(shape)], np.ones(shape, bool)
    for item in text.split(";"):
        name, _, numbers = item.rpartition("=")
        name = name.strip() or "channel"
        if name == "unit":
            chosen = np.zeros(mask.size, bool)
            chosen[_numbers(numbers, mask.size, site, name)] = True
            mask &= chosen.reshape(shape)
        elif name in axes:
            axis = axes.index(name)
            chosen = np.zeros(shape[axis], bool)
            chosen[_numbers(numbers, shape[axis], site, name)] = True
            mask &= chosen.reshape([-1 if at == axis else 1 for at in range(len(shape))])
        else:
            raise unknown(f"dimension of {site}", name, [*axes, "unit"])
    return mask


def _numbers(text: str, size: int, site: Site, name: str) -> list[int]:
    chosen: list[int] = []
    for item in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*|\s*(\d*)\s*:\s*(\d*)\s*", item)
        first = found and int(found[1] or found[2] or 0)
        last = found and (int(found[3] or size) if found[1] is None else int(found[1]) + 1)
        if first is None or last is None or not 0 <= first < last <= size:
            raise SpecError(f"{site} has {name} 0 to {size - 1}, written 3, 0:6 or 0,2,5; got {item.strip()!r}")
        chosen += range(first, last)
    return chosen
