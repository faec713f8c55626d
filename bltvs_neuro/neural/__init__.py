"""Neural data: readers of many formats, which all return the same labelled RDMs or responses."""

from __future__ import annotations

from .labelled import (
    align_rdms,
    average_repetitions,
    check_rdms,
    check_responses,
    make_rdms,
    make_responses,
    rdm_stimulus_ids,
    select_stimuli,
    to_square,
)
from .netcdf import from_netcdf, to_netcdf

__all__ = [
    "align_rdms",
    "average_repetitions",
    "check_rdms",
    "check_responses",
    "from_netcdf",
    "make_rdms",
    "make_responses",
    "rdm_stimulus_ids",
    "select_stimuli",
    "to_netcdf",
    "to_square",
]
