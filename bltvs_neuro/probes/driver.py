"""Images that drive a unit: gradient ascent on an image, from seeded noise, for one site and timestep."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..errors import SpecError, listed
from ..model import Network, State
from ..options import check_seed
from ..schema import Site
from ..versions import versions
from .driven import Driven

Where = Literal["centre", "everywhere"] | tuple[int, int]


MOST_STEPS = 100_000
"""More steps than this are a slip of the keyboard: some hundred are enough."""


def drive(
    model: Network,
    site: str | Site,
    timestep: int,
    channel: int | Sequence[int],
    *,
    where: Where = "centre",
    steps: int = 200,
    rate: float = 0.05,
    smoothness: float = 0.05,
    jitter: int = 4,
    seed: int = 0,
) -> Driven:
    """Find images that drive channels of a site at a timestep.

    Parameters
    ----------
    model : Network
        Under whatever lesions it has; not changed.
    site : str
        ``"V4/bu"``.
    timestep : int
    channel : int or sequence of int
        One image for each; of ``Readout/bu`` the class.
    where : "centre", "everywhere" or (y, x)
        The unit in the middle of the map, the mean over the map, or one unit.
    steps : int
        Steps of gradient ascent, at most 100,000.
    rate : float
        Learning rate of Adam, on the image's spectrum.
    smoothness : float
        Weight of the penalty on squared differences between neighbouring pixels (total variation), relative to the
        activation. 0 leaves high frequencies free.
    jitter : int
        The image is moved by up to as many pixels, another way at each step, so that it does not hang on single pixels.
    seed : int
        Seed of the noise that the images begin as, and of the jitter.

    Returns
    -------
    Driven

    Raises
    ------
    SpecError
        A site, timestep, channel or position that does not exist, or one that no image can change.

    Notes
    -----
    For the first quarter of the steps the mean over the map is driven, since a rectified unit that is silent has no
    gradient of its own. The image is the sigmoid of a Fourier sum whose amplitudes fall with frequency, as those of
    natural images do, so that all frequencies are learnt equally fast and every value stays within black and white.

    References
    ----------
    Olah, Mordvintsev & Schubert (2017), Feature visualization, doi:10.23915/distill.00007

    Examples
    --------
    >>> model = bn.BLT_VS(timesteps=2, num_classes=3, bio_unroll=False, image_size=128, width=0.0625).eval()
    >>> drive(model, "LGN/bu", 0, 1, steps=2).images.shape
    (1, 128, 128, 3)
    """
    site = site if isinstance(site, Site) else Site.parse(site)
    channels = [channel] if isinstance(channel, int) else [int(c) for c in channel]
    check_drivable(model, site, timestep, channels)
    state, shape = State(site.area, site.stream, timestep), model.shape(site)
    if steps > MOST_STEPS:
        raise SpecError(f"at most {MOST_STEPS} steps; got {steps}")
    check_seed(seed)
    if steps < 1 or not 0 < rate < math.inf or not 0 <= smoothness < math.inf or jitter < 0:
        raise SpecError(
            f"steps and rate must be above 0, smoothness and jitter not below; got {steps}, {rate}, {smoothness}, {jitter}"
        )
    position = _position(where, shape, site)
    device = next(model.parameters()).device
    size, transform = model.image_size, model.transform
    mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (transform.mean, transform.std))
    rng = np.random.default_rng(seed)
    start = rng.standard_normal((len(channels), 3, size, size // 2 + 1, 2)).astype(np.float32)
    spectrum = torch.from_numpy(0.01 * start).to(device).requires_grad_()
    falloff = torch.from_numpy(_falloff(size)).to(device)
    adam = torch.optim.Adam([spectrum], lr=rate)
    trace = []
    warm_up = 0 if position is None else steps // 4
    training = model.training
    model.eval()
    try:
        for step in range(steps + 1):
            with torch.enable_grad():
                pixels = _pixels(spectrum, falloff)
                moved = pixels
                if jitter and step < steps:  # the last one is what is reported
                    moved = torch.roll(pixels, tuple(rng.integers(-jitter, jitter + 1, 2).tolist()), (2, 3))
                maps = model.run((moved - mean) / std, [state])[state][range(len(channels)), channels]  # (N, *)
                activity = _activity(maps, position)
                trace.append(activity.detach().cpu().numpy())
                if step == steps:
                    break
                variation = sum(torch.diff(pixels, dim=axis).square().mean((1, 2, 3)) for axis in (2, 3))
                # a rectified unit that is silent has no gradient: the whole map leads to where it is not
                aim = _activity(maps, None) if step < warm_up else activity
                loss = (smoothness * 100 * variation - aim).sum()
                (spectrum.grad,) = torch.autograd.grad(loss, [spectrum])
            adam.step()
    finally:
        model.train(training)
    provenance: dict[str, Any] = {
        "model": copy.deepcopy(model.provenance), "config": model.config, "schedule": model.schedule_name,
        "site": str(site), "timestep": timestep, "channels": channels,
        "where": list(where) if isinstance(where, tuple) else where,
        "steps": steps, "rate": rate, "smoothness": smoothness, "jitter": jitter, "seed": seed,
        "versions": versions(),
    }  # fmt: skip
    images = pixels.detach().permute(0, 2, 3, 1).cpu().numpy()  # (N, 3, H, W) -> (N, H, W, 3)
    dataset = xr.Dataset(
        {
            "image": (("channel", "y", "x", "colour"), images),
            "activation": (("channel", "step"), np.stack(trace, axis=1)),
        },
        coords={"channel": channels, "colour": ["red", "green", "blue"]},
    )
    return Driven(dataset, provenance)


def _activity(maps: Tensor, position: tuple[int, ...] | None) -> Tensor:
    """One value of each map (N, *): of a unit, or the mean."""
    if position is None:
        return maps.flatten(1).mean(1) if maps.ndim > 1 else maps
    return maps[(slice(None), *position)]  # type: ignore[index]


def check_drivable(model: Network, site: Site, timestep: int, channels: Sequence[int]) -> None:
    """Raise SpecError for a site, timestep or channel that does not exist, or that no image can change."""
    model.tap_name(site, timestep)  # raises for what does not exist
    if model.is_constant(State(site.area, site.stream, timestep)):
        raise SpecError(f"{site} at timestep {timestep} is the same for every image, so that none drives it")
    most = model.shape(site)[0] - 1
    if not channels or any(not 0 <= c <= most for c in channels):
        raise SpecError(f"{site} has channels 0 to {most}; got {listed(channels) or 'none'}")


def _position(where: Where, shape: tuple[int, ...], site: Site) -> tuple[int, ...] | None:
    space = shape[1:]
    if where == "everywhere" or not space:
        return None
    if where == "centre":
        return tuple(n // 2 for n in space)
    if (
        not isinstance(where, tuple)
        or len(where) != len(space)
        or any(not 0 <= p < n for p, n in zip(where, space, strict=True))
    ):
        raise SpecError(f"where is 'centre', 'everywhere' or a position within {site}'s map of {space}; got {where!r}")
    return where


def _falloff(size: int) -> np.ndarray:
    """Amplitude of each frequency of a real transform, (size, size // 2 + 1), 1 / f."""
    y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    amplitude = 1 / np.maximum(np.hypot(y, x), 1 / size)
    return (amplitude / amplitude.max() * size).astype(np.float32)


def _pixels(spectrum: Tensor, falloff: Tensor) -> Tensor:
    """Images in [0, 1], (N, 3, H, W)."""
    size = falloff.shape[0]
    return torch.sigmoid(torch.fft.irfft2(torch.view_as_complex(spectrum) * falloff, s=(size, size), norm="ortho"))
