"""
BLT_VS beside CORnet-S, ResNet-50 and its feed-forward twin
===========================================================

BLT_VS beside CORnet-S, ResNet-50 and its feed-forward twin B_VS: how each resembles human IT on the 92 objects.

Run ``uv run python analyses/09_models.py``, with ``--weights cornet_s=cornet_s-1d3f7974.pth`` where you have weights that
do not come by name, and ``--store imagenet=acts.h5`` for a store that exists already. A model whose released weights
cannot be had is run with untrained ones, and says so in the figure and in every row of the table: such scores show what
an architecture brings along, and nothing of what it learns.

Makes, in ``analyses/09_models/`` (or ``--output``): ``09_models.png``, ``09_models.csv``, ``09_models.json`` (where
everything came from), and a store per model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bltvs_neuro as bn
from bltvs_neuro.errors import WeightsError

MODELS = {"imagenet": "BLT_VS", "cornet_s": "CORnet-S", "resnet50": "ResNet-50", "b_vs": "B_VS"}
COLOURS = {"bu": "#0072B2", "td": "#D55E00"}
STREAMS = {"bu": "bottom-up", "td": "top-down"}
REDUCTION, METRIC, SIMILARITY, SEED = "pool:4", "correlation", "corr_cov", 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "09_models")
    parser.add_argument("--weights", action="append", default=[], metavar="MODEL=PATH", help="weights of your own")
    parser.add_argument("--store", action="append", default=[], metavar="MODEL=PATH", help="in place of extracting")
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--image-size", type=int, help="128 for a quick look; only with untrained or own weights")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    own, made = (dict(item.split("=", 1) for item in items) for items in (options.weights, options.store))

    stimuli = bn.StimulusSet.open("kriegeskorte92")
    brain = bn.load_rdms("kriegeskorte92")
    rdms, origins = [], {}
    for name in MODELS:
        if name not in made:
            model = load(name, own.get(name, "pretrained"), options.image_size)
            made[name] = options.output / f"{name}_{model.provenance['weights']}_{model.image_size}px.h5"
            bn.extract(model, stimuli, made[name], reduce=REDUCTION)
        with bn.open_store(made[name]) as acts:
            found, origins[name] = bn.compute_rdms(acts, metric=METRIC), acts.provenance
        if origins[name]["reduction"]["name"] != REDUCTION:
            raise SystemExit(f"{made[name]} holds {origins[name]['reduction']['name']}, the others {REDUCTION}")
        rdms.append(found.assign_coords(name=("rdm", [f"{name}: {state}" for state in found["name"].values])))
    every = xr.concat(rdms, dim="rdm", combine_attrs="drop")
    result = bn.compare_rdms(
        every, brain, similarity=SIMILARITY, inference=bn.Inference(bootstrap=options.bootstrap), run=bn.Run(seed=SEED)
    )

    table = result.to_frame().set_index("model").loc[[str(name) for name in every["name"].values]].reset_index()
    table.insert(0, "network", [name.partition(": ")[0] for name in table["model"]])
    for column in ("weights", "weights_sha256"):
        table[column] = [origins[name][column] for name in table["network"]]
    about = {"options": vars(options) | {"output": str(options.output)}, "models": origins, "rsa": result.provenance}
    table.to_csv(options.output / "09_models.csv", index=False)
    (options.output / "09_models.json").write_text(json.dumps(about, indent=1, default=str))
    draw(table, origins, result.label).savefig(options.output / "09_models.png", dpi=200)
    best = table.loc[table.groupby("network", sort=False)["score"].idxmax()]
    print(
        best[["network", "area", "stream", "timestep", "score", "ci_low", "ci_high", "weights"]].to_string(index=False)
    )


def load(name: str, weights: str, image_size: int | None) -> bn.Network:
    """Load a model; untrained, and said so, where its released weights cannot be had."""
    try:
        if weights != "pretrained" or image_size is None:
            return bn.load_model(name, weights, image_size=image_size)
    except WeightsError as error:
        if weights != "pretrained":
            raise
        print(f"{name}: untrained weights, as the released ones cannot be had ({error})")
    return bn.load_model(name, "untrained", seed=SEED, image_size=image_size)


def draw(table: pd.DataFrame, origins: dict[str, dict], label: str) -> Figure:
    """One panel per model: areas from left to right, in each its timesteps."""
    mpl.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    spans = {name: spans_of(table[table["network"] == name]) for name in MODELS}
    widths = [sum(spans[name].values()) + 0.8 * len(spans[name]) for name in MODELS]
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = figure.subplots(1, len(MODELS), sharey=True, width_ratios=widths)
    for name, panel in zip(MODELS, panels, strict=True):
        draw_model(panel, table[table["network"] == name], spans[name])
        weights, size = origins[name]["weights"], origins[name]["transform"]["centre_crop"]
        panel.set_title(f"{MODELS[name]}\n{'untrained' if weights == 'untrained' else 'trained'}, {size} px")
    panels[0].set_ylabel(f"similarity to human IT\n({label}, 4 subjects)")
    handles: list[Any] = [
        mpl.lines.Line2D([], [], color=COLOURS[s], marker="o", markersize=3.5, label=STREAMS[s]) for s in COLOURS
    ]
    handles.append(mpl.patches.Patch(color="#D9D9D9", label="noise ceiling"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    untrained = [MODELS[name] for name in MODELS if origins[name]["weights"] == "untrained"]
    note = f"; untrained weights (seed {SEED}): {', '.join(untrained)}" if untrained else ""
    figure.suptitle(
        f"92 objects; {METRIC} distance of activations pooled to 4 x 4; within an area, timesteps from left to right; "
        f"bars: 95 % intervals over subjects and stimuli{note.replace('; ', chr(10), 1)}",
        fontsize=8,
    )  # fmt: skip
    return figure


def spans_of(part: pd.DataFrame) -> dict[str, int]:
    """Timesteps of each area, the widest stream's."""
    return {
        str(area): int(rows["timestep"].max() - rows["timestep"].min()) + 1
        for area, rows in part.groupby("area", sort=False)
    }


def draw_model(panel: Axes, part: pd.DataFrame, spans: dict[str, int]) -> None:
    """Scores of one model in its panel."""
    left, ticks = 0.0, []
    for area, span in spans.items():
        rows = part[part["area"] == area]
        first = rows["timestep"].min()
        for stream, line in rows.groupby("stream"):
            x = left + (line["timestep"] - first) + (0.12 if stream == "td" else -0.12) * (rows["stream"].nunique() > 1)
            error = np.stack([line["score"] - line["ci_low"], line["ci_high"] - line["score"]])
            panel.errorbar(
                x, line["score"], error, color=COLOURS[str(stream)], marker="o", markersize=3, lw=1, elinewidth=0.6
            )
        ticks.append(left + (span - 1) / 2)
        left += span + 0.8
    panel.axhspan(part["ceiling_lower"].iloc[0], part["ceiling_upper"].iloc[0], color="#D9D9D9", lw=0, zorder=0)
    panel.axhline(0, color="black", lw=0.6)
    panel.set_xticks(ticks, list(spans), rotation=45, ha="right", rotation_mode="anchor")
    panel.set_xlim(-0.8, left - 0.8 + 0.6)


if __name__ == "__main__":
    main()
