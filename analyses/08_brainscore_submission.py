"""
A submission to Brain-Score: pack a model, check it offline
===========================================================

Needs the extra ``brainscore``, in an environment of its own. The commands ``bltvs brainscore package`` and
``bltvs brainscore check`` do the same.
"""

# %%
# A subject
# ---------
# A model becomes a subject of Brain-Score's experiments: regions are areas, milliseconds are timesteps, tasks are read
# from the logits. Its name holds a hash of every option that changes numbers, as Brain-Score keeps results by name.

import tempfile
from pathlib import Path

import bltvs_neuro as bn
from bltvs_neuro.brainscore import brain_model
from bltvs_neuro.brainscore.submission.check import check
from bltvs_neuro.brainscore.submission.package import Entry, package

subject = brain_model(bn.load_model("shapes"), timestep=3)
print(subject.identifier, subject.describe()["region_layer_map"])

# %%
# Pack
# ----
# The zip holds all files of the package that the plugin runs, the weights, and which layer stands for which region.

scratch = tempfile.TemporaryDirectory()
path = package(Path(scratch.name) / "submission.zip", [Entry("shapes", options={"timestep": 3})])
print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")

# %%
# Check
# -----
# What Brain-Score runs on a submission, offline, in a copy of the installed package.

findings = check(path)
for finding in findings:
    print("ok  " if finding.ok else "note" if finding.note else "FAIL", finding.what, finding.detail)
assert all(finding.ok or finding.note for finding in findings)
