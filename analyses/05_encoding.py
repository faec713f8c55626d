"""
Encoding models: voxels from areas, streams and timesteps
=========================================================

Predict voxels from every site and timestep, and ask what a stream adds. The voxels are **simulated**: they follow a
known site of the model plus noise, so that you see what is found. ``10_simulated_voxels.py`` does so at length.
"""

# %%
# Voxels with a known source
# --------------------------
# 60 voxels follow V2/bu at timestep 0, 60 follow LOC/td at timestep 3; half of their variance is noise.

import tempfile
from pathlib import Path

import numpy as np

import bltvs_neuro as bn

rng = np.random.default_rng(0)
scratch = tempfile.TemporaryDirectory()
path = bn.extract(
    bn.load_model("shapes"), bn.StimulusSet.shapes(200), Path(scratch.name) / "acts.h5", "V1:LOC", reduce=bn.pool(4)
)
acts = bn.open_store(path)


def simulate(site: str, timestep: int, voxels: int = 60) -> np.ndarray:
    """Random mixtures of the leading principal components of a site, plus as much noise; (stimulus, voxel)."""
    x = acts.at(site, timestep).values.reshape(len(acts.stimulus_ids), -1)
    u, _, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    signal = u[:, :8] @ rng.standard_normal((8, voxels))
    return signal / signal.std(axis=0) + rng.standard_normal(signal.shape)


sources = [("V2/bu", 0), ("LOC/td", 3)]
responses = bn.make_responses(
    np.concatenate([simulate(*source) for source in sources], axis=1).astype(np.float32),
    acts.stimulus_ids,
    neuroid_coords={
        "roi": [f"follows {site}@{timestep}" for site, timestep in sources for _ in range(60)],
        "subject": "simulated",
    },
    attrs={"simulated": "known sites plus noise"},
)

# %%
# Fit
# ---
# Ridge regression, cross-validated over stimuli; alpha is chosen for each voxel within the training stimuli.

fit = bn.fit_encoding(acts, responses, cv=bn.Folds(5))
best = fit.best("r2")
for roi in dict.fromkeys(best["roi"].values):
    here = best["roi"].values == roi
    mean = fit["r2"].values[:, here].mean(axis=1)
    print(f"{roi}: {fit['name'].values[mean.argmax()]} has the best mean R2, {mean.max():.3f}")

# %%
# Scores over timesteps of the voxels that follow LOC/td (mean over voxels, interquartile range): neighbouring sites and
# timesteps are nearly as good.

from bltvs_neuro.encoding.outputs.scores import plot_scores  # noqa: E402

axes = plot_scores(fit, "r2", neuroids=np.flatnonzero(best["roi"].values == "follows LOC/td@3"))

# %%
# What does a stream add?
# -----------------------
# Unique variance of the streams of LOC at timestep 3, beyond what a stream that adds nothing would show. These voxels
# follow ``td``.

loc = responses.isel(neuroid=responses["roi"].values == "follows LOC/td@3")
shares = bn.partition_encoding(acts, loc, sites=bn.Select("LOC", timesteps=3), run=bn.Run(seed=0), over="stream")
print(shares.unique().round(4).to_string(index=False))

# %%
acts.close()
