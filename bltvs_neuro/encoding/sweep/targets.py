"""Responses made ready for fitting: matched by stimulus_id, averaged or single trials, bad targets marked by name."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError, SpecError, argument, listed
from ...features.folds import Folds, join_groups
from ...neural.labelled import average_repetitions, check_one_subject, check_responses
from ...neural.matching import check_same_stimuli
from ...schema import PRESENTATION, STIMULUS_ID
from ..scores.score import varying

log = logging.getLogger(__name__)


UNFITTED = ("missing", "infinite", "constant")
CONSTANT_IN_TRAINING, CONSTANT_IN_TEST = "constant in a training fold", "constant in a test fold"
STATUSES = ("fitted", *UNFITTED, CONSTANT_IN_TRAINING, CONSTANT_IN_TEST)
"""What a target is. ``UNFITTED`` ones hold NaN or infinite values or never vary, and have no scores. One that is
constant in a test fold has the mean score over the other folds; one that is constant in a training fold varies nowhere else
and has none."""


class Targets(NamedTuple):
    """What is predicted."""

    values: np.ndarray
    """(rows, good targets), float32 or float64."""
    stimuli: np.ndarray
    """(rows,) position in the store of each row's stimulus."""
    groups: np.ndarray
    """(rows,) number of the group that must not be split."""
    status: np.ndarray
    """(all targets,) a name of :data:`STATUSES`; targets are neuroid (x time), flattened."""
    shape: tuple[int, ...]
    """(neuroid[, time])"""
    template: Any
    """The responses' coordinates on neuroid (and time), as a DataArray of one row."""
    digest: str
    """sha256 of values, rows and groups."""
    left_out: dict[str, int]
    """How many stimuli the two sides did not share, when that was allowed."""

    @property
    def good(self) -> np.ndarray:
        """(all targets,) whether a target is among ``values``."""
        return np.asarray(~np.isin(self.status, UNFITTED))

    @property
    def repeated(self) -> bool:
        """Whether any group has more than one row."""
        return len(np.unique(self.groups)) < len(self.groups)


def prepare_targets(responses: Any, store_ids: np.ndarray, cv: Folds) -> Targets:
    """Match responses with the stimuli of a store.

    Targets that hold NaN or infinite values or do not vary are not fitted; their status says so.

    Parameters
    ----------
    responses : DataArray with dims (presentation, neuroid[, time])
    store_ids : array of str
        The store's stimuli.
    cv : Folds

    Returns
    -------
    Targets

    Raises
    ------
    DataError
        Stimuli differ, or no target is left.
    SpecError
        A group that does not exist for these rows.
    """
    check_responses(responses)
    check_one_subject(responses)
    position = {str(s): i for i, s in enumerate(store_ids)}
    shown = responses[STIMULUS_ID].values.astype(str)
    ours, theirs = set(position), set(shown)
    left_out: dict[str, int] = {}
    text = check_same_stimuli(map(str, store_ids), shown, "the store", "the neural data", cv.on_mismatch)
    if text:
        left_out = {"store": len(ours - theirs), "neural": len(theirs - ours)}
        log.warning("%s", text)
        responses = responses.isel({PRESENTATION: np.flatnonzero(np.isin(shown, list(ours)))})
    if cv.repetitions == "average":
        responses = average_repetitions(responses)
    labels = [responses[STIMULUS_ID].values.astype(str)]
    for name in cv.names:
        if name not in responses.coords or responses[name].dims != (PRESENTATION,):
            averaged = (
                f" (averaging repetitions drops it: pass {argument('repetitions', 'single')})"
                if cv.repetitions == "average"
                else ""
            )
            raise SpecError(f"groups {name!r} is no coordinate of the presentations{averaged}")
        labels.append(responses[name].values.astype(str))
    rows = responses.values.reshape(len(responses), -1)  # (presentation, neuroid * time)
    missing, infinite = np.isnan(rows).any(axis=0), np.isinf(rows).any(axis=0)
    constant = ~missing & ~infinite & ~varying(np.where(np.isfinite(rows), rows, 0))
    status = np.select([missing, infinite, constant], ["missing", "infinite", "constant"], "fitted").astype("<U27")
    good = status == "fitted"
    if not good.all():
        counts = ((missing, "hold NaN"), (infinite & ~missing, "hold infinite values"), (constant, "do not vary"))
        said = [f"{int(which.sum())} {what}" for which, what in counts if which.any()]
        text = (
            " and ".join([said[0].replace(" ", f" of {len(status)} targets ", 1), *said[1:]])
            + f" (neuroids {listed(np.unique(np.flatnonzero(~good) // max(1, rows.shape[1] // responses.shape[1])))})"
        )
        if not good.any():
            raise DataError(text)
        log.warning("%s: their scores are NaN and their status says why", text)
    values = rows if good.all() else rows[:, good]
    stimuli = np.array([position[s] for s in labels[0]], dtype=np.intp)
    numbers = join_groups(*labels)
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes())
    digest.update(stimuli.tobytes() + numbers.tobytes())
    shape = tuple(responses.shape[1:])
    return Targets(
        values,
        stimuli,
        numbers,
        status,
        shape,
        responses.isel({PRESENTATION: 0}, drop=True),
        digest.hexdigest(),
        left_out,
    )
