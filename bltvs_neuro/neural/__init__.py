"""Neural data: readers of many formats, which all return the same labelled RDMs or responses."""

from __future__ import annotations

from .align import align_rdms, rdm_stimulus_ids, select_stimuli, to_square
from .concat import concat
from .labelled import average_repetitions, check_rdms, check_responses, make_rdms, make_responses
from .load import join_parts, kind_of, load_rdms, load_responses, subject_parts
from .narrow import match_stimuli
from .netcdf import from_netcdf, to_netcdf
from .reading.nifti import to_volume
from .registry import (
    NAMED_RDMS,
    RDM_READERS,
    RESPONSE_READERS,
    is_named,
    recognise,
)

__all__ = [
    "NAMED_RDMS", "RDM_READERS", "RESPONSE_READERS", "align_rdms", "average_repetitions", "check_rdms",
    "check_responses", "concat", "from_netcdf", "is_named", "join_parts", "kind_of", "load_rdms", "load_responses",
    "make_rdms", "make_responses", "match_stimuli", "rdm_stimulus_ids", "recognise", "select_stimuli",
    "subject_parts", "to_netcdf", "to_square", "to_volume",
]  # fmt: skip
