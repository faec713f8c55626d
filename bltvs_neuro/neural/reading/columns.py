"""What a column of a table, or an array of a file, is: its name says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...errors import DataError, argument, listed

ID = ("stimulus_id", "stimulus_ids", "stimuli", "stimulus", "ids", "stim_file", "stim_id", "stim")
WEAK_ID = (
    "labels", "conditions", "trial_type", "condition", "label", "id", "image", "image_id", "image_name", "img",
    "filename", "file_name", "file", "picture", "item", "name",
)  # fmt: skip
"""Names of stimulus ids where there is no better one; beside a better one they are coordinates."""

OF_NEUROIDS = ("time", "neuroid", "neuroid_id", "voxel", "electrode", "channel", "roi", "hemisphere")
"""Coordinates that presentations do not have; RDMs may."""

CALLED: dict[str, str] = {
    **dict.fromkeys(("subject", "sub", "subj", "participant"), "subject"),
    **dict.fromkeys(("session", "ses"), "session"),
    "run": "run",
    **dict.fromkeys(("repetition", "rep", "repeat", "repetitions"), "repetition"),
}
"""Words for the coordinates that have one name here."""

WORDS = frozenset((
    *CALLED, *OF_NEUROIDS, "block", "trial", "trials", "trialnum", "trialno", "presentation", "event", "epoch", "row", "index",
    "unnamed", "level", "onset", "offset", "timestamp", "date", "duration", "rt", "response", "reaction", "latency", "button",
    "press", "choice", "answer", "accuracy", "acc", "correct", "hit", "catch", "category", "categories", "class",
    "superordinate", "object", "concept", "exemplar", "split", "fold", "partition", "phase", "order", "position", "volume",
    "scan", "tr", "stim", "stimulus", "image", "img", "item", "picture", "isi", "iti", "soa", "age", "sex", "gender", "group",
))  # fmt: skip
"""A name that holds one of these words, and nothing but these and :data:`BESIDE`, is that of a coordinate."""

NUMBERED = frozenset(("id", "number", "num", "no", "nr", "idx", "code", "label", "name"))
BESIDE = NUMBERED | {"ids", "key", "type", "is", "of", "in", "ms", "s", "sec", "seconds"}
"""``trial_number``, ``stim_onset``, ``rt_ms``, ``is_catch``, ``unnamed_0``."""


def plain(name: str) -> str:
    """``"Stimulus ID"``, ``"stimulus-id"`` and ``"stimulusId"`` are ``"stimulus_id"``."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s\-.:#()\[\]]+", "_", split).strip("_").lower()


def coordinate_of(name: str) -> str | None:
    """The coordinate that a column of this name holds; None for a neuroid."""
    words = re.sub(r"^(unnamed|level|index)(_\d+)+$", r"\1", plain(name)).split("_")
    telling = [word for word in words if word in WORDS]
    if not is_id(name) and not (telling and all(word in WORDS or word in BESIDE for word in words)):
        return None
    if words == ["presentation"]:
        return "trial"
    return CALLED.get(words[0], name) if NUMBERED.issuperset(words[1:]) else name


def of_neuroids(name: str) -> bool:
    """Whether a column of this name says something of neuroids or samples, as in tables with a row for each value."""
    words = plain(name).split("_")
    return words[0] in OF_NEUROIDS and coordinate_of(name) is not None


def is_id(name: str) -> bool:
    """Whether a column of this name may hold stimulus ids."""
    return plain(name) in ID or plain(name) in WEAK_ID


def choose_ids(columns: Mapping[str, Sequence[str]], where: object, remedy: str | None = None) -> str | None:
    """The column of stimulus ids by its name, None if there is none; DataError, with ``remedy``, where several differ."""
    for names in (ID, WEAK_ID):
        found = [name for name in columns if plain(name) in names]
        if len({tuple(columns[name]) for name in found}) > 1:
            remedy = remedy or f"choose one with {argument('id_column', found[0])}"
            raise DataError(f"{where} has several columns that may be the stimulus ids: {listed(found)}; {remedy}")
        if found:
            return found[0]
    return None
