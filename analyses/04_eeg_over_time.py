"""
EEG over time: which timestep of the model is the brain like, and when?
=======================================================================

Epochs of several subjects, a file each: the similarity of every timestep of the model with every time after stimulus
onset, with clusters, latencies, and the electrodes that a site predicts. ``bltvs rsa`` and ``bltvs encode`` do the same.
"""

# %%
# Stand-in for your data
# ----------------------
# Four subjects with 20 electrodes, **simulated**: from 80 ms on they follow V1/bu, from 160 ms on LOC/td, with as much
# noise. With data of your own, skip this block.

import tempfile
from pathlib import Path

import mne
import numpy as np

import bltvs_neuro as bn

scratch = tempfile.TemporaryDirectory()
here = Path(scratch.name)
acts = bn.open_store(
    bn.extract(bn.load_model("shapes"), bn.StimulusSet.shapes(60), here / "acts.h5", "V1:LOC", reduce=bn.pool(4))
)
ids = list(acts.stimulus_ids)
times = np.arange(-0.08, 0.33, 0.04)  # seconds


def signal(site: str, timestep: int, rng: np.random.Generator) -> np.ndarray:
    """What 20 electrodes say of the leading principal components of a site; (stimulus, electrode)."""
    x = acts.at(site, timestep).values.reshape(len(ids), -1)
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    values = (u[:, :10] * s[:10]) @ rng.standard_normal((10, 20))
    return values / values.std(axis=0)


for subject in range(1, 5):
    rng = np.random.default_rng(subject)
    early, late = signal("V1/bu", 0, rng), signal("LOC/td", 3, rng)
    shown = rng.permutation(np.repeat(np.arange(len(ids)), 2))
    data = rng.standard_normal((len(shown), 20, len(times)))
    data[:, :, (times > 0.07) & (times < 0.15)] += early[shown][..., None]
    data[:, :, times > 0.15] += late[shown][..., None]
    info = mne.create_info([f"E{i}" for i in range(20)], 25.0, "eeg")
    events = np.c_[np.arange(len(shown)) * 20, np.zeros(len(shown), int), shown + 1]
    event_id = {name: i + 1 for i, name in enumerate(ids)}
    epochs = mne.EpochsArray(1e-6 * data, info, events, times[0], event_id, verbose="ERROR")
    epochs.save(here / f"sub-{subject:02d}-epo.fif", verbose="ERROR")

# %%
# Read
# ----
# A file for each subject; the names say whose it is. Names of events are the ids of the stimuli. One RDM for each
# subject and time.

from bltvs_neuro.rsa import brain_rdms, time_matrix  # noqa: E402

brain = brain_rdms(sorted(here.glob("sub-*-epo.fif")), metric="correlation")
print(brain.sizes, sorted(set(brain["subject"].values)))

# %%
# Compare
# -------
# The cluster test shuffles the stimuli's labels: a model that has nothing to do with what the subjects share is not
# significant. It is corrected over all sites, timesteps and times.

rdms = bn.compute_rdms(acts, metric="correlation")
matrix = time_matrix(rdms, brain, inference=bn.Inference(bootstrap=200, n_permutations=500), run=bn.Run(seed=0))
axes = matrix.plot()

# %%
# When does each site fit best? Intervals hold for new stimuli and new subjects.

columns = ["site", "latency", "ci_low", "ci_high", "peak"]
print(matrix.peaks()[columns].round(3).to_string(index=False))

# %%
# Electrodes
# ----------
# Encoding models predict every electrode at every time from a site and timestep; lines are means over electrodes.

responses = bn.load_responses(here / "sub-01-epo.fif")
fit = bn.fit_encoding(acts, responses, sites=["V1/bu", "LOC/td"], run=bn.Run(seed=0))
axes = fit.plot_scores("r2")

# %%
acts.close()
