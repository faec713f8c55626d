"""Files of several subjects become one set of RDMs."""

from __future__ import annotations

import numpy as np
import pytest

from bltvs_neuro.errors import DataError
from bltvs_neuro.neural import make_rdms, to_netcdf
from bltvs_neuro.rsa import brain_rdms, compute_rdms

IDS = [f"s{i}" for i in range(6)]


@pytest.fixture
def betas(tmp_path):
    """Three files of responses, the second in another order of stimuli."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 6, 5))
    for k, name in enumerate(("sub-01_betas", "sub-02_betas", "anna")):
        order = [3, 1, 5, 0, 4, 2] if k == 1 else range(6)
        np.save(tmp_path / f"{name}.npy", values[k][list(order)])
        (tmp_path / f"{name}.stimuli.txt").write_text("\n".join(IDS[i] for i in order))
    return values, [tmp_path / f"{name}.npy" for name in ("sub-01_betas", "sub-02_betas", "anna")]


def test_each_subject_keeps_its_numbers_in_one_order(betas):
    values, paths = betas
    rdms = brain_rdms(paths)
    assert rdms["subject"].values.tolist() == ["sub-01", "sub-02", "anna"]
    for k in range(3):
        own = compute_rdms(values[k], stimulus_ids=IDS)
        np.testing.assert_allclose(rdms.values[k], own.values[0], atol=1e-12)
    assert rdms["stimulus_a"].values[0] == "s0" and len(rdms.attrs["sha256"]) == 3


def test_what_does_not_belong_together_is_named(betas, tmp_path):
    _, paths = betas
    twin = tmp_path / "x" / "sub-01_betas.npy"
    twin.parent.mkdir()
    twin.write_bytes(paths[0].read_bytes())
    twin.with_name("sub-01_betas.stimuli.txt").write_text("\n".join(IDS))
    with pytest.raises(DataError, match=r"sub-01_betas\.npy.*both hold subject sub-01"):
        brain_rdms([paths[0], twin])
    other = to_netcdf(make_rdms(np.ones((1, 15)), IDS, metric="m", roi=["IT"]), tmp_path / "r.nc")
    with pytest.raises(DataError, match="do not both have roi"):
        brain_rdms([paths[0], other])
    np.save(tmp_path / "sub-03.npy", np.random.default_rng(1).standard_normal((5, 7)))
    (tmp_path / "sub-03.stimuli.txt").write_text("\n".join(IDS[:5]))
    with pytest.raises(DataError, match="s5"):
        brain_rdms([paths[0], tmp_path / "sub-03.npy"])
