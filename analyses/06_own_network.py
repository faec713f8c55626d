"""
Your own network: wrapped, recorded, compared
=============================================

Any PyTorch network that maps images to logits can take the place of BLT_VS: name the layers that are its areas, and say
how a picture becomes its input. Everything after that is the same.
"""

# %%
# A network
# ---------
# Three convolutions, trained for some seconds on objects that the package draws. With a network of your own, skip this
# block.

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

import bltvs_neuro as bn
from bltvs_neuro.rsa import compare
from bltvs_neuro.rsa.figures.rdm import plot_rdms

torch.manual_seed(0)
SIZE = 32
transform = bn.Transform(SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
drawn = bn.StimulusSet.shapes(1000)
classes = sorted(set(drawn.metadata["category"]))
x = torch.stack([transform(drawn.load(i)) for i in range(len(drawn))])
y = torch.tensor([classes.index(name) for name in drawn.metadata["category"]])
network = nn.Sequential(
    nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, len(classes)),
)  # fmt: skip
optimiser = torch.optim.Adam(network.parameters(), 3e-3)
for _ in range(15):
    for batch in torch.randperm(len(x)).split(50):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(x[batch]), y[batch])
        loss.backward()
        optimiser.step()
print(f"loss {loss.item():.2f}")

# %%
# Wrap
# ----
# Layers are named as ``network.named_modules()`` does. A layer that does not exist, or a network that does not take such
# images, is an error. Its weights' sha256 goes into every store.

model = bn.wrap(network, ["1", "3", "5"], transform, "three convolutions")
print(model.areas)

# %%
# Record and decode
# -----------------
# New drawings, which training has not seen. A feed-forward network has one timestep.

stimuli = bn.StimulusSet.shapes(100)
scratch = tempfile.TemporaryDirectory()
acts = bn.open_store(bn.extract(model, stimuli, Path(scratch.name) / "own.h5", reduce=bn.pool(4)))
decoding = bn.decode(acts, "category", seed=0)
print(decoding.to_frame()[["site", "accuracy", "chance"]].round(2).to_string(index=False))

# %%
# Which area and timestep of BLT_VS has a geometry like that of its layers? Pearson's correlation of RDMs.

reference = bn.open_store(
    bn.extract(bn.load_model("shapes"), stimuli, Path(scratch.name) / "blt.h5", "V1:LOC/bu", reduce=bn.pool(4))
)
own, blt = bn.compute_rdms(acts), bn.compute_rdms(reference)
axes = plot_rdms(own)

# %%
# Best match of each layer:

likeness = compare(own, blt, "pearson").values  # (own layer, area and timestep)
for layer, row in zip(own["area"].values, likeness, strict=True):
    at = int(np.argmax(row))
    print(f"layer {layer}: {blt['name'].values[at]} at {row[at]:.2f}")
