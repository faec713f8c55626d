"""To rsatoolbox and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...errors import DataError, SpecError
from ...neural.align import rdm_stimulus_ids
from ...neural.labelled import check_rdms, make_rdms
from ...schema import RDM, STIMULUS_ID

METRIC_NAMES = {"squared euclidean": "sqeuclidean", "squared mahalanobis": "mahalanobis"}
"""rsatoolbox's names of measures that have another name here; the numbers are the same."""
ID_DESCRIPTORS = (STIMULUS_ID, "stimulus", "stimuli", "stim", "conds", "condition", "conditions", "index")


def to_rsatoolbox(rdms: xr.DataArray) -> Any:
    """Convert to ``rsatoolbox.rdm.RDMs``.

    Parameters
    ----------
    rdms : xarray.DataArray
        RDMs (rdm, pair).

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Ids as the pattern descriptor ``stimulus_id``, coordinates as rdm descriptors, text and numbers of ``attrs`` as
        descriptors.
    """
    from rsatoolbox.rdm import RDMs

    check_rdms(rdms, missing="keep")
    names = {new: old for old, new in METRIC_NAMES.items()}
    metric = str(rdms.attrs.get("metric", ""))
    plain = {k: v for k, v in rdms.attrs.items() if isinstance(v, str | int | float) and k != "metric"}
    return RDMs(
        np.array(rdms.values),
        dissimilarity_measure=names.get(metric, metric) or None,
        descriptors=plain,
        rdm_descriptors={str(c): rdms[c].values.tolist() for c in rdms.coords if rdms[c].dims == (RDM,)},
        pattern_descriptors={STIMULUS_ID: list(rdm_stimulus_ids(rdms))},
    )


def from_rsatoolbox(rdms: Any, *, stimulus_descriptor: str | None = None) -> xr.DataArray:
    """Convert from ``rsatoolbox.rdm.RDMs``.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
    stimulus_descriptor : str, optional
        Pattern descriptor that holds the stimulus ids. Default: the first of stimulus_id, stimulus, stimuli, stim, conds,
        condition, conditions and index that is there and unique.

    Returns
    -------
    xarray.DataArray
        RDMs (rdm, pair).

    Raises
    ------
    SpecError
        The object is no RDMs, or has no such descriptor.
    DataError
        The ids repeat.
    """
    if not (hasattr(rdms, "get_vectors") and hasattr(rdms, "pattern_descriptors")):
        raise SpecError(f"expected rsatoolbox.rdm.RDMs; got {type(rdms).__name__}")
    described = {str(k): [str(x) for x in np.asarray(v).tolist()] for k, v in rdms.pattern_descriptors.items()}
    if stimulus_descriptor is None:
        unique = [k for k in ID_DESCRIPTORS if k in described and len(set(described[k])) == len(described[k])]
        if not unique:
            raise DataError(f"no pattern descriptor holds unique stimulus ids; there are: {', '.join(described)}")
        stimulus_descriptor = unique[0]
    elif stimulus_descriptor not in described:
        raise SpecError(f"no pattern descriptor {stimulus_descriptor!r}; there are: {', '.join(described)}")
    measure = str(rdms.dissimilarity_measure or "unknown")
    coords = {
        str(k): np.asarray(v).tolist()
        for k, v in rdms.rdm_descriptors.items()
        if k != "index" and np.ndim(v) == 1 and len(v) == rdms.n_rdm
    }
    attrs = {str(k): v for k, v in (rdms.descriptors or {}).items() if isinstance(v, str | int | float)}
    return make_rdms(
        np.asarray(rdms.get_vectors(), dtype=np.float64).reshape(rdms.n_rdm, -1),
        described[stimulus_descriptor],
        metric=METRIC_NAMES.get(measure.lower(), measure),
        attrs={k: v for k, v in attrs.items() if k != "metric"},
        **coords,
    )


def as_rdms(rdms: Any) -> xr.DataArray:
    """``rdms`` as labelled RDMs: rsatoolbox objects are converted, labelled RDMs are checked and returned."""
    if not isinstance(rdms, xr.DataArray) and hasattr(rdms, "get_vectors"):
        return from_rsatoolbox(rdms)
    check_rdms(rdms, missing="keep")
    return rdms
