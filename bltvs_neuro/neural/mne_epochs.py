"""MEG and EEG epochs in .fif files, through MNE-Python, which is an extra: ``bltvs_neuro[meg]``.

References
----------
Gramfort et al. 2013, Frontiers in Neuroscience 7:267, doi:10.3389/fnins.2013.00267
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import DataError, listed
from .files import kind, provenance
from .ids import ID_KEYS, Stimuli, given_ids
from .labelled import make_responses
from .reader import Match, Reader

BLOCK = 500
"""Epochs read at a time."""


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
) -> xr.DataArray:
    """Read epochs.

    Parameters
    ----------
    path : Path
        ``*-epo.fif``, for example THINGS-MEG's ``preprocessed_P1-epo.fif``.
    stimuli : sequence of str or path, optional
        The stimulus of each epoch.
    picks : str or sequence of str, optional
        Channels or channel types, as MNE reads them. Default: the good data channels.
    column : str, optional
        Column of the epochs' metadata that holds the stimulus ids. Default: stimulus_id, stimulus, ... where the
        metadata has one, else the name of each epoch's event.
    subject : str, optional
        Default: P1 or sub-01 from the file's name.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid, time), float32 in MNE's units (tesla, volt); neuroid with electrode (the channel's
        name), channel_type, subject. Times are seconds after the event.
    """
    try:
        import mne
    except ImportError as error:
        raise DataError(f"{path} is a .fif file, which MNE-Python reads: pip install 'bltvs_neuro[meg]'") from error
    try:
        epochs = mne.read_epochs(path, preload=False, verbose="ERROR")
    except Exception as error:  # MNE raises many types for damaged files
        raise DataError(f"{path} cannot be read as epochs: {error}") from error
    try:
        values, first = _read(epochs, picks)
    except Exception as error:  # unknown picks, truncated files
        raise DataError(f"{path}: picks {picks!r} cannot be read: {error}") from error
    ids = given_ids(stimuli)
    if ids is None:
        ids = _ids(epochs, column, path)
    if len(ids) != len(values):
        raise DataError(f"{len(ids)} stimulus ids were given, but {path} has {len(values)} epochs")
    match = re.search(r"(?:^|[_-])((?:sub-[A-Za-z0-9]+)|(?:P\d+))(?=[_\-.])", path.name)
    neuroid: dict[str, Any] = {
        "electrode": list(first.ch_names),
        "channel_type": list(first.get_channel_types()),
        "subject": subject or (match[1] if match else None),
    }
    return make_responses(
        values, ids, neuroid_coords=neuroid, time=np.asarray(epochs.times, dtype=float), attrs=provenance(path)
    )


def _read(epochs: Any, picks: str | Sequence[str] | None) -> tuple[NDArray[np.float32], Any]:
    """Values of all epochs, and a few epochs with the channels chosen. In blocks: MNE works in double precision."""
    values, first = np.empty((0, 0, 0), dtype=np.float32), None
    for start in range(0, len(epochs), BLOCK):
        block = epochs[start : start + BLOCK].load_data()
        block = block.pick("data" if picks is None else picks, exclude="bads" if picks is None else ())
        part = block.get_data()
        if first is None:
            first, values = block, np.empty((len(epochs), *part.shape[1:]), dtype=np.float32)
        values[start : start + len(part)] = part
    if first is None:
        raise ValueError("there are no epochs")
    return values, first


def _ids(epochs: Any, column: str | None, path: Path) -> list[str]:
    table = epochs.metadata
    have = [] if table is None else [str(name) for name in table.columns]
    if column is None:
        column = next((key for key in ID_KEYS if key in have), None)
    elif column not in have:
        raise DataError(f"the metadata of {path} have no column {column!r}; they have {listed(have) or 'no columns'}")
    if column is not None:
        return [str(value) for value in table[column]]
    names = {int(code): str(name) for name, code in epochs.event_id.items()}
    return [names.get(int(code), str(int(code))) for code in epochs.events[:, 2]]


READERS = (Reader("mne", "responses", "MNE epochs (.fif; needs bltvs_neuro[meg])", sniff, read),)
