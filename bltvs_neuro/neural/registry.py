"""The readers of neural data: one table, and one way to choose among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from ..errors import DataError, SpecError, argument, listed, unknown
from ..leftovers import data_files
from ..paths import not_a_file
from . import netcdf
from .narrow import narrow
from .reader import Reader
from .readers import (
    algonauts2019,
    algonauts2023,
    bids,
    bold5000,
    brainscore_netcdf,
    glmsingle,
    kriegeskorte92,
    meadows,
    mne_epochs,
    nsd,
    rdm_array,
    rdm_struct,
    response_array,
    rsatoolbox_file,
    things_eeg2,
    things_fmri,
)
from .reading.array_kind import either
from .reading.files import describe
from .reading.options import convert

_MODULES = (
    rsatoolbox_file, meadows, rdm_struct, rdm_array, netcdf, algonauts2019, response_array, brainscore_netcdf, nsd,
    algonauts2023, things_fmri, things_eeg2, glmsingle, bold5000, bids, mne_epochs,
)  # fmt: skip
_ALL = [reader for module in _MODULES for reader in module.READERS]
RDM_READERS: dict[str, Reader] = {reader.name: reader for reader in _ALL if reader.kind == "rdms"}
"""Readers of RDMs by the name to give as ``format=``."""

RESPONSE_READERS: dict[str, Reader] = {reader.name: reader for reader in _ALL if reader.kind == "responses"}
"""Readers of responses by the name to give as ``format=``."""

NAMED_RDMS: dict[str, Callable[[], xr.DataArray]] = kriegeskorte92.NAMED


def recognise(path: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> list[Reader]:
    """Readers of either kind that fit a file or folder best; none if no reader knows it.

    ``options`` are those with which it is to be read; ``stimuli`` and ``key`` may tell what a file of plain arrays holds.
    """
    place = Path(path)
    if not place.exists():
        raise DataError(f"{place} does not exist; data sets known by name: {listed(NAMED_RDMS)}")
    format = (options or {}).get("format")
    return _best([reader for reader in _ALL if not isinstance(format, str) or format == reader.name], place, options)


def kind_of(
    path_or_name: str | os.PathLike[str], format: str | None = None, **options: Any
) -> Literal["rdms", "responses"]:
    """Whether a file, or a data set known by name, holds RDMs or responses.

    ``format`` and ``options`` are those of :func:`load_rdms`. DataError where no reader recognises the file, or readers of
    both kinds do.
    """
    both = {**RDM_READERS, **RESPONSE_READERS}
    if format is not None and format not in both:
        raise unknown("format", format, list(both))
    if format is None and is_named(path_or_name):
        return "rdms"
    fits = [r for r in _ALL if r.name == format] if format is not None else recognise(path_or_name, options)
    if len({reader.kind for reader in fits}) > 1:  # a name that both kinds have
        fits = _best(fits, Path(path_or_name), options)
    if len({reader.kind for reader in fits}) == 1:
        return fits[0].kind
    raise _undecided(Path(path_or_name), fits, both)


def is_named(path_or_name: str | os.PathLike[str]) -> bool:
    """Whether a text names a data set that is fetched by name."""
    families = {known.split(":")[0] for known in NAMED_RDMS}
    return isinstance(path_or_name, str) and path_or_name.split(":")[0] in families


def read_one(
    path: Path,
    readers: Mapping[str, Reader],
    format: str | None,
    common: dict[str, Any],
    options: dict[str, Any],
    named: Sequence[str],
) -> xr.DataArray:
    """What a reader makes of one file or folder; ``common`` are the options that all readers share."""
    if not path.exists() and not named and is_named(str(path)):
        raise DataError(f"{path} is a data set of RDMs, not responses: {_INSTEAD['responses']}")
    if not path.exists():
        sets = f"; data sets known by name: {listed(named)}" if named else ""
        raise DataError(f"{path} does not exist{sets}")
    if not path.is_dir() and (why := not_a_file(path)):
        raise DataError(why)
    known = {key: value for key, value in {**common, **options}.items() if value is not None}
    reader = _choose(path, readers, format, known)
    wrong = [option for option in options if option not in reader.options]
    if wrong:
        rest = [option for option in reader.options if option not in common]
        raise SpecError(f"{reader.name} has no option {listed(wrong)}; its options: {listed(rest) or 'none'}")
    # None is left out, so that a reader's own default holds
    taken = {key: value for key, value in common.items() if key in reader.options and value is not None}
    if isinstance(common["stimuli"], Mapping):
        taken.pop("stimuli", None)
    try:
        array = reader.read(path, **convert(reader.read, {**taken, **options}))
    except OSError as error:
        raise DataError(f"{path} is {describe(path)}; it cannot be read as {reader.name}: {error}") from error
    array.attrs.setdefault("reader", reader.name)
    return narrow(array, common, set(taken))


def _choose(path: Path, readers: Mapping[str, Reader], format: str | None, options: Mapping[str, Any]) -> Reader:
    if format is not None:
        if format in readers:
            return readers[format]
        kind = next(iter(readers.values())).kind
        other = RESPONSE_READERS if kind == "rdms" else RDM_READERS
        if format in other:
            raise SpecError(
                f"the format {format!r} reads {_WORDS[other[format].kind]}, not {_WORDS[kind]}: {_INSTEAD[kind]}"
            )
        raise unknown("format", format, list(readers))
    fits = _best(readers.values(), path, options)
    if len(fits) == 1:
        return fits[0]
    others = [] if fits else recognise(path, options)
    if others:
        kind = next(iter(readers.values())).kind
        as_array = next((argument("format", name) for name in _ARRAYS if name in readers), "")
        raise DataError(
            f"{path} holds {_WORDS[others[0].kind]}, not {_WORDS[kind]} ({describe(path)}): {_INSTEAD[kind]}"
            + (f"; {as_array} reads it as {_WORDS[kind]} all the same" if others[0].name in _ARRAYS else "")
        )
    raise _undecided(path, fits, readers)


_ARRAYS = ("rdm_array", "response_array")
_WORDS = {"rdms": "RDMs", "responses": "responses"}
_INSTEAD = {
    "rdms": "`bltvs rsa` computes RDMs of them (in Python, compute_rdms of load_responses)",
    "responses": "`bltvs rsa` compares RDMs (in Python, load_rdms reads them); encoding models need responses",
}


def _best(readers: Iterable[Reader], path: Path, options: Mapping[str, Any] | None) -> list[Reader]:
    """The readers that fit a file best."""
    scores = {reader: reader.match(path, options) for reader in readers}
    return [reader for reader, score in scores.items() if score == max(scores.values()) > 0]


def _undecided(path: Path, fits: Sequence[Reader], readers: Mapping[str, Reader]) -> DataError:
    if {reader.name for reader in fits} == set(_ARRAYS):
        return DataError(
            f"{path} is {describe(path)}: {either(path)}. Say which by {argument('format', 'rdm_array')} or "
            f"{argument('format', 'response_array')}, or give the list of stimuli ({argument('stimuli')})"
        )
    if not fits and (what := _instead(path)):
        return DataError(f"{path} is no neural data: {what}")
    names = listed(f"{reader.name} ({_WORDS[reader.kind]})" for reader in fits)
    why = f"{names} would all read it" if fits else "no reader recognises it"
    return DataError(
        f"{path} is {describe(path)}: {why}. Name one with {argument('format')} (`bltvs neural` says what "
        f"each reads). Readers: {listed(readers, 24)}"
    )


def _instead(path: Path) -> str:
    """What to do with pictures, and with a folder whose files are neural data of which none names a subject."""
    from ..stimuli.decode import IMAGE_FORMATS

    inside = data_files(path, recursive=True) if path.is_dir() else [path]
    if any(file.suffix.lower() in IMAGE_FORMATS for file in inside):
        return "it holds pictures, which `bltvs extract` takes"
    known = [file for file in data_files(path) if _best(_ALL, file, None)] if path.is_dir() else []
    if known:
        return (
            f"its files ({listed((file.name for file in known), 4)}) are read one by one: name one of them, or let the names of "
            "several tell whose they are, as sub-01_betas.npy does"
        )
    return ""
