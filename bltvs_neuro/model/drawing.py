"""A picture of a network: its areas in order, with their shapes and timesteps, and what lesions touch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.patches import BoxStyle, ConnectionStyle, FancyArrowPatch, FancyBboxPatch

from ..figures import PAGE, WARNING, drawn, ink, new_figure, stream_style
from ..schema import Site, Stream

if TYPE_CHECKING:
    from .network import Network

WIDTH, HEIGHT = 1.22, 0.62
"""Of a box, where neighbours are 1.6 apart."""
STEP = 1.6
A_ROW = 7
"""Boxes."""


def canvas(ax: Axes | None, columns: float, rows: float) -> Axes:
    """The axes to draw on, for so many boxes, without ticks: those given, or of a new figure a page wide."""
    if ax is None:
        ax = new_figure(PAGE, PAGE * rows / columns).add_subplot()
    ax.set_axis_off()
    ax.set_aspect("equal")
    return ax


def box(ax: Axes, x: float, y: float, text: str, colour: str, hit: str = "", side: int = -1) -> None:
    """A box around its centre; ``hit`` says what a lesion does to it, above (1) or below it (-1)."""
    style = BoxStyle("Round", pad=0, rounding_size=0.12)
    edge, line = (WARNING, 1.6) if hit else (colour, 0.9)
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    ax.add_patch(
        FancyBboxPatch(corner, WIDTH, HEIGHT, style, facecolor="none", edgecolor=edge, linewidth=line, zorder=2)
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=5.6, color=colour, zorder=3, linespacing=1.25)
    if hit:
        label(ax, x, y + side * (HEIGHT / 2 + 0.13), hit)


def label(ax: Axes, x: float, y: float, text: str) -> None:
    """What a lesion does."""
    behind = {"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.6}
    ax.text(x, y, text, ha="center", va="center", fontsize=5.5, color=WARNING, zorder=4, bbox=behind)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, **options: Any) -> None:
    """An arrow between two points; ``bend`` curves it."""
    style = ConnectionStyle("Arc3", rad=options.pop("bend", 0.0))
    about = {
        "arrowstyle": "-|>",
        "mutation_scale": 6,
        "linewidth": 0.9,
        "shrinkA": 0,
        "shrinkB": 0,
        "zorder": 1,
        **options,
    }
    ax.add_patch(FancyArrowPatch(start, end, connectionstyle=style, color=colour, **about))


def loop(ax: Axes, x: float, y: float, colour: str, *, up: bool, **options: Any) -> None:
    """An arrow from a box to itself, above or below it."""
    side = 1 if up else -1
    edge = y + side * HEIGHT / 2
    arrow(ax, (x + 0.22, edge), (x - 0.22, edge), colour, bend=side * 1.6, **options)


def when(network: Network, site: Site) -> str:
    """The timesteps of a site in words, ``"t 2 to 5"``, with those at which it is the same for every image."""
    steps = network.timesteps_of(site)
    if not steps:
        return "never"
    same = [s.timestep for s in network.states() if (s.area, s.stream) == site and network.is_constant(s)]
    text = f"t {steps[0]}" + (f" to {steps[-1]}" if len(steps) > 1 else "")
    if not same:
        return text
    return f"{text}\nconstant" + ("" if len(same) == len(steps) else f" to {same[-1]}")


def size(shape: tuple[int, ...]) -> str:
    """``(64, 28, 28)`` -> ``"64 x 28 x 28"``."""
    return " × ".join(map(str, shape))


def hits(network: Network, area: str, what: str) -> str:
    """What the present lesions do to a site or connection: ``"[0:8] 0.5 @3:6"``; nothing where they do not touch it."""
    from .lesions.lesion import spans

    found = []
    for one in network.lesions:
        if (area, what) in one.targets:
            _, bracket, part = one.text.partition("[")
            always = len(one.timesteps) == network.timesteps
            found.append(f"{bracket}{part} {one.action}{'' if always else f' @{spans(one.timesteps)}'}".strip())
    return "\n".join(found)


@drawn
def plot_layers(network: Network, ax: Axes | None = None) -> Axes:
    """Draw the areas of a network in the order in which they are computed; an arrow back to an area is a recurrence."""
    columns = min(A_ROW, len(network.areas))
    rows = math.ceil(len(network.areas) / columns)
    ax = canvas(ax, columns, rows)
    colour, grey = stream_style("bu")["color"], ink(0.7)
    for at, area in enumerate(network.areas):
        row, column = divmod(at, columns)
        x, y = STEP * column, -STEP * row
        stream: Stream = "bu"
        site = Site(area, stream)
        again = len(network.timesteps_of(site)) > 1
        text = size(network.shape(site)) + (
            f"\n{when(network, site)}" if network.timesteps > 1 or network.lesions else ""
        )
        above, font = HEIGHT / 2 + (0.5 if again else 0.14), min(7, 90 / len(area))
        ax.text(x, y + above, area, ha="center", fontsize=font, fontweight="bold", color=grey)
        box(ax, x, y, text, colour, hit=hits(network, area, stream))
        if again:
            loop(ax, x, y, colour, up=True)
        if column:
            arrow(ax, (x - STEP + WIDTH / 2, y), (x - WIDTH / 2, y), grey)
    ax.set_xlim(-STEP / 2, STEP * (columns - 0.5))
    ax.set_ylim(-STEP * (rows - 0.62), STEP / 2 + 0.3)
    return ax
