"""The activity of a site exchanged for its activity in another picture."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import SpecError
from ...options import check_seed
from ...schema import Site
from ...stimuli import StimulusSet
from .actions import Action, Draws, image_digests

if TYPE_CHECKING:
    from ..network import Network

MOST_BYTES = 2 << 30
"""Of the donors' activity, which is held while a lesion is there."""
BATCH = 8


class Resample(Action):
    """Give a site the activity that it has, in the network without lesions, in another picture.

    Parameters
    ----------
    donors : StimulusSet, path or uint8 array of shape (n, height, width, 3)
        One picture, which all images are given the activity of, or several.
    seed : int
        Which of several donors an image has depends on this and on the image's own values, on nothing else in its batch. It is
        the same one at all sites and timesteps, and never the image itself.
    """

    replaces = of_sites = True

    def __init__(self, donors: StimulusSet | str | PathLike[str] | np.ndarray, seed: int = 0, name: str = "") -> None:
        check_seed(seed)
        if isinstance(donors, np.ndarray):
            donors = StimulusSet.from_arrays(donors[None] if donors.ndim == 3 else donors)
        elif not isinstance(donors, StimulusSet):
            donors, name = StimulusSet.open(str(donors)), name or str(donors)
        self.donors, self.seed, self.name = donors, int(seed), name or f"{len(donors)} pictures"
        if not len(donors):
            raise SpecError("there are no donors to resample from")
        self.varies = len(donors) > 1

    def on(self, network: Network, site: Site, timesteps: Collection[int]) -> Action:  # noqa: D102
        states = [s for s in network.states() if (s.area, s.stream) == site and s.timestep in timesteps]
        size = 4 * len(self.donors) * math.prod(network.shape(site)) * len(states)
        if size > MOST_BYTES:
            raise SpecError(
                f"the activity of {len(self.donors)} donors at {site} takes {size:,} bytes; use fewer of them"
            )
        parameter = next(network.parameters(), torch.empty(0))
        if parameter.device.type == "meta":  # a network without weights, on which choices are tried
            return _Resampled(self, [b""] * len(self.donors), {})
        found: dict[int, list[Tensor]] = {state.timestep: [] for state in states}
        digests: list[bytes] = []
        lesions, network.lesions = network.lesions, ()
        try:
            for at in range(0, len(self.donors), BATCH):
                rows = range(at, min(at + BATCH, len(self.donors)))
                images = torch.stack([network.transform(self.donors.load(row)) for row in rows])
                digests += image_digests(images)
                with torch.no_grad():
                    values = network.run(images.to(parameter.device), states)
                for state, value in values.items():
                    found[state.timestep].append(value.to("cpu", torch.float32, copy=True))
        finally:
            network.lesions = lesions
        order = sorted(range(len(digests)), key=digests.__getitem__)  # the same however the donors are ordered
        donated = {t: torch.cat(parts)[order] for t, parts in found.items()}
        return _Resampled(self, [digests[at] for at in order], donated)

    def __str__(self) -> str:
        return f"resample({self.name},seed={self.seed})"


class _Resampled(Action):
    """A :class:`Resample` of one site: the donors' digests, ascending, and their activity (donor, ...) by timestep."""

    replaces = of_sites = True

    def __init__(self, asked: Resample, digests: list[bytes], donated: Mapping[int, Tensor]) -> None:
        self._text, self.seed, self.digests, self.donated = str(asked), asked.seed, digests, donated
        self.varies = len(digests) > 1

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:
        if value.device.type == "meta":
            return torch.empty_like(value)
        chosen = [self._donor(digest) for digest in draws.digests]
        return self.donated[int(key.rpartition("@")[2])][chosen].to(value)

    def _donor(self, digest: bytes) -> int:
        others = [at for at, donor in enumerate(self.digests) if donor != digest] or [0]
        drawn = hashlib.sha256(f"{self.seed} ".encode() + digest).digest()
        return others[int.from_bytes(drawn, "big") % len(others)]

    def describe(self) -> dict[str, Any]:
        sha256 = hashlib.sha256(b"".join(self.digests)).hexdigest()
        return {"action": "resample", "seed": self.seed, "n_donors": len(self.digests), "donors_sha256": sha256}

    def __str__(self) -> str:
        return self._text
