"""What is done with data after any reader: stimuli renamed, subjects, sessions and regions chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..errors import DataError, SpecError, argument, listed, unknown
from ..schema import NEUROID, PAIR, PRESENTATION, RDM, STIMULUS_ID
from .align import rdm_stimulus_ids
from .reader import same_label
from .reading.ids import given_ids
from .reading.labels import pair_coords, unique_ids
from .reading.rois import match_roi


def narrow(array: xr.DataArray, common: dict[str, Any], done: set[str]) -> xr.DataArray:
    """Apply what the reader did not: renaming, and the choice of subjects, sessions and rois."""
    stimuli = common["stimuli"]
    if isinstance(stimuli, Mapping):
        array = _rename(array, stimuli)
    elif stimuli is not None and "stimuli" not in done:
        raise SpecError(
            f"these data carry their own stimulus ids ({listed(_ids(array), most=3)}); to rename them pass a dict "
            f"{{id in the file: new id}}, not a list of {len(given_ids(stimuli) or [])}"
        )
    for name in ("subject", "session", "roi"):
        wanted = common.get(name)
        if wanted is None or name in done:
            continue
        if name not in array.coords or len(array[name].dims) != 1:
            have = [str(key) for key, c in array.coords.items() if c.dims in ((RDM,), (NEUROID,), (PRESENTATION,))]
            raise SpecError(f"these data have no {name} to choose by; their coordinates: {listed(have)}")
        have = [str(value) for value in array[name].values]
        keep = _matches(name, have, wanted)
        array = array.isel({array[name].dims[0]: np.flatnonzero(keep)})
    return array


def _matches(name: str, have: list[str], wanted: Any) -> np.ndarray:
    keep = np.zeros(len(have), dtype=bool)
    for choice in [wanted] if isinstance(wanted, str) else map(str, wanted):
        match = match_roi if name == "roi" else str.__eq__ if choice in have else same_label
        hit = np.array([match(value, choice) for value in have], dtype=bool)
        if not hit.any():
            raise unknown(name, choice, list(dict.fromkeys(have)))
        keep |= hit
    return keep


def _ids(array: xr.DataArray) -> tuple[str, ...]:
    return rdm_stimulus_ids(array) if PAIR in array.dims else tuple(dict.fromkeys(array[STIMULUS_ID].values))


def _rename(array: xr.DataArray, names: Mapping[str, str]) -> xr.DataArray:
    have = _ids(array)
    unused = [old for old in names if old not in set(have)]
    if unused:
        raise DataError(
            f"{argument('stimuli')} renames {listed(unused)}, which the file does not have; it has {listed(have)}"
        )
    new = unique_ids(names.get(old, old) for old in have)
    if PAIR in array.dims:
        return array.assign_coords({key: (PAIR, value) for key, value in pair_coords(new).items()})
    table = dict(zip(have, new, strict=True))
    ids = np.array([table[old] for old in array[STIMULUS_ID].values], dtype=object)
    return array.assign_coords({STIMULUS_ID: (PRESENTATION, ids)})
