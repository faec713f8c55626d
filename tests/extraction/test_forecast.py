"""What --plan says against what an extraction then takes."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import bltvs_neuro as bn
from bltvs_neuro.errors import StimulusError
from bltvs_neuro.extraction.forecast import Forecast, forecast
from bltvs_neuro.extraction.projection import project
from bltvs_neuro.extraction.reduce import Reduction, mean, pool
from bltvs_neuro.extraction.sites import select_states
from tests.running import bltvs as run_bltvs

AREAS = "V1:V2"


@pytest.fixture(scope="module")
def brick(tmp_path_factory) -> Path:
    """73,000 small pictures, as many as NSD has."""
    path = tmp_path_factory.mktemp("brick") / "nsd_stimuli.hdf5"
    values = np.zeros((73000, 16, 16, 3), np.uint8)
    values[36496:36520] = np.random.default_rng(0).integers(0, 255, (24, 16, 16, 3), np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", data=values, chunks=(1000, 16, 16, 3))
    return path


def test_a_run_of_73000_is_forecast_and_a_small_part_of_it_takes_its_share(model, brick, tmp_path):
    every = bn.StimulusSet.open(brick)
    states = select_states(model, AREAS)
    reductions = [Reduction(), pool(2), project(64), mean()]

    def foretell() -> dict[str, Forecast]:
        return {f.reduction: f for f in forecast(model, every, states, reductions, tmp_path / "nsd.h5", 8)}

    found = foretell()
    assert list(found) == ["full", "pool:2", "project:64", "mean"]
    some = every.subset([every.ids[row] for row in range(36496, 36520)])
    for reduction in (pool(2), project(64), Reduction()):
        shares = []
        # wall times: the order of magnitude is what a test can hold to, and on a busy machine not at the first go
        while len(shares) < 4 and not (shares and 0.2 < shares[-1] < 5):
            one = (foretell() if shares else found)[reduction.name]
            start = time.monotonic()
            path = bn.extract(model, some, tmp_path / "acts.h5", AREAS, reduce=reduction)
            seconds = time.monotonic() - start
            with bn.open_store(path) as store:
                nbytes = sum(store[site].nbytes for site in store)
            assert nbytes * 73000 == one.store_bytes * len(some)
            shares.append(seconds / len(some) * 73000 / one.seconds)
            path.unlink()
        assert 0.2 < shares[-1] < 5, shares
    assert found["full"].disk_bytes == 2 * found["full"].store_bytes
    assert not found["full"].fits and found["full"].memory_bytes > found["mean"].memory_bytes
    assert not list(tmp_path.glob(".bltvs-plan-*"))


def test_pictures_that_cannot_be_read_are_an_error(model, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"nothing")
    stimuli = bn.StimulusSet.open(tmp_path / "pictures")
    states = select_states(model, AREAS)
    with pytest.raises(StimulusError, match=r"none of the stimuli that were tried can be read: .*a\.png"):
        forecast(model, stimuli, states, [mean()], tmp_path / "x.h5", 8)


def test_the_command_shows_every_reduction(brick, tmp_path):
    command = ["extract", str(brick), "-o", str(tmp_path / "nsd.h5"), "--weights", "untrained", "--image-size", "128"]
    done = run_bltvs(*command, "--areas", "V1", "--timesteps", "0:3", "--reduce", "pool:2", "--plan")
    assert done.exit_code == 0, done.output
    for text in ("73000 images", "pool:2 *", "full", "project:2048", "mean", "hours", "memory"):
        assert text in done.output
    assert list(tmp_path.iterdir()) == []
