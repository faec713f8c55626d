"""What is done with data after any reader: stimuli renamed or matched by name, subjects, sessions and regions chosen."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import numpy as np
import xarray as xr

from ..errors import DataError, SpecError, argument, listed, unknown
from ..schema import NEUROID, PAIR, PRESENTATION, RDM, STIMULUS_ID
from .align import rdm_stimulus_ids
from .matching import Match, propose
from .reader import same_label
from .reading.ids import given_ids
from .reading.labels import pair_coords, unique_ids
from .reading.rois import match_roi

log = logging.getLogger(__name__)


def narrow(array: xr.DataArray, common: dict[str, Any], done: set[str]) -> xr.DataArray:
    """Apply what the reader did not: renaming, and the choice of subjects, sessions and rois."""
    stimuli = common["stimuli"]
    if isinstance(stimuli, Mapping):
        array = _rename(array, stimuli)
    elif stimuli is not None and "stimuli" not in done:
        raise SpecError(
            f"these data carry their own stimulus ids ({listed(stimuli_of(array), most=3)}); to rename them pass a dict "
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


def _rename(array: xr.DataArray, names: Mapping[str, str]) -> xr.DataArray:
    have = stimuli_of(array)
    unused = [old for old in names if old not in set(have)]
    if unused:
        raise DataError(
            f"{argument('stimuli')} renames {listed(unused)}, which the file does not have; it has {listed(have)}"
        )
    return rename(array, names)


def match_stimuli(data: xr.DataArray, stimulus_ids: Iterable[str], *, match: Match = "stem") -> xr.DataArray:
    """Call the stimuli of neural data as a store calls them, where names differ only in how they are written.

    Parameters
    ----------
    data : xarray.DataArray
        RDMs or responses.
    stimulus_ids : iterable of str
        The names that are wanted, such as ``store.stimulus_ids``.
    match : {"stem"}
        Compare names without folder, ending of a picture, case and zeros before numbers. Folders count where they tell names
        apart.

    Returns
    -------
    xarray.DataArray
        The same data under other names; what has no counterpart keeps its own. ``attrs["matched"]`` says how many were
        renamed, the log says which.

    Raises
    ------
    DataError
        A name could be several.

    Examples
    --------
    >>> responses = bn.make_responses([[1.0], [2.0]], ["Cat", "dog_1"], neuroid_coords={"voxel": [0]})
    >>> match_stimuli(responses, ["pets/cat.png", "pets/dog_01.png"])["stimulus_id"].values.tolist()
    ['pets/cat.png', 'pets/dog_01.png']
    """
    if match not in get_args(Match):
        raise unknown("match", match, get_args(Match))
    have = stimuli_of(data)
    found = propose(have, stimulus_ids)
    if found.ambiguous:
        raise DataError(
            f"names do not tell which stimulus is which: {listed(found.ambiguous, 3)}; rename them by a dict or .json file "
            f"({argument('stimuli', 'NAMES')})"
        )
    if not found.names:
        return data
    log.info("matched by name: %s", listed((f"{old} is {new}" for old, new in found.names.items()), 20))
    renamed = rename(data, found.names)
    renamed.attrs["matched"] = f"{len(found.names)} of {len(have)} stimuli by {match}"
    return renamed


def rename(data: xr.DataArray, names: Mapping[str, str]) -> xr.DataArray:
    """Data whose stimuli have new names; DataError where two become one."""
    have = stimuli_of(data)
    new = unique_ids(names.get(old, old) for old in have)
    if PAIR in data.dims:
        return data.assign_coords({key: (PAIR, value) for key, value in pair_coords(new).items()})
    table = dict(zip(have, new, strict=True))
    ids = np.array([table[old] for old in data[STIMULUS_ID].values], dtype=object)
    return data.assign_coords({STIMULUS_ID: (PRESENTATION, ids)})


def stimuli_of(data: xr.DataArray) -> tuple[str, ...]:
    """The stimuli of RDMs, or of responses in the order of their first presentation."""
    return rdm_stimulus_ids(data) if PAIR in data.dims else tuple(dict.fromkeys(data[STIMULUS_ID].values.tolist()))
