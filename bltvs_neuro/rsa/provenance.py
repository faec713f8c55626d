"""What a result was made from."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import xarray as xr

from ..neural.align import rdm_stimulus_ids


def describe(rdms: xr.DataArray) -> dict[str, Any]:
    """Describe RDMs: the sha256 of ids and values, the shape, and the attributes they came with (sources, their sha256)."""
    digest = hashlib.sha256()
    ids = rdm_stimulus_ids(rdms)
    digest.update("\n".join(ids).encode())
    digest.update(np.ascontiguousarray(rdms.values, dtype="<f8").tobytes())
    return {
        "values_sha256": digest.hexdigest(),
        "n_rdms": len(rdms),
        "n_stimuli": len(ids),
        "attrs": {str(k): v.tolist() if isinstance(v, np.ndarray) else v for k, v in rdms.attrs.items()},
    }
