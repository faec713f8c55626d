"""
Your own fMRI: from betas in NIfTI to a figure
==============================================

Betas with BIDS names, events and a mask of regions: what they hold, their geometry, and the site that predicts every
voxel. The commands ``bltvs neural``, ``bltvs rsa`` and ``bltvs encode`` do the same.
"""

# %%
# Stand-in for your data
# ----------------------
# Two runs of a subject who sees 60 pictures, **simulated**: voxels of region ``early`` follow V1/bu, those of ``late``
# follow LOC/td, and half of the variance is noise. With data of your own, skip this block.

import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from PIL import Image

import bltvs_neuro as bn

scratch = tempfile.TemporaryDirectory()
here = Path(scratch.name)
(here / "betas").mkdir()
model = bn.load_model("shapes")
drawn = bn.StimulusSet.shapes(60)
for i, category in enumerate(drawn.metadata["category"]):
    path = here / "stimuli" / category / f"{i:02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn.load(i)).save(path)

rng = np.random.default_rng(0)
truth = bn.open_store(
    bn.extract(model, bn.StimulusSet.from_folder(here / "stimuli"), here / "truth.h5", "V1:LOC", reduce=bn.pool(4))
)
ids = list(truth.stimulus_ids)
signals = []
for site, timestep in (("V1/bu", 0), ("LOC/td", 3)):
    x = truth.at(site, timestep).values.reshape(len(ids), -1)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    signal = (u[:, :10] * s[:10]) @ rng.standard_normal((10, 80))
    signals.append(signal / signal.std(axis=0))
signal = np.concatenate(signals, axis=1)  # (stimulus, voxel)
mask = np.zeros((8, 10, 6), np.int16)
mask.flat[100:260] = np.repeat([1, 2], 80)
affine = np.diag([3.0, 3.0, 3.0, 1.0])
nibabel.save(nibabel.Nifti1Image(mask, affine), here / "rois.nii.gz")
for run in (1, 2):
    order = rng.permutation(len(ids))
    volumes = np.zeros((*mask.shape, len(ids)), np.float32)
    volumes[mask > 0] = (signal[order] + rng.standard_normal(signal.shape)).T
    stem = here / "betas" / f"sub-01_task-objects_run-{run}"
    nibabel.save(nibabel.Nifti1Image(volumes, affine), f"{stem}_betas.nii.gz")
    events = pd.DataFrame({"onset": 4 * np.arange(len(ids)), "duration": 1, "trial_type": [ids[i] for i in order]})
    events.to_csv(f"{stem}_events.tsv", sep="\t", index=False)

# %%
# Read
# ----
# ``bltvs neural betas/ --option mask=rois.nii.gz`` says the same. Every presentation has the id of its stimulus, every
# voxel its place and region.

options = {"mask": here / "rois.nii.gz", "labels": {1: "early", 2: "late"}}
responses = bn.load_responses(here / "betas", **options)
print(responses.sizes, dict(zip(*np.unique(responses["roi"].values, return_counts=True), strict=True)))

# %%
# Record the model for the same pictures
# --------------------------------------
# Ids are the paths within the folder, as in the events; sets that differ are an error.

stimuli = bn.StimulusSet.from_folder(here / "stimuli")
acts = bn.open_store(bn.extract(model, stimuli, here / "acts.h5", "V1:LOC", reduce=bn.pool(4)))

# %%
# Geometry
# --------
# Crossnobis distances between runs are unbiased: noise of one run is not that of the other. One subject: intervals
# hold for new stimuli, not for new people.

from bltvs_neuro.rsa import brain_rdms  # noqa: E402

brain = brain_rdms(here / "betas", metric="crossnobis", folds="run", **options)
rdms = bn.compute_rdms(acts, metric="correlation")
result = bn.compare_rdms(rdms, brain, inference=bn.Inference(bootstrap=500), run=bn.Run(seed=0))
print(
    result.best()[["roi", "area", "stream", "timestep", "score", "ci_low", "ci_high"]].round(3).to_string(index=False)
)

# %%
axes = result.plot_time_course()

# %%
# Voxels
# ------
# Ridge regression for each site, timestep and voxel, cross-validated over stimuli; the noise ceiling comes from the
# repeats.

fit = bn.fit_encoding(acts, responses, ceiling="split_half", run=bn.Run(seed=0))
best = fit.best("r2")
table = best.to_dataframe().groupby(["roi", "area"]).size().unstack(fill_value=0)
print(table.to_string())

# %%
axes = fit.plot_best("r2")
