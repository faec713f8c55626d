"""The 92 objects of Kriegeskorte et al. 2008: human IT, monkey IT, behaviour, model RDMs.

References
----------
Kriegeskorte et al. 2008, Neuron 60:1126-1141, doi:10.1016/j.neuron.2008.10.043
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ...datasets import KRIEGESKORTE92_IDS, fetch
from ..labelled import make_rdms
from ..reading.files import load_arrays, provenance
from .rdm_struct import read_struct


def human() -> xr.DataArray:
    """Human IT, fMRI: subjects BE KO SN TI, sessions 1 and 2, correlation distance; 8 RDMs."""
    rdms, names = _load("92_brainRDMs.mat", "RDMs")
    # names are "hIT | BE | Session: 1"
    parts = [[part.strip() for part in name.split("|")] for name in names]
    session = [int(part[2].removeprefix("Session:")) for part in parts]
    return _label(rdms, "92_brainRDMs.mat", "correlation", subject=[p[1] for p in parts], session=session, roi="IT")


def behaviour() -> xr.DataArray:
    """Similarity judgements of 16 subjects (multiple arrangements)."""
    rdms, names = _load("92_behavRDMs.mat", "rdms_behav_92")
    subject = [name.split("|")[1].strip() for name in names]
    return _label(rdms, "92_behavRDMs.mat", "judged dissimilarity", subject=subject)


def models() -> xr.DataArray:
    """Eight model RDMs, told apart by the coordinate ``name``."""
    rdms, names = _load("92_modelRDMs.mat", "Models")
    return _label(rdms, "92_modelRDMs.mat", "model", name=names)


def monkey() -> xr.DataArray:
    """Monkey IT, 674 neurons of two monkeys, correlation distance; 1 RDM."""
    file = "Kriegeskorte_Neuron2008_supplementalData.mat"
    rdms, _ = _load(file, "RDMs_mIT_hIT_fig1")
    return _label(rdms[:1], file, "correlation", subject="monkey", roi="IT")


NAMED: dict[str, Callable[[], xr.DataArray]] = {
    "kriegeskorte92": human,
    "kriegeskorte92:human": human,
    "kriegeskorte92:monkey": monkey,
    "kriegeskorte92:behaviour": behaviour,
    "kriegeskorte92:models": models,
}
"""What can be loaded by name."""


def _load(file: str, variable: str) -> tuple[np.ndarray, list[str]]:
    path = fetch(f"kriegeskorte92/{file}")
    return read_struct(load_arrays(path, [variable])[variable], f"{file}: {variable}")


def _label(rdms: np.ndarray, file: str, metric: str, **coords: Any) -> xr.DataArray:
    attrs = provenance(fetch(f"kriegeskorte92/{file}")) | {
        "source": f"kriegeskorte92/{file}",
        "reader": "kriegeskorte92",
    }
    return make_rdms(rdms, KRIEGESKORTE92_IDS, metric=metric, attrs=attrs, **coords)
