"""Neural RDMs from whatever holds them: RDMs as they are, or responses from which they are computed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import xarray as xr

from ..errors import SpecError
from ..neural import kind_of, load_rdms, load_responses
from .metrics import METRICS, MetricName
from .rdm import compute_rdms


def brain_rdms(
    path_or_name: str | os.PathLike[str],
    /,
    *,
    format: str | None = None,
    metric: MetricName = "correlation",
    folds: str | None = None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> xr.DataArray:
    """Load neural RDMs, or load responses and compute one RDM per subject, roi and time.

    Parameters
    ----------
    path_or_name : str or path
        As for :func:`~bltvs_neuro.neural.load_rdms` and :func:`~bltvs_neuro.neural.load_responses`.
    format : str, optional
        Name of a reader of either kind. Default: the one that recognises the file.
    metric, folds
        For responses: see :func:`~bltvs_neuro.rsa.compute_rdms`.
    options : mapping, optional
        More for the reader, whose options may be called as those of this function.
    **more
        For the reader: ``stimuli``, ``subject``, ``session``, ``roi``, ``allow_pickle``, and the options of the format.

    Returns
    -------
    xarray.DataArray
        RDMs (rdm, pair) with ``source`` and ``sha256`` among their attributes.

    Raises
    ------
    DataError
        Readers of both kinds, or none, recognise the file.
    SpecError
        ``folds`` for RDMs, or an option that the reader does not have.
    """
    given = {key: value for key, value in {"format": format, **more, **(options or {})}.items() if value is not None}
    if kind_of(path_or_name, given.get("format")) == "rdms":
        if folds is not None:
            raise SpecError("folds are for responses; these are RDMs already")
        return load_rdms(path_or_name, **{"missing": "keep", **given})
    given.pop("missing", None)
    responses = load_responses(path_or_name, **given)
    by = [name for name in ("subject", "roi") if name in responses.coords and responses[name].dims == ("neuroid",)]
    crossed = METRICS[metric].crossvalidated == "yes"
    rdms = compute_rdms(responses, metric=metric, by=by, folds=folds if crossed else None)
    rdms = rdms.drop_vars("name")
    if not by and "subject" not in rdms.coords:
        rdms = rdms.assign_coords(subject=("rdm", ["subject"] * len(rdms)))
    rdms.attrs |= {key: responses.attrs[key] for key in ("source", "sha256", "reader") if key in responses.attrs}
    return rdms
