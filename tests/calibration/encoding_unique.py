"""Unique variance: intervals of useless bands, and how far linear dependence misleads; some minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

VOXELS, SETS = 20, 60
TRIED, HELD_OUT = (
    range(SETS),
    range(50_000, 50_000 + SETS),
)  # the interval was chosen on the first, and is told of the second


@dataclass(frozen=True)
class Design:
    """Two streams; the responses follow ``bu`` (and ``td`` where it is no function of it) in a known share."""

    name: str
    stimuli: int = 90
    features: int = 30
    signal: float = 0.4
    alike: float = 0.0
    """Share of td's variance that is a linear function of bu."""
    decay: float = 0.0
    """bu's features fall off as i ** -decay; td evens this out where it is a function of bu: a better basis."""
    unique: float = 0.0
    """Share of the responses' variance that only td's own part gives."""


DESIGNS = (
    Design("independent, useless"),
    Design("independent, useless, weak", signal=0.1),
    Design("half alike, useless", alike=0.5),
    Design("200 stimuli, half alike, useless", stimuli=200, alike=0.5),
    Design("half alike, better basis, useless", alike=0.5, decay=1.0),
    Design("0.9 alike, better basis, useless", alike=0.9, decay=1.0),
    Design("linear function, better basis", alike=1.0, decay=1.0),
    Design("linear function, more features than stimuli", alike=1.0, features=150, decay=1.0),
    Design("independent, unique 0.2", unique=0.2),
    Design("half alike, unique 0.2", alike=0.5, unique=0.2),
)


def draw(design: Design, seed: int) -> tuple[dict[str, xr.DataArray], np.ndarray, list[str]]:
    """A store of V4's two streams, responses (stimulus, voxel), names of the stimuli."""
    rng = np.random.default_rng([DESIGNS.index(design), seed])
    n, p = design.stimuli, design.features
    names = [f"s{i:03d}" for i in range(n)]
    even, own = rng.standard_normal((n, p)), rng.standard_normal((n, p))
    turn, _ = np.linalg.qr(rng.standard_normal((p, p)))
    bu = (even * np.arange(1, p + 1) ** -design.decay) @ turn
    # td has bu's dimensions at equal strength: a linear function of bu, in which responses are easier to learn
    td = np.sqrt(design.alike) * even + np.sqrt(1 - design.alike) * own
    weights = rng.standard_normal((2, p, VOXELS)) / np.sqrt(p)
    y = np.sqrt(design.signal) * even @ weights[0] + np.sqrt(design.unique) * own @ weights[1]
    y += np.sqrt(1 - design.signal - design.unique) * rng.standard_normal(y.shape)
    coords = {"stimulus_id": ("stimulus", names), "timestep": [0]}
    acts = {
        f"V4/{stream}": xr.DataArray(
            values[:, None].astype(np.float32), dims=("stimulus", "timestep", "unit"), coords=coords
        )
        for stream, values in (("bu", bu), ("td", td))
    }
    return acts, y, names


def unique_of_td(design: Design, seed: int) -> dict[str, float]:
    """The row of td of one data set."""
    from bltvs_neuro.encoding import BandedRidge, partition_encoding
    from bltvs_neuro.neural.labelled import make_responses

    acts, y, names = draw(design, seed)
    responses = make_responses(y, names, neuroid_coords={})
    parts = partition_encoding(acts, responses, over="stream", solver=BandedRidge(candidates=8, on_edge="ignore"))
    frame = parts.unique()
    return dict(frame[frame["part"] == "td"].iloc[0])


def table() -> Iterator[str]:
    """Means over data sets; of useless bands 0.95 of the intervals hold zero."""
    yield "| design | beyond | interval holds 0 | above 0 | width | width / (4 sd) | linear in the rest | warned |"
    yield "|---|---|---|---|---|---|---|---|"
    for design in DESIGNS:
        rows = [unique_of_td(design, seed) for seed in HELD_OUT]
        beyond, low, high, linear = (
            np.array([row[key] for row in rows], float) for key in ("beyond", "ci_low", "ci_high", "linear")
        )
        width = (high - low).mean()
        cells = [
            beyond.mean(), ((low <= 0) & (high >= 0)).mean(), (low > 0).mean(), width, width / (4 * beyond.std(ddof=1)),
            linear.mean(), (linear >= 0.8).mean(),
        ]  # fmt: skip
        yield f"| {design.name} | " + " | ".join(f"{v:.3f}" for v in cells) + " |"
