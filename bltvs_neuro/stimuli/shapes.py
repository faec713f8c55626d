"""The drawn data set ``shapes``: objects of ten categories among fragments of others, partly covered.

A picture depends on its split, its number and the seed alone, so that the set needs no file, has no end, and no picture
of one split is one of another. Fragments of all categories lie around the object and pieces lie over it: what is seen
in one place does not tell the category, so that a network gains by putting together what it sees in several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageDraw

from ..errors import StimulusError, unknown
from .decode import Pixels
from .outlines import OUTLINES, Path, placed

Split = Literal["train", "val", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
CATEGORIES: tuple[str, ...] = tuple(OUTLINES)
VERSION = 1
"""Goes up whenever the same numbers would draw other pictures."""

MAX_OCCLUSION = 0.6

Palette = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
WARM: Palette = ((170, 250), (40, 190), (10, 90))
"""Objects are red to yellow; everything else is cold, so that colour tells where the object is, but not what."""
COLD: Palette = ((20, 140), (40, 200), (60, 230))

FRAGMENTS = (3, 9)
RADIUS = (0.26, 0.4)
"""Of the object, in widths of the picture."""

MAX_TURN = np.pi / 4
"""Objects stand upright within this angle, as most things do."""

MOST_PICTURES = 10_000_000
"""Of one set, whose ids are kept in memory."""

_FINER = 2  # drawn this much larger and then averaged, which smooths the edges


@dataclass(frozen=True)
class DrawnSource:
    """A sequence of pictures of one split, drawn when they are asked for (a :class:`.sources.PixelSource`)."""

    n: int
    split: Split
    seed: int
    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MOST_PICTURES:
            raise StimulusError(f"a set has 1 to {MOST_PICTURES:,} pictures; got {self.n:,}")
        if self.split not in SPLITS:
            raise unknown("split", self.split, SPLITS)

    def __len__(self) -> int:
        return self.n

    def load(self, row: int, name: str) -> Pixels:
        """See :class:`.sources.PixelSource`."""
        return draw(row, self.split, seed=self.seed, size=self.size).pixels


@dataclass(frozen=True)
class Drawing:
    """One picture: uint8 pixels (size, size, 3), the position of its category, and the share of the object that is covered."""

    pixels: Pixels
    label: int
    occlusion: float


def label_of(index: int) -> int:
    """Label of a picture by its number: the categories in turn, so that every stretch is balanced."""
    return index % len(CATEGORIES)


def draw(index: int, split: Split = "test", *, seed: int = 0, size: int = 128) -> Drawing:
    """Draw picture number ``index`` (from 0, without an end) of a split, ``size`` x ``size`` pixels (16 at least).

    Examples
    --------
    >>> drawing = draw(3, "test", seed=0)
    >>> drawing.pixels.shape, CATEGORIES[drawing.label]
    ((128, 128, 3), 'triangle')
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if index < 0 or seed < 0 or size < 16:
        raise StimulusError(f"index and seed are at least 0 and size at least 16; got {index}, {seed} and {size}")
    rng = np.random.default_rng([VERSION, seed, SPLITS.index(split), index])
    label, side = label_of(index), size * _FINER
    canvas = _background(rng, side)
    pen = ImageDraw.Draw(canvas)
    body, *colours = _colours(rng, WARM, 1) + _colours(rng, COLD, 3 + int(rng.integers(0, 4)))

    for _ in range(int(rng.integers(FRAGMENTS[0], FRAGMENTS[1] + 1))):
        pen.polygon(_points(_fragment(rng, side)), fill=_pick(rng, colours))
    radius = rng.uniform(*RADIUS) * side
    centre = (rng.uniform(0.4, 0.6) * side, rng.uniform(0.4, 0.6) * side)
    path = OUTLINES[CATEGORIES[label]](rng)
    outline = placed(path, centre, radius, rng.uniform(-MAX_TURN, MAX_TURN), np.exp(rng.uniform(-0.25, 0.25)))
    pen.polygon(_points(outline), fill=body)

    covers, occlusion = _cover(rng, outline, centre, radius, side)
    for cover in covers:
        pen.polygon(_points(cover), fill=_pick(rng, colours))
    return Drawing(_photographed(rng, canvas, size), label, occlusion)


def _colours(rng: np.random.Generator, palette: Palette, n: int) -> list[tuple[int, int, int]]:
    low, high = np.array(palette).T
    return [tuple(int(value) for value in row) for row in rng.integers(low, high, (n, 3))]  # type: ignore[misc]


def _pick(rng: np.random.Generator, colours: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    return colours[int(rng.integers(len(colours)))]


def _points(path: Path) -> list[float]:
    return path.ravel().tolist()  # (points, 2) -> x, y, x, y, ...


def _background(rng: np.random.Generator, side: int) -> Image.Image:
    """Clouds of colour around a mean, of random coarseness."""
    cells = int(rng.integers(3, 10))
    low, high = np.array(COLD).T
    mean, spread = rng.uniform(low, high), rng.uniform(5, 35)
    field = np.clip(mean + spread * rng.standard_normal((cells, cells, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(field).resize((side, side), Image.Resampling.BICUBIC)


def _fragment(rng: np.random.Generator, side: int) -> Path:
    """A stretch of the outline of any category, closed by a chord, anywhere."""
    path = OUTLINES[CATEGORIES[int(rng.integers(len(CATEGORIES)))]](rng)
    length = max(3, round(rng.uniform(0.35, 0.65) * len(path)))
    piece = np.roll(path, int(rng.integers(len(path))), axis=0)[:length]
    centre = (rng.uniform(0, side), rng.uniform(0, side))
    return placed(piece, centre, rng.uniform(0.12, 0.3) * side, rng.uniform(0, 2 * np.pi), 1.0)


def _cover(
    rng: np.random.Generator, outline: Path, centre: tuple[float, float], radius: float, side: int
) -> tuple[list[Path], float]:
    """Pieces over the object until about a wanted share of its area is covered, never more than the maximum."""
    wanted = rng.uniform(0, MAX_OCCLUSION)
    body = _mask([outline], side)
    covers: list[Path] = []
    share = 0.0
    for _ in range(12):
        if share >= wanted - 0.05:
            break
        angle, distance = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.2, 1.0)
        at = (centre[0] + distance * np.cos(angle), centre[1] + distance * np.sin(angle))
        long, wide = rng.uniform(0.35, 1.2) * radius, rng.uniform(0.1, 0.35) * radius
        turn = rng.uniform(0, 2 * np.pi)
        bar = np.array([[-long, -wide], [long, -wide], [long, wide], [-long, wide]])
        blob = radius * rng.uniform(0.25, 0.45) * _blob(rng)
        piece = placed(bar if rng.random() < 0.5 else blob, at, 1.0, turn, 1.0)
        now = float((_mask([*covers, piece], side) & body).sum() / max(1, body.sum()))
        if now <= MAX_OCCLUSION:
            covers, share = [*covers, piece], now
    return covers, share


def _blob(rng: np.random.Generator) -> Path:
    """A rounded lump of radius about 1."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    radius = 1 + 0.25 * np.cos(2 * angle + rng.uniform(0, 6.3)) + 0.15 * np.cos(3 * angle + rng.uniform(0, 6.3))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _mask(paths: list[Path], side: int) -> np.ndarray:
    """Bool (side / 2, side / 2): where any of ``paths`` is."""
    image = Image.new("1", (side // _FINER, side // _FINER))
    pen = ImageDraw.Draw(image)
    for path in paths:
        pen.polygon(_points(path / _FINER), fill=1)
    return np.asarray(image)


def _photographed(rng: np.random.Generator, canvas: Image.Image, size: int) -> Pixels:
    """Light from one side, contrast, and the noise of a sensor."""
    pixels = np.array(canvas.reduce(_FINER), dtype=np.float32)  # (S, S, 3)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    contrast, noise = np.float32(rng.uniform(0.5, 1.0)), np.float32(rng.uniform(2, 12))
    light = 1 + slope * (np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None])  # (S, S)
    pixels *= (contrast * light).astype(np.float32)[:, :, None]
    # + 0.5 because the conversion below cuts off
    pixels += (noise * rng.standard_normal((size, size), dtype=np.float32) + 128 * (1 - contrast) + 0.5)[:, :, None]
    return np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)
