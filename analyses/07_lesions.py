"""
Lesions: what do feedback and lateral connections do to the geometry over time?
===============================================================================

The same model is recorded intact and under lesions made at run time. No weight is touched, so that any difference is
the connections' own doing. The 92 objects come from the folder that BLTVS_DATA names, or are fetched.
"""

# %%
# Record under lesions
# --------------------
# What is silenced delivers nothing, to the drive of one stream and to the gate of the other. A lesion can begin at a
# timestep.

import tempfile
from contextlib import nullcontext
from pathlib import Path

import matplotlib as mpl
import pandas as pd

import bltvs_neuro as bn
from bltvs_neuro.figures import PAGE, PALETTE, RC, new_figure
from bltvs_neuro.rsa import average_rdms, compare, noise_ceiling

LESIONS: dict[str, tuple[str, ...]] = {
    "intact": (),
    "no feedback": ("td:*",),
    "no lateral": ("lateral:*",),
    "neither": ("td:*", "lateral:*"),
    "no feedback from timestep 2": ("td:*@2:",),
}

model = bn.load_model("shapes")
stimuli = bn.StimulusSet.from_mat92()
scratch = tempfile.TemporaryDirectory()
rdms = {}
for name, targets in LESIONS.items():
    path = Path(scratch.name) / f"{name}.h5"
    with bn.lesion(model, *targets) if targets else nullcontext():
        bn.extract(model, stimuli, path, "V1:LOC/bu", reduce=bn.pool(4))
    with bn.open_store(path) as acts:
        rdms[name] = bn.compute_rdms(acts, metric="correlation")

# %%
# Compare
# -------
# With the intact model's RDM of the same site and timestep, and with human IT (mean over four subjects), by
# Spearman's correlation.

brain = average_rdms(bn.load_rdms("kriegeskorte92"))
rows = []
for name, lesioned in rdms.items():
    with_it = compare(lesioned, brain, "spearman").mean("rdm_b").values
    with_intact = compare(lesioned, rdms["intact"], "spearman").values
    known = list(rdms["intact"]["name"].values)
    for at, label in enumerate(lesioned["name"].values):
        rows.append((name, lesioned["area"].values[at], int(lesioned["timestep"].values[at]),
                     with_intact[at, known.index(label)], with_it[at]))  # fmt: skip
table = pd.DataFrame(rows, columns=["lesion", "area", "timestep", "with_intact", "with_it"])
last = table[table["timestep"] == table["timestep"].max()]
print(last.pivot(index="area", columns="lesion", values="with_intact").loc[list(dict.fromkeys(last["area"]))].round(3))

# %%
# Above: likeness to the intact model. Below: likeness to human IT, whose lower noise ceiling is far above a model
# that has only seen ten flat shapes.

mpl.rcParams.update(RC)
MARKERS = ("o", "s", "^", "D", "v")
areas = list(dict.fromkeys(table["area"]))
figure = new_figure(PAGE, 3.6)
axes = figure.subplots(2, len(areas), sharex=True, sharey="row")
for column, area in enumerate(areas):
    for at, (name, part) in enumerate(table[table["area"] == area].groupby("lesion", sort=False)):
        style = {"color": PALETTE[6] if name == "intact" else PALETTE[at - 1], "marker": MARKERS[at], "label": name}
        for row, value in enumerate(("with_intact", "with_it")):
            if row or name != "intact":
                axes[row][column].plot(part["timestep"], part[value], markersize=3, lw=1, **style)
    axes[0][column].set_title(area)
    axes[1][column].axhline(0, color="0.6", lw=0.6, zorder=0)
    axes[1][column].set_xticks(sorted(table["timestep"].unique()))
axes[0][0].set_ylabel("RDM correlation\nwith the intact model")
axes[1][0].set_ylabel("RDM correlation\nwith human IT")
axes[1][len(areas) // 2].set_xlabel("timestep")
figure.legend(*axes[1][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LESIONS))
lower = noise_ceiling(brain, "spearman").lower
figure.suptitle(f"shapes; bottom-up stream; Spearman; lower noise ceiling of human IT {lower:.2f}", fontsize=8)
