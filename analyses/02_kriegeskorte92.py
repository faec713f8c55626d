"""
Which area, stream and timestep is most like human IT? The 92 objects
=====================================================================

Representational similarity analysis with the RDMs of four subjects of Kriegeskorte et al. (2008,
doi:10.1016/j.neuron.2008.10.043). The data come from the folder that BLTVS_DATA names, or are fetched.
"""

# %%
# The brain
# ---------
# Two sessions of four subjects. The noise ceiling is that of the published data.

import tempfile
from pathlib import Path

import numpy as np

import bltvs_neuro as bn
from bltvs_neuro.neural import make_rdms, rdm_stimulus_ids
from bltvs_neuro.rsa import average_rdms, noise_ceiling, session_reliability
from bltvs_neuro.rsa.figures.rdm import plot_rdms

brain = bn.load_rdms("kriegeskorte92")
ceiling = noise_ceiling(average_rdms(brain), "pearson")
print(f"noise ceiling {ceiling.lower:.4f} to {ceiling.upper:.4f} (pearson)")
print(f"sessions of a subject agree by {session_reliability(brain).attrs['mean']:.4f}")

# %%
# The model
# ---------
# RDMs of every site and timestep. ``shapes`` stands in for a model of natural images: expect little.

model = bn.load_model("shapes")
scratch = tempfile.TemporaryDirectory()
path = bn.extract(model, bn.StimulusSet.from_mat92(), Path(scratch.name) / "acts.h5", "V1:LOC", reduce=bn.pool(4))
with bn.open_store(path) as acts:
    rdms = bn.compute_rdms(acts, metric="correlation")
    categories = dict(zip(acts.stimuli["stimulus_id"], acts.stimuli["category"], strict=True))

shown = (rdms["stream"] == "bu") & (rdms["timestep"] == 3) & rdms["area"].isin(["V1", "V4", "LOC"])
last = rdms.isel(rdm=np.flatnonzero(shown))
axes = plot_rdms(last, categories=categories)

# %%
# Both
# ----
# The score is a mean over subjects; intervals and tests hold for new stimuli and new subjects. Grey: the noise
# ceiling.

result = bn.compare_rdms(rdms, brain, similarity="corr_cov", inference=bn.Inference(bootstrap=1000), run=bn.Run(seed=0))
axes = result.plot_time_course()

# %%
# Area × timestep, for both streams.

axes = result.plot_matrix()

# %%
columns = ["model", "score", "ci_low", "ci_high", "p_zero_corrected", "p_below_ceiling_corrected", "best_share"]
print(result.to_frame().sort_values("score", ascending=False)[columns].head(10).to_string(index=False))

# %%
# For comparison
# --------------
# The model RDMs that come with the data, monkey IT among them, and the mean judgement of people. Models with ties
# need a similarity that is fair to them: rho-a.

models = bn.load_rdms("kriegeskorte92:models")
behaviour = average_rdms(bn.load_rdms("kriegeskorte92:behaviour"), over="subject")
reference = make_rdms(
    np.concatenate([models.values, behaviour.values]),
    rdm_stimulus_ids(models),
    metric="various",
    name=[*(str(name) for name in models["name"].values), "mean behaviour"],
)
compared = bn.compare_rdms(
    reference, brain, similarity="rho-a", inference=bn.Inference(bootstrap=0, variance="jackknife")
)
axes = compared.plot_models()
