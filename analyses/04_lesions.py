"""What do feedback and lateral connections do to the representational geometry of the 92 objects over time?

Run ``uv run python analyses/04_lesions.py`` (a few minutes at 128 px). The same model is recorded intact and under lesions
made at run time (``bn.lesion``): no weight is touched, so that any difference is the connections' own doing. Data come from
the folder that BLTVS_DATA names, or are fetched. ``--model`` takes any checkpoint or an exported model's folder; left out,
the trained model ``shapes`` is taken where this version has it, and untrained weights otherwise, which figure, table and
file names say.

Makes, in ``analyses/04_lesions/`` (or ``--output``):

- ``*_lesions.csv``: for every lesion, site and timestep the correlation of its RDM with the intact model's at the same timestep
  (``with_intact``), with its own at the timestep before (``with_before``), and with human IT (``with_it``; Spearman, mean
  over four subjects).
- ``*_lesions.png``, ``.pdf``: both over time, bottom-up stream, by area.
- ``*_<lesion>.h5``: the stores, which say by which lesion they were made; run again, they are not made again.
"""

from __future__ import annotations

import argparse
import json
import logging
from contextlib import nullcontext
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import bltvs_neuro as bn
from bltvs_neuro.figures import PAGE, PALETTE, RC, new_figure, save_figure
from bltvs_neuro.rsa import average_rdms, compare, compute_rdms, noise_ceiling

HERE = Path(__file__).parent

LESIONS: dict[str, tuple[str, ...]] = {
    "intact": (),
    "no feedback": ("td:*",),
    "no lateral": ("lateral:*",),
    "neither": ("td:*", "lateral:*"),
    "no feedback from timestep 2": ("td:*@2:",),
}
"""Name -> targets; what is silenced delivers nothing, to the drive of one stream and to the gate of the other."""
MARKERS = ("o", "s", "^", "D", "v")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", help="a checkpoint, or an exported model's folder")
    parser.add_argument("--image-size", type=int, default=128, help="of untrained weights")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "04_lesions")
    options = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s")
    options.output.mkdir(parents=True, exist_ok=True)

    model = choose(options.model, options.image_size)
    weights = f"{model.provenance['model']}_{model.provenance['weights']}"
    print(f"weights: {weights.replace('_', ', ')}; {model.timesteps} timesteps, {model.schedule_name} schedule")
    stimuli = bn.StimulusSet.from_mat92()
    rdms: dict[str, xr.DataArray] = {}
    for name, targets in LESIONS.items():
        path = options.output / f"{weights}_{name.replace(' ', '_')}.h5"
        with bn.lesion(model, *targets) if targets else nullcontext():
            bn.extract(model, stimuli, path, "V1:LOC", reduce=bn.pool(4))
        with bn.open_store(path) as acts:
            rdms[name] = compute_rdms(acts, metric="correlation")
            provenance = acts.provenance

    brain = average_rdms(bn.load_rdms("kriegeskorte92"))
    ceiling = noise_ceiling(brain, "spearman")
    table = pd.concat([measured(name, lesioned, rdms["intact"], brain) for name, lesioned in rdms.items()])
    target = options.output / f"{weights}_lesions"
    about = {"lesions": LESIONS, "store": provenance, "noise_ceiling_spearman": [ceiling.lower, ceiling.upper]}
    with target.with_suffix(".csv").open("w", encoding="utf-8") as file:
        file.write(f"# {json.dumps(about, sort_keys=True, default=str)}\n")
        table.to_csv(file, index=False)
    with mpl.rc_context(RC):
        figure = plot(table, ceiling.lower, model.provenance["model"], model.provenance["weights"])
    for ending in (".png", ".pdf"):
        print(f"wrote {save_figure(figure, target.with_suffix(ending), overwrite=True)}")
    last = table[(table["timestep"] == table["timestep"].max()) & (table["stream"] == "bu")]
    print(
        last.pivot(index="area", columns="lesion", values="with_intact").loc[list(dict.fromkeys(last["area"]))].round(3)
    )


def choose(name: str | None, image_size: int) -> bn.BLT_VS:
    """The model that was asked for, else a trained one that needs no network, else untrained weights."""
    if name is not None:
        return bn.load_model(name)
    if "shapes" in bn.CHECKPOINTS:
        return bn.load_model("shapes")
    print("UNTRAINED weights: what follows is about the architecture, not about what training makes of it")
    return bn.load_model("imagenet", weights="untrained", seed=0, image_size=image_size)


def measured(name: str, lesioned: xr.DataArray, intact: xr.DataArray, brain: xr.DataArray) -> pd.DataFrame:
    """A row for each site and timestep that differ between stimuli under the lesion; stimuli are matched by id."""
    with_it = compare(lesioned, brain, "spearman").mean("rdm_b").values
    with_intact, with_itself = (compare(lesioned, other, "spearman").values for other in (intact, lesioned))
    place = {label: at for at, label in enumerate(lesioned["name"].values.tolist())}
    known = {label: at for at, label in enumerate(intact["name"].values.tolist())}
    rows = []
    for label, at in place.items():
        site, timestep = label.split("@t")
        area, stream = site.split("/")
        before = place.get(f"{site}@t{int(timestep) - 1}")
        rows.append(
            {
                "lesion": name, "area": area, "stream": stream, "timestep": int(timestep),
                "with_intact": with_intact[at, known[label]] if label in known else np.nan,
                "with_before": np.nan if before is None else with_itself[at, before], "with_it": with_it[at],
            }
        )  # fmt: skip
    return pd.DataFrame(rows).dropna(subset=["with_it"])


def plot(table: pd.DataFrame, ceiling: float, model: str, weights: str) -> Figure:
    """Draw what a lesion does to the geometry (above) and to its likeness to human IT (below)."""
    table = table[table["stream"] == "bu"]
    areas = list(dict.fromkeys(table["area"]))
    figure = new_figure(PAGE, 3.6)
    axes = figure.subplots(2, len(areas), sharex=True, sharey="row", squeeze=False)
    for column, area in enumerate(areas):
        for at, (name, part) in enumerate(table[table["area"] == area].groupby("lesion", sort=False)):
            style = {"color": PALETTE[6] if name == "intact" else PALETTE[at - 1], "marker": MARKERS[at]}
            for row, value in enumerate(("with_intact", "with_it")):
                if row or name != "intact":
                    axes[row][column].plot(part["timestep"], part[value], label=name, markersize=3, lw=1, **style)
        axes[0][column].set_title(area)
        axes[1][column].set_xticks(sorted(table["timestep"].unique()))
        axes[1][column].axhline(0, color="0.6", lw=0.6, zorder=0)
    axes[0][0].set_ylabel("RDM correlation\nwith the intact model")
    axes[1][0].set_ylabel("RDM correlation\nwith human IT")
    axes[1][len(areas) // 2].set_xlabel("timestep")
    figure.legend(*axes[1][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LESIONS))
    figure.suptitle(
        f"{model}, {weights} weights; bottom-up stream; Spearman; lower noise ceiling of human IT {ceiling:.2f}",
        fontsize=7, color="#B00020" if weights == "untrained" else "black",
    )  # fmt: skip
    return figure


if __name__ == "__main__":
    main()
