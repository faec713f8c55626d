"""What to do about missing dissimilarities before a comparison with inference."""

from __future__ import annotations

import logging

import numpy as np
import xarray as xr

from ...errors import DataError, argument, listed, unknown
from ...neural.align import rdm_stimulus_ids, select_stimuli
from ...neural.condensed import condensed_to_square
from ..inference.options import Missing

log = logging.getLogger(__name__)


def drop_missing(models: xr.DataArray, brain: xr.DataArray, missing: Missing) -> tuple[xr.DataArray, xr.DataArray]:
    """Return RDMs without NaN, both with the same stimuli in the same order.

    Parameters
    ----------
    models, brain : xarray.DataArray
        Aligned RDMs.
    missing : {"raise", "drop"}
        Refuse NaN, or drop stimuli: first those without any dissimilarity in some RDM, then, as long as pairs are
        missing, the stimulus with most of them. Dropping is logged as a warning.

    Raises
    ------
    DataError
        NaN with ``"raise"``, or fewer than 3 stimuli would remain.
    """
    if missing not in ("raise", "drop"):
        raise unknown("missing", missing, ("raise", "drop"))
    gone = np.concatenate([np.isnan(models.values), np.isnan(brain.values)])
    if not gone.any():
        return models, brain
    ids = np.array(rdm_stimulus_ids(models))
    absent = condensed_to_square(gone.any(axis=0)).astype(bool)
    whole = (condensed_to_square(gone).sum(axis=1) == len(ids) - 1).any(axis=0)
    if missing == "raise":
        rows = [f"{what} RDM {i}" for what, r in (("model", models), ("neural", brain)) for i in _with_nan(r)]
        raise DataError(
            f"{int(gone.sum())} dissimilarities are missing (NaN) in {listed(rows)}; stimuli without any: "
            f"{listed(ids[whole]) or 'none'}. {argument('missing', 'drop')} drops the stimuli concerned"
        )
    keep = ~whole
    while keep.any() and absent[np.ix_(keep, keep)].any():
        counts = np.where(keep, absent[:, keep].sum(axis=1), -1)
        keep[int(np.argmax(counts))] = False
    if keep.sum() < 3:
        raise DataError(
            f"only {int(keep.sum())} of {len(ids)} stimuli have all their dissimilarities; at least 3 are needed"
        )
    log.warning(
        "%d of %d stimuli have missing dissimilarities and are dropped: %s", (~keep).sum(), len(ids), listed(ids[~keep])
    )
    return select_stimuli(models, ids[keep]), select_stimuli(brain, ids[keep])


def _with_nan(rdms: xr.DataArray) -> list[str]:
    rows = np.flatnonzero(np.isnan(rdms.values).any(axis=1))
    names = rdms["name"].values if "name" in rdms.coords else np.arange(len(rdms))
    return [str(names[i]) for i in rows]
