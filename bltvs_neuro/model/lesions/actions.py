"""What a lesion does to what a connection delivers, or to the activity of a site or a part of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...errors import SpecError
from ...schema import Site

if TYPE_CHECKING:
    from ..network import Network


class Draws:
    """Normal numbers for one batch that depend on each image's own values: the same in any batch, order or resumed run."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self._digests: list[bytes] | None = None

    @property
    def digests(self) -> list[bytes]:
        """What each image is, whatever batch it is in."""
        if self._digests is None:
            self._digests = image_digests(self.images)
        return self._digests

    def normal(self, key: str, like: Tensor) -> Tensor:
        """Standard normal numbers of the shape and device of ``like`` (B, ...), one generator per image."""
        if like.device.type == "meta":
            return torch.empty_like(like)
        drawn = np.empty(tuple(like.shape), dtype=np.float32)
        for row, digest in zip(drawn, self.digests, strict=True):
            entropy = int.from_bytes(hashlib.sha256(key.encode() + digest).digest(), "big")
            np.random.default_rng(entropy).standard_normal(out=row, dtype=np.float32)
        return torch.from_numpy(drawn).to(like)


def image_digests(images: Tensor) -> list[bytes]:
    """The sha256 of each image's values."""
    return [hashlib.sha256(image.contiguous().numpy().data).digest() for image in images.detach().float().cpu()]


class Action:
    """What a lesion does: ``apply`` to a value (B, ...), ``describe`` as plain JSON data."""

    replaces: bool = False
    """Whether the result does not depend on what was there."""
    varies: bool = False
    """Whether the result differs between images even where what was there does not."""
    holds: bool = False
    """Whether the result is what was there at the last timestep before, which :meth:`apply` is given."""
    of_sites: bool = False
    """Whether it is for sites only, and not for connections."""

    def on(self, network: Network, site: Site, timesteps: Collection[int]) -> Action:
        """The action, made ready for one site; SpecError where it does not fit it."""
        return self

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:
        """What becomes of ``value``, which is called ``key``; the value itself where a graph does the work."""
        return value

    def describe(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {"action": str(self)}


@dataclass(frozen=True)
class Scale(Action):
    """Multiply by ``strength``: 0 silences (and what is silenced is not computed), 1 changes nothing."""

    strength: float = 0.0

    def __post_init__(self) -> None:
        if not (isinstance(self.strength, Real) and math.isfinite(self.strength)):
            raise SpecError(f"the strength of a lesion is a finite number; got {self.strength!r:.60}")

    @property
    def replaces(self) -> bool:  # type: ignore[override]  # noqa: D102
        return self.strength == 0

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:  # noqa: D102
        return value * self.strength

    def describe(self) -> dict[str, Any]:  # noqa: D102
        return {"action": "scale", "strength": float(self.strength)}

    def __str__(self) -> str:
        return f"{self.strength:g}"


@dataclass(frozen=True)
class Freeze(Action):
    """Hold the value of the last timestep before."""

    holds = True

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:  # noqa: D102
        return value if held is None else held

    def __str__(self) -> str:
        return "freeze"


@dataclass(frozen=True)
class Noise(Action):
    """Add normal noise of ``sd`` standard deviations of the value over units, by image, seed, target and timestep."""

    sd: float
    seed: int = 0
    varies = True

    def __post_init__(self) -> None:
        if not (isinstance(self.sd, Real) and math.isfinite(self.sd) and self.sd >= 0):
            raise SpecError(f"the standard deviation of noise is a number from 0; got {self.sd!r:.60}")

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:  # noqa: D102
        spread = value.flatten(1).float().std(dim=1, correction=0).reshape(-1, *[1] * (value.ndim - 1))
        return value + (self.sd * spread * draws.normal(f"{self.seed} {key} ", value)).to(value.dtype)

    def describe(self) -> dict[str, Any]:  # noqa: D102
        return {"action": "noise", "sd": float(self.sd), "seed": int(self.seed)}

    def __str__(self) -> str:
        return f"noise({self.sd:g},seed={self.seed})"


class Pattern(Action):
    """Activity that is imposed on a site: one value, one per channel (C,) or class, or one per unit (C, H, W)."""

    verb: ClassVar[str]
    of_sites = True

    def __init__(self, pattern: float | np.ndarray | Tensor, name: str = "") -> None:
        try:
            given = np.asarray(pattern.detach().to("cpu", torch.float64) if isinstance(pattern, Tensor) else pattern)
        except (TypeError, ValueError) as error:
            raise SpecError(f"a pattern is a number or an array of numbers; got {pattern!r:.60} ({error})") from None
        if given.dtype.kind not in "fiub":  # no text, dates, complex or missing numbers: nothing is made of them
            raise SpecError(f"a pattern is a number or an array of real numbers; got {given.dtype} {pattern!r:.60}")
        with np.errstate(over="ignore"):
            self.values = given.astype(np.float32)
        if np.isinf(self.values).any():
            raise SpecError("a pattern holds infinite values")
        self.name = name

    def on(self, network: Network, site: Site, timesteps: Collection[int]) -> Action:
        """Refuse a pattern that does not fit; a value per channel spreads over space."""
        shape = network.shape(site)
        allowed = {(), shape[:1], shape}
        if self.values.shape not in allowed:
            wanted = " or ".join(str(s) for s in sorted(allowed, key=len))
            raise SpecError(f"a pattern for {site} has shape {wanted}; got {self.values.shape}")
        return self

    def over(self, value: Tensor) -> Tensor:
        """The pattern, ready to be broadcast over ``value`` (B, ...)."""
        values = torch.from_numpy(self.values).to(device=value.device, dtype=value.dtype)
        if values.ndim == 1:
            values = values.reshape(-1, *[1] * (value.ndim - 2))
        return values

    def describe(self) -> dict[str, Any]:  # noqa: D102  # a single value as it is, an array by shape and sha256
        about: dict[str, Any] = {"action": self.verb}
        if self.values.ndim == 0:
            return about | {"value": None if np.isnan(self.values) else float(self.values)}
        digest = hashlib.sha256(np.ascontiguousarray(self.values).data).hexdigest()
        return about | {"shape": list(self.values.shape), "sha256": digest}

    def __str__(self) -> str:
        if self.values.ndim == 0:
            return f"{self.verb}({float(self.values):g})"
        return f"{self.verb}({self.name or 'array'})"


class Add(Pattern):
    """Stimulate: add a pattern to the activity of a site."""

    verb = "add"

    def __init__(self, pattern: float | np.ndarray | Tensor, name: str = "") -> None:
        super().__init__(pattern, name)
        if np.isnan(self.values).any():
            raise SpecError("a pattern that is added holds NaN")

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:  # noqa: D102
        return value + self.over(value)


class Clamp(Pattern):
    """Set the activity of a site to a pattern; where the pattern is NaN the unit stays free."""

    verb = "clamp"

    @property
    def replaces(self) -> bool:  # type: ignore[override]  # noqa: D102
        return not np.isnan(self.values).any()

    def apply(self, value: Tensor, key: str, draws: Draws, held: Tensor | None = None) -> Tensor:  # noqa: D102
        pattern = self.over(value)
        return torch.where(torch.isnan(pattern), value, pattern).expand_as(value)
