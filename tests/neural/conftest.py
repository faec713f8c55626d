from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def shared_data():
    folder = Path(os.environ.get("BLTVS_DATA", Path(__file__).parents[2] / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder} (set BLTVS_DATA)")
    return folder


@pytest.fixture
def objects92(shared_data, monkeypatch):
    if not (shared_data / "kriegeskorte92").is_dir():
        pytest.skip("the 92 objects are not among the test data")
    monkeypatch.setenv("BLTVS_DATA", str(shared_data))
    return shared_data / "kriegeskorte92"


def write_matlab73(path, **arrays):
    """A v7.3 .mat file: HDF5 behind a MATLAB header, axes reversed."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = np.asarray(array).T
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))
    return path


AFFINE = np.array([[-1.8, 0, 0, 70], [0, 1.8, 0, -90], [0, 0, 1.8, -50], [0, 0, 0, 1.0]])


def save_nifti(path, values, affine=AFFINE):
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def code(shape, trials, prime=32003):
    """Whole numbers that differ for every axis: (i, j, k, trial), within int16."""
    i, j, k, t = np.meshgrid(*(np.arange(n) for n in (*shape, trials)), indexing="ij")
    return ((i * 1009 + j * 211 + k * 17 + t * 37 + 5) % prime).astype(np.int16)


def coded(i, j, k, t, prime=32003):
    return (i * 1009 + j * 211 + k * 17 + t * 37 + 5) % prime


def random_rdms(n_rdm, n, seed=0):
    values = np.random.default_rng(seed).random((n_rdm, n, n))
    values = values + values.transpose(0, 2, 1)
    values[:, np.arange(n), np.arange(n)] = 0
    return values
