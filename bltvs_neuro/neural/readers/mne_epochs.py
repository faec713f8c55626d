"""MEG and EEG epochs in .fif files, through MNE-Python, which is an extra: ``bltvs_neuro[meg]``.

References
----------
Gramfort et al. 2013, Frontiers in Neuroscience 7:267, doi:10.3389/fnins.2013.00267
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import DataError, argument, counted, listed, unknown
from ...foreign.fif import check_fif
from ..labelled import make_responses
from ..reader import Match, Reader, choose_label
from ..reading.files import kind, provenance
from ..reading.ids import ID_KEYS, Stimuli, given_ids
from ..reading.labels import RESERVED, id_text

BLOCK = 500

Unlabelled = Literal["raise", "drop"]

UNITS = {
    "mag": "T", "ref_meg": "T", "grad": "T/m", "eeg": "V", "seeg": "V", "ecog": "V", "dbs": "V", "csd": "V/m²",
    "hbo": "M", "hbr": "M", "fnirs_cw_amplitude": "V", "fnirs_od": "V",
}  # fmt: skip
LOWER = ("run", "block", "session", "subject", "trial")
"""Columns of the metadata that are found in any case of letters."""


def sniff(path: Path) -> Match:
    """A .fif file."""
    return 2 if kind(path) == "fif" else 0


def read(
    path: Path,
    *,
    stimuli: Stimuli = None,
    picks: str | Sequence[str] | None = None,
    column: str | None = None,
    subject: str | None = None,
    unlabelled: Unlabelled = "raise",
) -> xr.DataArray:
    """Read ``*-epo.fif``, for example THINGS-MEG's ``preprocessed_P1-epo.fif``.

    Parameters
    ----------
    stimuli : sequence of str or path, optional
        The stimulus of each epoch.
    picks : str or sequence of str, optional
        Channels or channel types, as MNE reads them. Default: the good data channels, which must then share a unit; ``"data"``
        takes all of them, ``["mag", "grad"]`` both kinds of sensors.
    column : str, optional
        Column of the epochs' metadata that holds the stimulus ids. Default: stimulus_id, stimulus, ... where the metadata has
        one, else the name of each epoch's event.
    subject : str, optional
        Which subject to read, where the metadata have a column ``subject``; otherwise the name to give to the only one
        (default: P1 or sub-01 from the file's name).
    unlabelled : "raise" or "drop"
        What to do with epochs whose stimulus is missing in ``column``: refuse, or leave them out.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid, time), float32 in MNE's units (tesla, volt), time in seconds after the event; neuroid with
        electrode (the channel's name), channel_type, subject. Columns of the metadata (run, block, session, ...) become
        coordinates on presentation.
    """
    if unlabelled not in get_args(Unlabelled):
        raise unknown("unlabelled", unlabelled, get_args(Unlabelled))
    try:
        import mne
    except ImportError as error:
        raise DataError(f"{path} is a .fif file, which MNE-Python reads: pip install 'bltvs_neuro[meg]'") from error
    check_fif(path)
    try:
        epochs = mne.read_epochs(path, preload=False, verbose="ERROR")
    except Exception as error:  # MNE raises many types for damaged files; only these are words for its users
        why = error if isinstance(error, OSError | ValueError) else "it is damaged"
        raise DataError(f"{path} cannot be read as epochs: {why}") from error
    ids, column = _ids(epochs, stimuli, column, path)
    table, rows = _metadata(epochs, column), np.arange(len(epochs))
    if subject is not None and "subject" in table:
        subject = choose_label("subject", list(dict.fromkeys(table["subject"])), subject, path)
        rows = np.flatnonzero(table["subject"] == subject)
    gone = [int(row) for row in rows if ids[int(row)] is None]
    if gone and unlabelled == "raise":
        raise DataError(
            f"{path}: {len(gone)} of {len(rows)} epochs have no stimulus (epochs {listed(gone)}, from 0); "
            f"{argument('unlabelled', 'drop')} leaves them out"
        )
    rows = np.array([row for row in rows if ids[int(row)] is not None], dtype=np.intp)
    if not len(rows):
        raise DataError(f"{path} has no epochs with a stimulus")
    try:
        with mne.use_log_level("ERROR"):  # else it says on standard output that it loads
            values, first = _read(epochs, picks, rows)
    except Exception as error:  # unknown picks, truncated files
        raise DataError(f"{path}: picks {picks!r} cannot be read: {error}") from error
    types = list(first.get_channel_types())
    _check_units(types, picks, path)
    labels = {name: column_values[rows] for name, column_values in table.items()}
    neuroid: dict[str, Any] = {"electrode": list(first.ch_names), "channel_type": types}
    if len(set(labels.get("subject", []))) <= 1:  # otherwise it tells the presentations apart
        known = next(iter(labels.pop("subject", [])), "")
        match = re.search(r"(?:^|[_-])((?:sub-[A-Za-z0-9]+)|(?:P\d+))(?=[_\-.])", path.name)
        neuroid["subject"] = subject or known or (match[1] if match else None)
    units = {UNITS.get(kind, "") for kind in types}
    attrs = {**({"units": min(units)} if len(units) == 1 and "" not in units else {}), **provenance(path)}
    time = np.asarray(epochs.times, dtype=float)
    named = [str(ids[int(row)]) for row in rows]
    return make_responses(values, named, neuroid_coords=neuroid, time=time, attrs=attrs, **labels)


def _read(epochs: Any, picks: str | Sequence[str] | None, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], Any]:
    """Values of the epochs ``rows``, and a few epochs with the channels chosen. MNE works in double precision: in blocks."""
    values, first = np.empty((0, 0, 0), dtype=np.float32), None
    for start in range(0, len(rows), BLOCK):
        block = epochs[rows[start : start + BLOCK]].load_data()
        block = block.pick("data" if picks is None else picks, exclude="bads" if picks is None else ())
        part = block.get_data()
        if first is None:
            first, values = block, np.empty((len(rows), *part.shape[1:]), dtype=np.float32)
        values[start : start + len(part)] = part
    return values, first


def _check_units(types: list[str], picks: Any, path: Path) -> None:
    """Unless the channels were chosen, refuse those of several units: their values differ by powers of ten."""
    if picks is not None or len({UNITS.get(kind, kind) for kind in types}) < 2:
        return
    counts = [f"{types.count(kind)} {kind} in {UNITS.get(kind, 'a unit of its own')}" for kind in dict.fromkeys(types)]
    raise DataError(
        f"{path} has channels of several units ({listed(counts)}): choose with {argument('picks', types[0])}, or take all "
        f"of them with {argument('picks', 'data')}"
    )


def _ids(epochs: Any, stimuli: Stimuli, column: str | None, path: Path) -> tuple[Sequence[str | None], str | None]:
    """The stimulus of every epoch, None where the file has none, and the column that says so."""
    if (given := given_ids(stimuli, len(epochs), f"{path} has {counted(len(epochs), 'epochs')}")) is not None:
        return given, None
    table = epochs.metadata
    have = [] if table is None else [str(name) for name in table.columns]
    if column is None:
        column = next((key for key in ID_KEYS if key in have), None)
    elif column not in have:
        raise DataError(f"the metadata of {path} have no column {column!r}; they have {listed(have) or 'no columns'}")
    if column is not None:
        return [id_text(value) for value in table[column]], column
    names = {int(code): str(name) for name, code in epochs.event_id.items()}
    return [names.get(int(code), str(int(code))) for code in epochs.events[:, 2]], None


def _metadata(epochs: Any, ids: str | None) -> dict[str, NDArray[Any]]:
    """Columns of the metadata but ``ids`` as coordinates: numbers as they are, all else as text, missing text as ""."""
    found: dict[str, NDArray[Any]] = {}
    for column in () if epochs.metadata is None else epochs.metadata.columns.drop(ids or []):
        values = epochs.metadata[column].to_numpy()
        name = str(column).lower() if str(column).lower() in LOWER else str(column)
        name = re.sub(r"[^\w.-]", "_", f"metadata_{name}" if name in (*RESERVED, "electrode", "channel_type") else name)
        if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.round(values)).all():
            values = values.astype(np.int64)  # whole numbers are kept as floats in some files
        if values.dtype.kind not in "iufb" or name == "subject":
            values = np.array([id_text(value) or "" for value in values], dtype=object)
        while name in found:  # Run and run, a/b and a b
            name += "_"
        found[name] = values
    return found


READERS = (Reader("mne", "responses", "MNE epochs (.fif; needs bltvs_neuro[meg])", sniff, read),)
