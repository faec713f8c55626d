"""The 92 objects of Kriegeskorte et al. 2008: human IT, monkey IT, behaviour, model RDMs.

References
----------
Kriegeskorte et al. 2008, Neuron 60:1126-1141, doi:10.1016/j.neuron.2008.10.043
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import xarray as xr

from ...datasets import KRIEGESKORTE92_IDS, fetch
from ..labelled import make_rdms
from ..reading.files import load_arrays, provenance
from .rdm_struct import read_struct


def _human(names: Sequence[str]) -> dict[str, Any]:
    """Names are ``"hIT | BE | Session: 1"``."""
    parts = [[part.strip() for part in name.split("|")] for name in names]
    session = [int(part[2].removeprefix("Session:")) for part in parts]
    return {"subject": [part[1] for part in parts], "session": session, "roi": "IT"}


def _monkey(names: Sequence[str]) -> dict[str, Any]:
    """Of the first RDM, the others are human."""
    return {"subject": ["monkey"], "roi": "IT"}


def _behaviour(names: Sequence[str]) -> dict[str, Any]:
    return {"subject": [name.split("|")[1].strip() for name in names]}


def _models(names: Sequence[str]) -> dict[str, Any]:
    return {"name": list(names)}


def _read(file: str, variable: str, metric: str, label: Callable[[Sequence[str]], dict[str, Any]]) -> xr.DataArray:
    path = fetch(f"kriegeskorte92/{file}")
    rdms, names = read_struct(load_arrays(path, [variable])[variable], f"{file}: {variable}")
    attrs = {**provenance(path), "source": f"kriegeskorte92/{file}", "reader": "kriegeskorte92"}
    coords = label(names)
    rows = len(next(iter(coords.values())))
    return make_rdms(rdms[:rows], KRIEGESKORTE92_IDS, metric=metric, attrs=attrs, **coords)


_HUMAN = partial(_read, "92_brainRDMs.mat", "RDMs", "correlation", _human)
NAMED: dict[str, Callable[[], xr.DataArray]] = {
    "kriegeskorte92": _HUMAN,  # fMRI: subjects BE KO SN TI, sessions 1 and 2
    "kriegeskorte92:human": _HUMAN,
    # 674 neurons of two monkeys
    "kriegeskorte92:monkey": partial(
        _read, "Kriegeskorte_Neuron2008_supplementalData.mat", "RDMs_mIT_hIT_fig1", "correlation", _monkey
    ),
    # similarity judgements of 16 subjects (multiple arrangements)
    "kriegeskorte92:behaviour": partial(_read, "92_behavRDMs.mat", "rdms_behav_92", "judged dissimilarity", _behaviour),
    "kriegeskorte92:models": partial(_read, "92_modelRDMs.mat", "Models", "model", _models),  # eight
}
