"""Pictures the package makes itself: gratings, shapes and textures, for demonstrations and tests without any file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from ..errors import StimulusError

Picture = np.ndarray
"""Float (size, size, 3), values 0-1."""


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x, y from -1 to 1, each (size, size)."""
    axis = np.linspace(-1, 1, size)
    return np.meshgrid(axis, axis)


def _grating(size: int, rng: np.random.Generator) -> Picture:
    x, y = _grid(size)
    angle, cycles, phase = rng.uniform(0, np.pi), rng.uniform(3, 14), rng.uniform(0, 2 * np.pi)
    wave = np.cos(np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    window = np.exp(-(x**2 + y**2) / 0.35)
    return np.repeat((0.5 + 0.5 * wave * window)[:, :, None], 3, axis=2)  # (S, S) -> (S, S, 3)


def _shape(size: int, rng: np.random.Generator) -> Picture:
    """A coloured regular polygon of 3 to 8 corners on mid-grey."""
    x, y = _grid(size)
    corners, turn, radius = int(rng.integers(3, 9)), rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.75)
    x, y = x - rng.uniform(-0.2, 0.2), y - rng.uniform(-0.2, 0.2)
    sector = 2 * np.pi / corners
    angle = (np.arctan2(y, x) + turn) % sector - sector / 2
    inside = np.hypot(x, y) * np.cos(angle) < radius * np.cos(sector / 2)
    return np.where(inside[:, :, None], rng.uniform(0, 1, 3), 0.5)


def _texture(size: int, rng: np.random.Generator) -> Picture:
    """Coloured noise with the 1/f amplitude spectrum of natural scenes."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    noise = rng.standard_normal((3, size, size))
    filtered = np.fft.irfft2(np.fft.rfft2(noise) / frequency, s=(size, size))
    filtered /= 3 * filtered.std(axis=(1, 2), keepdims=True)
    return np.moveaxis(np.clip(0.5 + 0.5 * filtered, 0, 1), 0, 2)  # (3, S, S) -> (S, S, 3)


KINDS: dict[str, Callable[[int, np.random.Generator], Picture]] = {
    "grating": _grating,
    "shape": _shape,
    "texture": _texture,
}


MOST_BYTES = 4 * 2**30
"""Of all pictures, which are made at once."""


def make_pictures(n: int, size: int, seed: int) -> tuple[list[str], np.ndarray, pd.DataFrame]:
    """Make ``n`` pictures (n, size, size, 3) uint8, the kinds in turn; picture i depends on (seed, i, size) only."""
    if n < 1 or size < 8 or 3 * n * size**2 > MOST_BYTES:
        raise StimulusError(
            f"a synthetic set has at least 1 picture of at least 8 pixels, and at most {MOST_BYTES / 2**30:g} GiB of them; "
            f"got {n} of {size}"
        )
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(n)]
    images = np.empty((n, size, size, 3), np.uint8)
    for number, kind in enumerate(kinds):
        picture = KINDS[kind](size, np.random.default_rng([seed, number]))
        images[number] = np.round(255 * picture)
    ids = [f"{kind}_{number // len(KINDS):03d}" for number, kind in enumerate(kinds)]
    return ids, images, pd.DataFrame({"category": kinds})
