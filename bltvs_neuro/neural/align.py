"""Find the stimuli of RDMs by id: read the ids back, select, reorder, bring several RDMs into one order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np
import xarray as xr

from ..errors import DataError, SpecError, counted, difference, listed, unknown
from ..schema import PAIR, RDM
from .condensed import condensed_to_square, n_from_pairs, pair_index
from .matching import OnMismatch, check_same_stimuli
from .reading.labels import pair_coords, unique_ids


def rdm_stimulus_ids(rdms: xr.DataArray) -> tuple[str, ...]:
    """Ids of the stimuli in the order of the rows; DataError where pairs were dropped or reordered by hand."""
    for name in ("stimulus_a", "stimulus_b"):
        if name not in rdms.coords or rdms[name].dims != (PAIR,):
            raise DataError(
                f"RDMs carry the ids of each pair as coordinates stimulus_a and stimulus_b; {name} is missing"
            )
    first, second = rdms["stimulus_a"].values, rdms["stimulus_b"].values
    n = n_from_pairs(len(first))
    ids = unique_ids([first[0], *second[: n - 1]])
    wanted = pair_coords(ids)
    if not (np.array_equal(wanted["stimulus_a"], first) and np.array_equal(wanted["stimulus_b"], second)):
        raise DataError("the pairs are not in condensed order: select and reorder stimuli with select_stimuli")
    return ids


def to_square(rdms: xr.DataArray) -> xr.DataArray:
    """RDMs as matrices (rdm, stimulus_a, stimulus_b) with the ids as index: ``.sel(stimulus_a="x", stimulus_b="y")``."""
    ids = list(rdm_stimulus_ids(rdms))
    square = condensed_to_square(rdms.transpose(RDM, PAIR).values)
    coords: dict[str, Any] = {str(name): c for name, c in rdms.coords.items() if c.dims in ((), (RDM,))}
    coords |= {"stimulus_a": ids, "stimulus_b": ids}
    dims = (RDM, "stimulus_a", "stimulus_b")
    return xr.DataArray(square, dims=dims, coords=coords, name=rdms.name, attrs=dict(rdms.attrs))


def select_stimuli(rdms: xr.DataArray, ids: Iterable[str]) -> xr.DataArray:
    """The RDMs of some stimuli, in the order of ``ids``; DataError for an id that repeats or is not in the RDMs."""
    have, want = rdm_stimulus_ids(rdms), unique_ids(ids)
    position = {stimulus: i for i, stimulus in enumerate(have)}
    if not set(want) <= set(position):
        raise DataError(difference("stimuli", want, [i for i in want if i in position], "the selection", "the RDMs"))
    if len(want) < 2:
        raise DataError(f"an RDM needs at least 2 stimuli; {len(want)} selected")
    if want == have:
        return rdms
    place = np.array([position[stimulus] for stimulus in want])
    row, column = np.triu_indices(len(want), 1)
    chosen = rdms.isel({PAIR: pair_index(place[row], place[column], len(have))})
    return chosen.assign_coords({name: (PAIR, value) for name, value in pair_coords(want).items()})


def align_rdms(
    *rdms: xr.DataArray, on_mismatch: OnMismatch = "raise", names: Sequence[str] | None = None
) -> tuple[xr.DataArray, ...]:
    """Bring RDMs into the stimulus order of the first.

    Parameters
    ----------
    *rdms : xarray.DataArray
        RDMs (rdm, pair).
    on_mismatch : "raise" or "intersect"
        What to do when the sets of stimuli differ: refuse, naming the difference, or keep the common stimuli.
    names : sequence of str, optional
        What each argument is, for the error message ("the model", "the neural data").

    Returns
    -------
    tuple of xarray.DataArray
        One per argument, pair for pair comparable.

    Raises
    ------
    DataError
        The sets differ, or fewer than 3 stimuli are common.
    """
    if on_mismatch not in get_args(OnMismatch):
        raise unknown("on_mismatch", on_mismatch, get_args(OnMismatch))
    if not rdms:
        return ()
    labels = list(names) if names is not None else [f"RDMs {i + 1}" for i in range(len(rdms))]
    if len(labels) != len(rdms):
        raise SpecError(f"{len(rdms)} sets of RDMs but {len(labels)} names")
    sets = [rdm_stimulus_ids(r) for r in rdms]
    order = sets[0]
    for label, other in zip(labels[1:], sets[1:], strict=True):
        check_same_stimuli(sets[0], other, labels[0], label, on_mismatch)
        common = set(other)
        order = tuple(stimulus for stimulus in order if stimulus in common)
    if len(order) < 3:
        raise DataError(
            f"only {counted(len(order), 'stimuli', 'are')} common to {listed(labels)}; a comparison needs at least 3"
        )
    return tuple(select_stimuli(r, order) for r in rdms)
