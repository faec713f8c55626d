"""How objects look in a notebook: one card of facts, a small table, a picture, and more to unfold. Everything is escaped."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS = 8
"""Rows of a table that a card shows."""
MOST = 20_000
"""Characters of a text that is folded away."""


def card(
    title: str,
    facts: Mapping[str, Any],
    table: pd.DataFrame | None = None,
    *,
    picture: str = "",
    texts: Mapping[str, str] | None = None,
) -> str:
    """HTML of a card.

    Parameters
    ----------
    title : str
    facts : mapping
        What is known, by name; None and empty text are left out.
    table : DataFrame, optional
        Its first rows are shown.
    picture : str
        HTML of :func:`sparkline` or :func:`thumbnails`, which is not escaped.
    texts : mapping of str to str, optional
        Longer texts to unfold, by heading.
    """
    facts = {f"{name}: " if name else "": value for name, value in known(facts).items()}
    told = " · ".join(f"{escaped(name)}<b>{escaped(value)}</b>" for name, value in facts.items())
    parts = [f"<div><strong>{escaped(title)}</strong> {picture}</div>", f"<div>{told}</div>"]
    if table is not None and len(table.columns):
        more = f"<div>{len(table) - ROWS:,} more rows</div>" if len(table) > ROWS else ""
        parts.append(table.head(ROWS).to_html(index=False, border=0) + more)
    parts += [
        f"<details><summary>{escaped(name)}</summary><pre>{escaped(text[:MOST])}</pre></details>"
        for name, text in (texts or {}).items()
    ]
    return f"<div>{''.join(parts)}</div>"


def line(title: str, facts: Mapping[str, Any]) -> str:
    """The same facts in one line, for a terminal."""
    told = ", ".join(f"{name} {value}" if name else str(value) for name, value in known(facts).items())
    return f"<{title}: {told}>" if told else f"<{title}>"


def escaped(value: Any) -> str:
    """Text that no browser takes for more than text."""
    return html.escape(str(value))


def known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that there are."""
    return {name: value for name, value in facts.items() if value is not None and value != ""}


def told(provenance: Any, names: Iterable[str]) -> dict[str, str]:
    """The first text or number that nested mappings say of each name.

    Examples
    --------
    >>> told({"inputs": {"attrs": {"model": "ecoset"}}, "options": {"solver": "Ridge"}}, ("solver", "model", "seed"))
    {'solver': 'Ridge', 'model': 'ecoset'}
    """
    found = {name: _first(provenance, name) for name in names}
    return {name: str(value) for name, value in found.items() if value is not None}


def _first(held: Any, name: str) -> Any:
    if not isinstance(held, Mapping):
        return None
    own = held.get(name)
    if isinstance(own, str | int | float) and not isinstance(own, bool):
        return own
    return next((value for value in (_first(inner, name) for inner in held.values()) if value is not None), None)


def sparkline(values: Sequence[float]) -> str:
    """A small curve as SVG in the colour of the text; nothing for fewer than two finite values."""
    points = [(at, float(value)) for at, value in enumerate(values) if math.isfinite(value)]
    if len(points) < 2:
        return ""
    low, high = min(y for _, y in points), max(y for _, y in points)
    last, span = points[-1][0], (high - low) or 1.0
    drawn = " ".join(f"{2 + 96 * x / last:.1f},{18 - 16 * (y - low) / span:.1f}" for x, y in points)
    said = f"from {points[0][1]:.3g} to {points[-1][1]:.3g}"
    return (
        f'<svg width="100" height="20" role="img" aria-label="{said}"><title>{said}</title>'
        f'<polyline points="{drawn}" fill="none" stroke="currentColor"/></svg>'
    )


def thumbnails(pictures: Iterable[np.ndarray], names: Iterable[str]) -> str:
    """Small images of uint8 pictures."""
    from PIL import Image

    shown = []
    for pixels, name in zip(pictures, names, strict=True):
        image, file = Image.fromarray(pixels), io.BytesIO()
        image.thumbnail((48, 48))
        image.save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        shown.append(f'<img src="data:image/png;base64,{data}" alt="{escaped(name)}" title="{escaped(name)}"/>')
    return "".join(shown)
