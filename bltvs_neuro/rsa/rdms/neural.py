"""Neural RDMs from whatever holds them: RDMs as they are, or responses from which they are computed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from ...errors import DataError, SpecError, argument, listed
from ...neural import align_rdms, kind_of, load_rdms, load_responses
from ...schema import NEUROID, PRESENTATION, RDM
from .compute import compute_rdms
from .metrics import MetricName
from .subjects import join_subjects


def brain_rdms(
    path_or_name: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
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
    path_or_name : str or path, or a sequence of these
        As for :func:`~bltvs_neuro.neural.load_rdms` and :func:`~bltvs_neuro.neural.load_responses`. Of several files, a
        subject each, one set is made; the subjects are those of the data, else of the files' names.
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
    if not isinstance(path_or_name, str | os.PathLike):
        names = [os.fspath(one) for one in path_or_name]
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise DataError(f"{listed(twice)} is given twice: each file holds one subject, or more")
        shared: dict[str, Any] = {"format": format, "metric": metric, "folds": folds, "options": options, **more}
        every = {name: brain_rdms(name, **shared) for name in names}
        return join_subjects(every) if len(every) > 1 else every[names[0]]
    given = {key: value for key, value in {"format": format, **more, **(options or {})}.items() if value is not None}
    if kind_of(path_or_name, **given) == "rdms":
        if folds is not None:
            raise SpecError(f"{argument('folds')} is for responses; these are RDMs already")
        return load_rdms(path_or_name, **{"missing": "keep", **given})
    given.pop("missing", None)
    responses = load_responses(path_or_name, **given)
    parts = []
    for subject, part in _by_subject(responses):
        by = [name for name in ("subject", "roi") if name in part.coords and part[name].dims == (NEUROID,)]
        made = compute_rdms(part, metric=metric, by=by, folds=folds).drop_vars("name")
        parts.append(made if "subject" in by else made.assign_coords(subject=(RDM, [subject] * len(made))))
    if len(parts) > 1:  # the order of stimuli is that of each subject's presentations
        parts = list(align_rdms(*parts, names=[str(part["subject"].values[0]) for part in parts]))
    rdms = xr.concat(parts, dim=RDM) if len(parts) > 1 else parts[0]
    rdms.attrs |= {key: responses.attrs[key] for key in ("source", "sha256", "reader") if key in responses.attrs}
    return rdms


def _by_subject(responses: xr.DataArray) -> list[tuple[str, xr.DataArray]]:
    """The presentations of each subject, where rows are of several; subjects on neuroid stay together."""
    if "subject" not in responses.coords or responses["subject"].dims != (PRESENTATION,):
        return [("subject", responses)]
    shown = responses["subject"].values.astype(str)
    return [(name, responses.isel({PRESENTATION: shown == name}).drop_vars("subject")) for name in dict.fromkeys(shown)]
