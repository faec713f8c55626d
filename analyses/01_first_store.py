"""
A first store: what a recurrent model tells of a picture over time
==================================================================

Record a model, look at its activity over time, and decode what was shown from every area, stream and timestep.
"""

# %%
# Record
# ------
# A model comes with its schedule and transform. Stimuli have ids and labels; here they are drawn by the package.
# ``StimulusSet.from_folder`` takes a folder of images.

import tempfile
from pathlib import Path

import bltvs_neuro as bn
from bltvs_neuro.extraction.plot import activation_over_time, plot_activation

model = bn.load_model("shapes")
stimuli = bn.StimulusSet.shapes(100)
scratch = tempfile.TemporaryDirectory()  # a folder of your own, to keep the store
path = Path(scratch.name) / "acts.h5"
bn.extract(model, stimuli, path, "V1:LOC", reduce=bn.pool(4))

# %%
# Look
# ----
# The store is read when it is used. A site is an area and stream; its array has labels.

acts = bn.open_store(path)
print(acts["V4/td"])

# %%
# Left: mean absolute activation, with the range of 95 % of the stimuli. Right: how far a pattern moves from one
# timestep to the next, relative to its norm.

axes = plot_activation(activation_over_time(acts), "model shapes, 100 drawn objects", len(stimuli))

# %%
# Decode
# ------
# A cross-validated linear classifier for every site and timestep. There are ten categories, so chance is 0.1.

decoding = bn.decode(acts, "category", seed=0)
axes = decoding.plot_time_course()

# %%
# Classifiers that are trained at one timestep (rows) and tested at every other (columns) say how far the code changes
# over time.

axes = decoding.plot_generalisation()

# %%
acts.close()
