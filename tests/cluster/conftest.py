from __future__ import annotations

import pytest
import torch

from bltvs_neuro import BLT_VS


@pytest.fixture(scope="session")
def client():
    """Two worker processes on this machine; Dask gives each one thread, also for BLAS."""
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),  # so that a dead worker is soon given up
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, protocol="tcp"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def model() -> BLT_VS:
    torch.manual_seed(0)
    return BLT_VS(timesteps=5, num_classes=7, image_size=128, width=0.25).eval()
