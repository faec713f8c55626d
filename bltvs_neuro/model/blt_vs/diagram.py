"""BLT_VS as a diagram: two streams of areas, the connections between them, onsets, and what lesions touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ...figures import WARNING, drawn, ink, line_key, stream_style
from ...schema import STREAMS, Site
from ..drawing import HEIGHT, STEP, WIDTH, arrow, box, canvas, hits, label, loop, size, when

if TYPE_CHECKING:
    from .module import BLT_VS

LEVEL = {"bu": 0.0, "td": 1.35}
"""Height of each stream's boxes."""
INWARD = {"bu": 1, "td": -1}
"""Where the other stream is: above, below."""


@drawn
def plot_diagram(model: BLT_VS, ax: Axes | None = None) -> Axes:
    """Draw the areas from left to right, bottom-up below and top-down above; see :meth:`BLT_VS.plot`."""
    ax = canvas(ax, len(model.areas) + 0.7, 3.4)
    places = {area: STEP * at for at, area in enumerate(model.areas)}
    for area, x in places.items():
        ax.text(x, 3.12, area, ha="center", fontsize=8, fontweight="bold", color=ink(0.7))
        ax.text(x, 2.9, size(model.shapes[area]), ha="center", fontsize=5.5, color=ink(0.7))
        for stream in STREAMS:
            site = Site(area, stream)
            if model.timesteps_of(site) or hits(model, area, stream):
                box(
                    ax,
                    x,
                    LEVEL[stream],
                    when(model, site),
                    stream_style(stream)["color"],
                    hits(model, area, stream),
                    INWARD[stream],
                )
    ax.text(-STEP, 0, "image", ha="center", va="center", fontsize=7, color=ink(0.7))
    for area, connection in model.intact.connections():
        _connection(ax, model, places, area, connection)
    for area, x in places.items():
        if all(model.intact.timesteps_of(area, stream) for stream in STREAMS) and area not in (
            model.areas[0],
            model.areas[-1],
        ):
            arrow(
                ax,
                (x, HEIGHT / 2),
                (x, LEVEL["td"] - HEIGHT / 2),
                ink(0.7),
                arrowstyle="<|-|>",
                linestyle=":",
                linewidth=0.7,
            )
    ax.legend(
        handles=_handles(model), loc="lower center", bbox_to_anchor=(0.5, -0.04), ncols=5, frameon=False, fontsize=6.5
    )
    ax.set_title(f"{model.timesteps} timesteps, {model.schedule_name} schedule", fontsize=8, color=ink(0.7))
    ax.set_xlim(-STEP - 0.4, STEP * (len(places) - 0.45))
    ax.set_ylim(-1.95, 3.4)
    return ax


def _connection(ax: Axes, model: BLT_VS, places: dict[str, float], area: str, connection: str) -> None:
    """Draw one connection: none that the schedule never uses, dotted in red one that is lesioned."""
    if not model.intact.used_at(area, connection):
        return
    source, stream = model.intact.source(area, connection) or ("image", "bu")
    hit = hits(model, area, connection)
    colour = WARNING if hit else stream_style(stream)["color"]
    options: dict[str, Any] = {"linestyle": ":" if hit else stream_style(stream)["linestyle"]}
    x, y, inward = places[area], LEVEL[stream], INWARD[stream]
    if source == area:
        loop(ax, x, y, colour, up=inward < 0, **options)
        mark = x, y - inward * (HEIGHT / 2 + 0.46)
    elif connection.startswith("skip"):
        edge, ahead = y - inward * HEIGHT / 2, 0.3 if x > places[source] else -0.3
        arrow(ax, (places[source] + ahead, edge), (x - ahead, edge), colour, bend=0.32, **options)
        mark = (places[source] + x) / 2, y - inward * (HEIGHT / 2 + 0.85)
    else:
        start, half = (-STEP, 0.36) if source == "image" else (places[source], WIDTH / 2)
        ahead = 1 if x > start else -1
        arrow(ax, (start + ahead * half, y), (x - ahead * WIDTH / 2, y), colour, **options)
        mark = (x + start) / 2, y + inward * (HEIGHT / 2 + 0.13)
    if hit:
        label(ax, *mark, hit)


def _handles(model: BLT_VS) -> list[Line2D]:
    streams = [line_key(**{**stream_style(stream), "marker": ""}) for stream in STREAMS]
    gate = line_key("each stream's input gates the other", color=ink(0.7), linestyle=":")
    lesion = line_key("lesioned", color=WARNING, linestyle=":")
    return [*streams, gate, *([lesion] if model.lesions else [])]
