"""Neural RDMs from whatever holds them: RDMs as they are, or responses from which they are computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from ...errors import SpecError, argument
from ...neural import align_rdms, join_parts, kind_of, load_rdms, load_responses, subject_parts
from ...neural.concat import by_subject, with_subject
from ...neural.load import Paths
from ...neural.matching import OnMismatch
from ...schema import NEUROID, RDM
from .compute import compute_rdms
from .metrics import MetricName


def brain_rdms(
    path_or_name: Paths,
    /,
    *,
    format: str | None = None,
    metric: MetricName = "correlation",
    folds: str | None = None,
    on_mismatch: OnMismatch = "raise",
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> xr.DataArray:
    """Load neural RDMs, or load responses and compute one RDM per subject, roi and time.

    Parameters
    ----------
    path_or_name : str or path, or a sequence of these
        As for :func:`~bltvs_neuro.neural.load_rdms` and :func:`~bltvs_neuro.neural.load_responses`. Of several files, or a
        folder with a file for each subject, one set is made; the subjects are those of the data, else of the files' names.
    format : str, optional
        Name of a reader of either kind. Default: the one that recognises the file.
    metric, folds
        For responses: see :func:`~bltvs_neuro.rsa.compute_rdms`.
    on_mismatch : {"raise", "intersect"}
        Where the stimuli of several subjects differ: refuse, naming them, or keep the common ones.
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
    parts = subject_parts(path_or_name, **{"format": format, **more, **(options or {})})
    if not parts[0].alone:

        def one(path: Any, **given: Any) -> xr.DataArray:
            return brain_rdms(path, metric=metric, folds=folds, options=given)

        return join_parts(parts, one, on_mismatch)
    path, given = parts[0].path, parts[0].options
    if kind_of(path, **given) == "rdms":
        if folds is not None:
            raise SpecError(f"{argument('folds')} is for responses; these are RDMs already")
        return load_rdms(path, **{"missing": "keep", **given})
    given.pop("missing", None)
    responses = load_responses(path, **given)
    made = []
    for subject, part in by_subject(responses):
        by = [name for name in ("subject", "roi") if name in part.coords and part[name].dims == (NEUROID,)]
        own = compute_rdms(part, metric=metric, by=by, folds=folds).drop_vars("name")
        made.append(with_subject(own, subject or parts[0].subject))
    if len(made) > 1:  # the order of stimuli is that of each subject's presentations
        names = [str(own["subject"].values[0]) for own in made]
        made = list(align_rdms(*made, names=names, on_mismatch=on_mismatch))
    rdms = xr.concat(made, dim=RDM) if len(made) > 1 else made[0]
    rdms.attrs |= {key: responses.attrs[key] for key in ("source", "sha256", "reader") if key in responses.attrs}
    return rdms
