"""Load neural data: one table of readers, one way to choose among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from ..errors import DataError, SpecError, listed, unknown
from ..paths import not_a_file
from ..schema import NEUROID, PAIR, PRESENTATION, RDM, STIMULUS_ID
from . import (
    algonauts2019,
    algonauts2023,
    array_rdms,
    array_responses,
    bids,
    bold5000,
    brainscore_netcdf,
    glmsingle,
    kriegeskorte92,
    meadows,
    mne_epochs,
    netcdf,
    nsd,
    rdm_struct,
    rsatoolbox_file,
    things_eeg2,
    things_fmri,
)
from .files import describe
from .ids import given_ids
from .labelled import Missing, check_rdms, check_responses, pair_coords, rdm_stimulus_ids, unique_ids
from .reader import Reader
from .rois import match_roi

_ALL = (
    *rsatoolbox_file.READERS,
    *meadows.READERS,
    *rdm_struct.READERS,
    *array_rdms.READERS,
    *netcdf.READERS,
    *algonauts2019.READERS,
    *array_responses.READERS,
    *brainscore_netcdf.READERS,
    *nsd.READERS,
    *algonauts2023.READERS,
    *things_fmri.READERS,
    *things_eeg2.READERS,
    *glmsingle.READERS,
    *bold5000.READERS,
    *bids.READERS,
    *mne_epochs.READERS,
)
RDM_READERS: dict[str, Reader] = {reader.name: reader for reader in _ALL if reader.kind == "rdms"}
"""Readers of RDMs by the name to give as ``format=``."""

RESPONSE_READERS: dict[str, Reader] = {reader.name: reader for reader in _ALL if reader.kind == "responses"}
"""Readers of responses by the name to give as ``format=``."""

NAMED_RDMS: dict[str, Callable[[], xr.DataArray]] = kriegeskorte92.NAMED
"""Data sets that are fetched by name."""


def load_rdms(
    path_or_name: str | os.PathLike[str],
    *,
    format: str | None = None,
    stimuli: Sequence[str] | Mapping[str, str] | str | os.PathLike[str] | None = None,
    subject: str | Sequence[str] | None = None,
    session: str | int | Sequence[str | int] | None = None,
    roi: str | Sequence[str] | None = None,
    missing: Missing = "raise",
    allow_pickle: bool = False,
    **options: Any,
) -> xr.DataArray:
    """Load RDMs.

    Parameters
    ----------
    path_or_name : str or path
        A file or folder, or, as a str, the name of a data set, which goes before a path of the same name:
        ``"kriegeskorte92"`` (human IT), ``"kriegeskorte92:monkey"``, ``"kriegeskorte92:behaviour"``,
        ``"kriegeskorte92:models"``.
    format : str, optional
        Name of the reader (:data:`RDM_READERS`). Default: the one that recognises the file.
    stimuli : sequence of str, path or dict, optional
        Ids in the order of the file, or the path of a list of them, for files that hold none; a dict renames the ids
        of a file that has them.
    subject, session, roi : optional
        Keep only these. ``roi="V1"`` also means V1v and V1d.
    missing : "raise" or "keep"
        Whether NaN dissimilarities are an error (default) or kept as missing values.
    allow_pickle : bool
        Read formats that are pickles. They are restricted to plain arrays, but load them only from those you trust.
    **options
        Options of the format, see its reader.

    Returns
    -------
    xarray.DataArray
        (rdm, pair), float64, with ``source`` and ``sha256`` among its attributes.

    Raises
    ------
    DataError
        No reader or several recognise the file, or what it holds are no RDMs.
    SpecError
        An unknown format or option.
    """
    common = {"stimuli": stimuli, "subject": subject, "session": session, "roi": roi, "allow_pickle": allow_pickle}
    name = os.fspath(path_or_name)
    if format is None and is_named(path_or_name):
        if name not in NAMED_RDMS:
            raise unknown("data set", name, list(NAMED_RDMS))
        if options:
            raise SpecError(f"{name} has no option {listed(options)}; choose by subject=, session= or roi=")
        rdms = _narrow(NAMED_RDMS[name](), common, set())
    else:
        rdms = _load(Path(name), RDM_READERS, format, common, options, list(NAMED_RDMS))
    check_rdms(rdms, missing=missing)
    return rdms


def load_responses(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    stimuli: Sequence[str] | Mapping[str, str] | str | os.PathLike[str] | None = None,
    subject: str | Sequence[str] | None = None,
    session: str | int | Sequence[str | int] | None = None,
    roi: str | Sequence[str] | None = None,
    allow_pickle: bool = False,
    **options: Any,
) -> xr.DataArray:
    """Load responses.

    Parameters
    ----------
    path : str or path
        A file or folder.
    format : str, optional
        Name of the reader (:data:`RESPONSE_READERS`). Default: the one that recognises the file.
    stimuli : sequence of str, path or dict, optional
        The stimulus of each presentation in the order of the file, or the path of such a list, for files that hold
        none; a dict renames the ids of a file that has them.
    subject, session, roi : optional
        Keep only these. ``roi="V1"`` also means V1v and V1d.
    allow_pickle : bool
        Read formats that are pickles. They are restricted to plain arrays, but load them only from those you trust.
    **options
        Options of the format, see its reader.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid[, time]), with ``source`` and ``sha256`` among its attributes. NaN is kept.

    Raises
    ------
    DataError
        No reader or several recognise the file, or what it holds are no responses.
    SpecError
        An unknown format or option.
    """
    common = {"stimuli": stimuli, "subject": subject, "session": session, "roi": roi, "allow_pickle": allow_pickle}
    responses = _load(Path(path), RESPONSE_READERS, format, common, options, [])
    check_responses(responses)
    return responses


def recognise(path: str | os.PathLike[str]) -> list[Reader]:
    """Readers of either kind that fit a file or folder best; none if no reader knows it.

    Raises
    ------
    DataError
        There is no such file.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{place} does not exist; data sets known by name: {listed(NAMED_RDMS)}")
    scores = [reader.sniff(place) for reader in _ALL]
    return [reader for reader, score in zip(_ALL, scores, strict=True) if score == max(scores) > 0]


def kind_of(path_or_name: str | os.PathLike[str], format: str | None = None) -> Literal["rdms", "responses"]:
    """Whether a file, or a data set known by name, holds RDMs or responses.

    Raises
    ------
    DataError
        No reader recognises the file, or readers of both kinds do.
    SpecError
        An unknown format.
    """
    both = {**RDM_READERS, **RESPONSE_READERS}
    if format is not None and format not in both:
        raise unknown("format", format, list(both))
    if format is None and is_named(path_or_name):
        return "rdms"
    fits = [r for r in _ALL if r.name == format] if format is not None else recognise(path_or_name)
    if len({reader.kind for reader in fits}) > 1:  # a name that both kinds have
        scores = [reader.sniff(Path(path_or_name)) for reader in fits]
        fits = [reader for reader, score in zip(fits, scores, strict=True) if score == max(scores)]
    if len({reader.kind for reader in fits}) == 1:
        return fits[0].kind
    path = Path(path_or_name)
    names = listed(f"{reader.name} ({reader.kind})" for reader in fits)
    why = f"{names} would all read it" if fits else "no reader recognises it"
    raise DataError(f"{path} is {describe(path)}: {why}. Name one with format=. Readers:\n{readers_table(both)}")


def is_named(path_or_name: str | os.PathLike[str]) -> bool:
    """Whether a text names a data set that is fetched by name."""
    families = {known.split(":")[0] for known in NAMED_RDMS}
    return isinstance(path_or_name, str) and path_or_name.split(":")[0] in families


def readers_table(readers: Mapping[str, Reader]) -> str:
    """Names and descriptions, one a line."""
    return "\n".join(f"  {name}: {reader.description}" for name, reader in readers.items())


def _load(
    path: Path,
    readers: Mapping[str, Reader],
    format: str | None,
    common: dict[str, Any],
    options: dict[str, Any],
    named: Sequence[str],
) -> xr.DataArray:
    if not path.exists():
        sets = f"; data sets known by name: {listed(named)}" if named else ""
        raise DataError(f"{path} does not exist{sets}")
    if not path.is_dir() and (why := not_a_file(path)):
        raise DataError(why)
    reader = _choose(path, readers, format)
    wrong = [option for option in options if option not in reader.options]
    if wrong:
        rest = [option for option in reader.options if option not in common]
        raise SpecError(f"{reader.name} has no option {listed(wrong)}; its options: {listed(rest) or 'none'}")
    # None is left out, so that a reader's own default holds
    taken = {key: value for key, value in common.items() if key in reader.options and value is not None}
    if isinstance(common["stimuli"], Mapping):
        taken.pop("stimuli", None)
    try:
        array = reader.read(path, **taken, **options)
    except OSError as error:
        raise DataError(f"{path} is {describe(path)}; it cannot be read as {reader.name}: {error}") from error
    array.attrs.setdefault("reader", reader.name)
    return _narrow(array, common, set(taken))


def _choose(path: Path, readers: Mapping[str, Reader], format: str | None) -> Reader:
    if format is not None:
        if format not in readers:
            raise unknown("format", format, list(readers))
        return readers[format]
    scores = {name: reader.sniff(path) for name, reader in readers.items()}
    best = max(scores.values())
    fits = [name for name, score in scores.items() if score == best and score > 0]
    if len(fits) == 1:
        return readers[fits[0]]
    why = f"{listed(fits)} would all read it" if fits else "no reader recognises it"
    raise DataError(f"{path} is {describe(path)}: {why}. Name one with format=. Readers:\n{readers_table(readers)}")


def _narrow(array: xr.DataArray, common: dict[str, Any], done: set[str]) -> xr.DataArray:
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
    choices = [wanted] if isinstance(wanted, str | int | np.integer) else list(wanted)
    keep = np.zeros(len(have), dtype=bool)
    for choice in map(str, choices):
        match = match_roi if name == "roi" else _same
        hit = np.array([match(value, choice) for value in have], dtype=bool)
        if not hit.any():
            raise unknown(name, choice, list(dict.fromkeys(have)))
        keep |= hit
    return keep


def _same(value: str, choice: str) -> bool:
    """Equal as text or, since files write sessions as 01, as numbers."""
    return value == choice or (value.isdecimal() and choice.isdecimal() and int(value) == int(choice))


def _ids(array: xr.DataArray) -> tuple[str, ...]:
    return rdm_stimulus_ids(array) if PAIR in array.dims else tuple(dict.fromkeys(array[STIMULUS_ID].values))


def _rename(array: xr.DataArray, names: Mapping[str, str]) -> xr.DataArray:
    have = _ids(array)
    unused = [old for old in names if old not in set(have)]
    if unused:
        raise DataError(f"stimuli= renames {listed(unused)}, which the file does not have; it has {listed(have)}")
    new = unique_ids(names.get(old, old) for old in have)
    if PAIR in array.dims:
        return array.assign_coords({key: (PAIR, value) for key, value in pair_coords(new).items()})
    table = dict(zip(have, new, strict=True))
    ids = np.array([table[old] for old in array[STIMULUS_ID].values], dtype=object)
    return array.assign_coords({STIMULUS_ID: (PRESENTATION, ids)})
