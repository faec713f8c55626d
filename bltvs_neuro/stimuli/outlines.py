"""The outlines of the drawn categories: each a closed path around the origin, of a radius of about 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Path = np.ndarray
"""Float (points, 2): x and y of a closed path; a hole is reached by a seam and runs the other way around."""

ROUND = 40


def _arc(radius: float, start: float, stop: float, centre: tuple[float, float] = (0.0, 0.0)) -> Path:
    angle = np.linspace(start, stop, ROUND)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)


def _alternating(radii: tuple[float, ...], points: int) -> Path:
    """A path whose points lie at equal angles and at ``radii`` in turn."""
    angle = np.arange(points) * 2 * np.pi / points
    radius = np.resize(radii, points)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _ring(rng: np.random.Generator) -> Path:
    hole = rng.uniform(0.4, 0.6)
    return np.concatenate([_arc(0.92, 0, 2 * np.pi), _arc(hole, 2 * np.pi, 0)])


def _crescent(rng: np.random.Generator) -> Path:
    shift, bite = rng.uniform(0.45, 0.6), 0.8
    # the two circles meet where x is the same on both
    x = (1 - bite**2 + shift**2) / (2 * shift)
    outer, inner = np.arccos(x), np.arccos((x - shift) / bite)
    return np.concatenate([_arc(1, outer, 2 * np.pi - outer), _arc(bite, 2 * np.pi - inner, inner, (shift, 0.0))[1:-1]])


def _cross(rng: np.random.Generator) -> Path:
    half = rng.uniform(0.22, 0.34)
    arm = np.array([[0.95, -half], [0.95, half], [half, half]])  # its end, and the corner to the next arm
    turns = (np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) for t in np.arange(4) * np.pi / 2)
    return np.concatenate([arm @ turn.T for turn in turns])


def _arrow(rng: np.random.Generator) -> Path:
    shaft, neck, head = rng.uniform(0.16, 0.26), rng.uniform(-0.1, 0.25), rng.uniform(0.55, 0.75)
    upper = np.array([[-0.95, shaft], [neck, shaft], [neck, head], [1.0, 0.0]])
    return np.concatenate([upper, upper[-2::-1] * (1, -1)])


def _heart(rng: np.random.Generator) -> Path:
    t = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, 2.0 - y], axis=1) / 17.5


OUTLINES: dict[str, Callable[[np.random.Generator], Path]] = {
    "disc": lambda rng: _arc(0.9, 0, 2 * np.pi),
    "ring": _ring,
    "crescent": _crescent,
    "triangle": lambda rng: _alternating((1.0,), 3),
    "square": lambda rng: _alternating((1.0,), 4),
    "star": lambda rng: _alternating((1.0, rng.uniform(0.38, 0.5)), 10),
    "cross": _cross,
    "arrow": _arrow,
    "heart": _heart,
    "gear": lambda rng: _alternating((1.0, 1.0, 0.74, 0.74), 4 * int(rng.integers(7, 10))),
}
"""Category -> its outline; the order is that of the labels."""


def placed(path: Path, centre: tuple[float, float], size: float, turn: float, aspect: float) -> Path:
    """Stretch a path (points, 2) to ``aspect``, width over height at the same area, turn it by radians, scale and move it."""
    stretched = path * (np.sqrt(aspect), 1 / np.sqrt(aspect))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return stretched @ rotation.T * size + centre
