"""RDMs of several files, one or more subjects in each, as one set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from ...errors import DataError, listed
from ...neural import align_rdms
from ...schema import RDM

UNNAMED = "subject"
"""The subject of responses that name none."""
NAMES = re.compile(r"(?<![A-Za-z0-9])(sub-[A-Za-z0-9]+|subj?_?\d+|[SP]\d+)(?![A-Za-z0-9])")


def subject_of(path: str) -> str:
    """The subject that a file's name tells of, else its name without endings.

    Examples
    --------
    >>> subject_of("data/sub-01_task-x_betas.npy"), subject_of("P7-epo.fif"), subject_of("anna.csv")
    ('sub-01', 'P7', 'anna')
    """
    found = NAMES.search(Path(path).name) or NAMES.search(Path(path).parent.name)
    return found[1] if found else Path(path).name.split(".")[0]


def join_subjects(parts: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """One set of RDMs of those of several files, in the first one's order of stimuli.

    Parameters
    ----------
    parts : mapping of path to RDMs
        RDMs without a subject get that of their file's name.

    Raises
    ------
    DataError
        Stimuli differ, two files have the same subject, or one has a coordinate that another lacks.
    """
    named = {}
    for path, rdms in parts.items():
        if "subject" not in rdms.coords or set(rdms["subject"].values.astype(str)) == {UNNAMED}:
            rdms = rdms.assign_coords(subject=(RDM, [subject_of(path)] * len(rdms)))
        named[path] = rdms
    first, *others = named
    for path in others:
        here, there = ({str(c) for c in named[p].coords if named[p][c].dims == (RDM,)} for p in (first, path))
        if here != there:
            raise DataError(f"{first} and {path} do not both have {listed(sorted(here ^ there))}")
    owner: dict[str, str] = {}
    for path, rdms in named.items():
        for subject in dict.fromkeys(rdms["subject"].values.astype(str)):
            if owner.setdefault(subject, path) != path:
                raise DataError(
                    f"{owner[subject]} and {path} both hold subject {subject}: each is one subject's, or more"
                )
    joined = xr.concat(align_rdms(*named.values(), names=list(named)), dim=RDM, combine_attrs="drop_conflicts")
    joined.attrs["source"] = [str(rdms.attrs.get("source", path)) for path, rdms in named.items()]
    joined.attrs["sha256"] = [str(rdms.attrs.get("sha256", "")) for rdms in named.values()]
    return joined
