"""What the tests of whole fits share: two areas with streams, and responses made from one of them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bltvs_neuro.encoding import Ridge
from bltvs_neuro.encoding.fit import fit_encoding
from bltvs_neuro.encoding.result import EncodingResult
from bltvs_neuro.features.folds import Folds

from .reference import make_store, simulate_responses

GRID = np.logspace(-1, 5, 13)


@pytest.fixture(scope="session")
def acts() -> dict[str, xr.DataArray]:
    return make_store()


@pytest.fixture(scope="session")
def responses(acts) -> xr.DataArray:
    return simulate_responses(acts, [("V1/bu", 1), ("V4/td", 2), None])


@pytest.fixture(scope="session")
def result(acts, responses) -> EncodingResult:
    return fit_encoding(acts, responses, solver=Ridge(on_edge="ignore"), cv=Folds(4), n_permutations=500)
