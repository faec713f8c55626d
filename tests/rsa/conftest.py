from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import xarray as xr

from bltvs_neuro.datasets import KRIEGESKORTE92_IDS
from bltvs_neuro.neural.labelled import make_rdms

DATA = Path(os.environ.get("BLTVS_DATA", Path(__file__).parents[2] / "../shared/data")) / "kriegeskorte92"


def _mat(name: str):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} of the 92 objects is not there; set BLTVS_DATA")
    return scipy.io.loadmat(path, squeeze_me=False)


@pytest.fixture(scope="session")
def human_it() -> xr.DataArray:
    structs = _mat("92_brainRDMs.mat")["RDMs"]
    square = np.stack(
        [structs[s, k]["RDM"] if structs.ndim == 2 else structs[0, s, k]["RDM"] for s in range(4) for k in range(2)]
    )
    subjects = np.repeat(["BE", "KO", "SN", "TI"], 2)
    return make_rdms(square, KRIEGESKORTE92_IDS, metric="correlation", subject=subjects, session=[1, 2] * 4, roi="IT")


@pytest.fixture(scope="session")
def models92() -> xr.DataArray:
    models = _mat("92_modelRDMs.mat")["Models"].ravel()
    return make_rdms(
        np.stack([m["RDM"] for m in models]),
        KRIEGESKORTE92_IDS,
        metric="various",
        name=[str(m["name"].item()) for m in models],
    )


@pytest.fixture(scope="session")
def behaviour92() -> xr.DataArray:
    rdms = _mat("92_behavRDMs.mat")["rdms_behav_92"].ravel()
    return make_rdms(
        np.stack([r["RDM"] for r in rdms]),
        KRIEGESKORTE92_IDS,
        metric="behaviour",
        subject=[f"B{i}" for i in range(len(rdms))],
    )


@pytest.fixture(scope="session")
def monkey_it() -> xr.DataArray:
    pair = _mat("Kriegeskorte_Neuron2008_supplementalData.mat")["RDMs_mIT_hIT_fig1"].ravel()
    return make_rdms(pair[0]["RDM"].ravel(), KRIEGESKORTE92_IDS, metric="correlation", name="monkey IT")
