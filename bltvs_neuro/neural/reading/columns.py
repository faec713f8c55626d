"""What a column of a table, or an array of a file, is: its name says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...errors import DataError, argument, listed

ID = ("stimulus_id", "stimulus_ids", "stimuli", "stimulus", "ids", "stim_file", "stim_id", "stim")
"""Names of stimulus ids."""

WEAK_ID = (
    "labels", "conditions", "trial_type", "condition", "label", "id", "image", "image_id", "image_name", "img",
    "filename", "file_name", "file", "picture", "item", "name",
)  # fmt: skip
"""Names of stimulus ids where there is no better one; beside a better one they are coordinates."""

OF_NEUROIDS = ("time", "neuroid", "neuroid_id", "voxel", "electrode", "channel", "roi", "hemisphere")
"""Coordinates that presentations do not have; RDMs may."""

COORDINATES: dict[str, str] = {
    **dict.fromkeys(("subject", "sub", "subj", "subject_id", "participant", "participant_id"), "subject"),
    **dict.fromkeys(("session", "ses", "session_id", "session_number"), "session"),
    **dict.fromkeys(("run", "run_id", "run_number"), "run"),
    **dict.fromkeys(("repetition", "rep", "repeat", "repetitions", "repetition_number"), "repetition"),
    **{
        name: name
        for name in (
            "block", "block_id", "trial", "trials", "trial_id", "trial_number", "trial_index", "trial_num", "trial_no",
            "event", "epoch", "row", "index", "unnamed_0", "onset", "onset_time", "timestamp", "duration", "rt",
            "response_time", "reaction_time", "response", "button", "key_press", "choice", "answer", "accuracy", "acc",
            "correct", "hit", "category", "categories", "class", "superordinate", "object", "object_name", "concept",
            "exemplar", "split", "fold", "partition", "phase", "order", "position", "volume", "scan", "tr", "isi", "iti",
            "soa", "age", "sex", "gender", "group",
        )
    },
    "presentation": "trial",
    **{name: name for name in OF_NEUROIDS},
}  # fmt: skip
"""Names that are coordinates of presentations (of RDMs, where a table holds these), and how these are called here."""


def plain(name: str) -> str:
    """``"Stimulus ID"`` and ``"stimulus-id"`` are ``"stimulus_id"``."""
    return re.sub(r"[\s\-.:]+", "_", name.strip()).strip("_").lower()


def coordinate_of(name: str) -> str | None:
    """The coordinate that a column of this name holds; None for a neuroid."""
    known = COORDINATES.get(plain(name))
    if known is None and is_id(name):
        known = plain(name)
    return known if known is None or known in ("subject", "session", "run", "repetition", "trial") else name


def is_id(name: str) -> bool:
    """Whether a column of this name may hold stimulus ids."""
    return plain(name) in ID or plain(name) in WEAK_ID


def choose_ids(columns: Mapping[str, Sequence[str]], where: object, remedy: str | None = None) -> str | None:
    """The column of stimulus ids by its name, None if there is none.

    ``remedy`` is what an error tells to do, where not to choose by ``id_column``.

    Raises
    ------
    DataError
        Several could be, and hold different ids.
    """
    for names in (ID, WEAK_ID):
        found = [name for name in columns if plain(name) in names]
        if len({tuple(columns[name]) for name in found}) > 1:
            remedy = remedy or f"choose one with {argument('id_column', found[0])}"
            raise DataError(f"{where} has several columns that may be the stimulus ids: {listed(found)}; {remedy}")
        if found:
            return found[0]
    return None
