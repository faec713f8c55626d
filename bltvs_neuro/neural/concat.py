"""RDMs or responses of several subjects as one labelled set."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from ..errors import DataError, SpecError, listed
from ..schema import NEUROID, PRESENTATION, RDM, STIMULUS_ID
from .align import align_rdms
from .labelled import average_repetitions, check_rdms, check_responses
from .matching import OnMismatch, check_same_stimuli
from .subjects import subject_of

log = logging.getLogger(__name__)

Parts = dict[str, xr.DataArray]


def concat(
    parts: Sequence[xr.DataArray] | Mapping[str, xr.DataArray], *, on_mismatch: OnMismatch = "raise"
) -> xr.DataArray:
    """Join the RDMs, or the responses, of several subjects.

    RDMs are stacked. Responses stand neuroid beside neuroid: a presentation is then the same repetition of the same stimulus
    in every subject. Where subjects have seen a stimulus unequally often, means over repetitions are joined, which is logged.

    Parameters
    ----------
    parts : sequence or mapping of xarray.DataArray
        RDMs (rdm, pair) or responses (presentation, neuroid[, time]), not both. The subjects are those of the coordinate
        ``subject``, else the keys of a mapping, else what the names of the files say (``sub-01_betas.npy``).
    on_mismatch : {"raise", "intersect"}
        Where the stimuli of subjects differ: refuse, naming them, or keep the common ones.

    Returns
    -------
    xarray.DataArray
        With ``subject`` on ``rdm`` or ``neuroid``, in the first part's order of stimuli. Neuroids get a unique
        ``neuroid_id`` such as ``"sub-01/E1"``. Of the presentations' other coordinates those stay that agree.

    Raises
    ------
    DataError
        Stimuli, times or coordinates differ; a subject is twice there, or a part names none.

    Examples
    --------
    >>> one = bn.make_responses([[1.0], [2.0]], ["cat", "dog"], neuroid_coords={"electrode": ["E1"]})
    >>> two = bn.make_responses([[4.0], [3.0]], ["dog", "cat"], neuroid_coords={"electrode": ["E1"]})
    >>> both = concat({"anna": one, "bob": two})
    >>> both["neuroid_id"].values.tolist(), both.values.tolist()
    (['anna/E1', 'bob/E1'], [[1.0, 3.0], [2.0, 4.0]])
    """
    if not parts:
        raise SpecError("there is nothing to join")
    named = _called(parts) if isinstance(parts, Mapping) else _from_files(parts)
    rdms = {RDM in part.dims for part in named.values()}
    if len(rdms) > 1:
        kinds = [f"{name} holds {'RDMs' if RDM in part.dims else 'responses'}" for name, part in named.items()]
        raise DataError(f"RDMs and responses are not joined: {listed(kinds)}")
    joined = _join_rdms(named, on_mismatch) if rdms == {True} else _join_responses(named, on_mismatch)
    joined.attrs |= {
        "source": [str(part.attrs.get("source", name)) for name, part in named.items()],
        "sha256": [str(part.attrs.get("sha256", "")) for part in named.values()],
    }
    for key in ("volume_shape", "affine"):  # a voxel of the volume would be one of each subject
        joined.attrs.pop(key, None)
    return joined


def _called(parts: Mapping[str, xr.DataArray]) -> Parts:
    """Parts, each with the subject that its data, or else its key, says."""
    return {name: with_subject(part, name) for name, part in parts.items()}


def _from_files(parts: Sequence[xr.DataArray]) -> Parts:
    """Parts by the files they come from, each with the subject that its data, or else the file's name, says."""
    if isinstance(parts, xr.DataArray):
        raise SpecError("one array is nothing to join: give a list of them")
    named: Parts = {}
    for i, part in enumerate(parts, start=1):
        source = part.attrs.get("source")
        if "subject" not in part.coords and not isinstance(source, str):
            raise DataError(f"array {i} of {len(parts)} names no subject: give a dict {{subject: array}}")
        name = source if isinstance(source, str) and source not in named else f"array {i}"
        named[name] = with_subject(part, subject_of(name))
    return named


def with_subject(part: xr.DataArray, subject: str) -> xr.DataArray:
    """The same RDMs or responses, of this subject unless they say whose they are."""
    if "subject" in part.coords:
        return part
    dim = RDM if RDM in part.dims else NEUROID
    return part.assign_coords(subject=(dim, np.array([subject] * part.sizes[dim], dtype=object)))


def _join_rdms(named: Parts, on_mismatch: OnMismatch) -> xr.DataArray:
    for rdms in named.values():
        check_rdms(rdms, missing="keep")
    _check_coords(named, RDM)
    _check_subjects(named)
    aligned = (
        align_rdms(*named.values(), names=list(named), on_mismatch=on_mismatch) if len(named) > 1 else named.values()
    )
    return xr.concat(list(aligned), dim=RDM, combine_attrs="drop_conflicts")


def _join_responses(named: Parts, on_mismatch: OnMismatch) -> xr.DataArray:
    apart: Parts = {}
    for name, part in named.items():
        check_responses(part)
        for who, own in by_subject(part):
            apart[f"{name} ({who})" if who else name] = with_subject(own, who)
    _check_coords(apart, NEUROID)
    _check_subjects(apart)
    first, *others = apart
    times = {name: part["time"].values if "time" in part.dims else np.zeros(0) for name, part in apart.items()}
    for name in others:
        if times[name].shape != times[first].shape or not np.allclose(times[name], times[first], rtol=0, atol=1e-6):
            raise DataError(f"{first} and {name} are not sampled at the same times: resample one of them")
    apart = _same_presentations(apart, on_mismatch)
    kept = _agreeing(apart)
    parts = []
    for part in apart.values():
        others = [str(c) for c in part.coords if part[c].dims == (PRESENTATION,) and c not in kept]
        parts.append(_unique_neuroids(part.drop_vars(others)))
    values = np.concatenate(
        [part.values for part in parts], axis=1
    )  # xarray would join NaN into times that differ by 1e-9
    coords = {str(c): value for c, value in parts[0].coords.items() if NEUROID not in value.dims}
    for name in [str(c) for c in parts[0].coords if parts[0][c].dims == (NEUROID,)]:
        column = [part[name].values for part in parts]
        text = any(values.dtype.kind in "OSU" for values in column)
        coords[name] = (NEUROID, np.concatenate([v.astype(object) for v in column] if text else column))
    attrs = {k: v for k, v in parts[0].attrs.items() if all(_same(v, part.attrs.get(k)) for part in parts)}
    return xr.DataArray(values, dims=parts[0].dims, coords=coords, name="response", attrs=attrs)


def by_subject(responses: xr.DataArray) -> list[tuple[str, xr.DataArray]]:
    """The presentations of each subject, where rows are of several; else all, of nobody in particular ("")."""
    if "subject" not in responses.coords or responses["subject"].dims != (PRESENTATION,):
        return [("", responses)]
    shown = responses["subject"].values.astype(str)
    return [(name, responses.isel({PRESENTATION: shown == name}).drop_vars("subject")) for name in dict.fromkeys(shown)]


def _check_coords(named: Parts, dim: str) -> None:
    first, *others = named
    for name in others:
        here, there = ({str(c) for c in named[n].coords if named[n][c].dims == (dim,)} for n in (first, name))
        if here != there:
            raise DataError(f"{first} and {name} do not both have {listed(sorted(here ^ there))}")


def _check_subjects(named: Parts) -> None:
    owner: dict[str, str] = {}
    for name, part in named.items():
        for subject in dict.fromkeys(part["subject"].values.astype(str)):
            if owner.setdefault(subject, name) != name:
                raise DataError(
                    f"{owner[subject]} and {name} both hold subject {subject}: each is one subject's, or more"
                )


def _same_presentations(named: Parts, on_mismatch: OnMismatch) -> Parts:
    """The parts with the presentations of the first: the same repetition of the same stimulus in every row."""
    shown = {name: list(dict.fromkeys(part[STIMULUS_ID].values.tolist())) for name, part in named.items()}
    first, *others = named
    common = set(shown[first])
    for name in others:
        check_same_stimuli(shown[first], shown[name], first, name, on_mismatch)
        common &= set(shown[name])
    if not common:
        raise DataError(f"no stimulus is common to {listed(named)}")
    keep = {n: np.flatnonzero([s in common for s in part[STIMULUS_ID].values.tolist()]) for n, part in named.items()}
    named = {name: part.isel({PRESENTATION: keep[name]}) for name, part in named.items()}
    often = {name: Counter(part[STIMULUS_ID].values.tolist()) for name, part in named.items()}
    uneven = [s for s in often[first] if len({counts[s] for counts in often.values()}) > 1]
    if uneven:
        times = listed(counts[uneven[0]] for counts in often.values())
        log.warning(
            "the subjects have seen %d of %d stimuli unequally often (%s %s times): means over repetitions are joined",
            len(uneven), len(common), uneven[0], times,
        )  # fmt: skip
        named = {name: average_repetitions(part) for name, part in named.items()}
    keys = {name: _repetitions(part) for name, part in named.items()}
    aligned = {}
    for name, part in named.items():
        at = {key: i for i, key in enumerate(keys[name])}
        aligned[name] = part.isel({PRESENTATION: [at[key] for key in keys[first]]})
    return aligned


def _repetitions(part: xr.DataArray) -> list[tuple[str, int]]:
    """Stimulus and how often it was shown before, of each presentation; what repetitions are called may begin anywhere."""
    order = np.lexsort([np.arange(part.sizes[PRESENTATION]), part["repetition"].values])
    before: Counter[str] = Counter()
    keys: list[tuple[str, int]] = [("", 0)] * len(order)
    for row in order:
        stimulus = str(part[STIMULUS_ID].values[row])
        keys[row] = (stimulus, before[stimulus])
        before[stimulus] += 1
    return keys


def _agreeing(named: Parts) -> set[str]:
    """Coordinates of presentations that are the same in all parts."""
    first, *others = named.values()
    kept = set()
    for name in (str(c) for c in first.coords if first[c].dims == (PRESENTATION,)):
        if all(name in part.coords and _same(first[name].values, part[name].values) for part in others):
            kept.add(name)
    lost = {str(c) for part in named.values() for c in part.coords if part[c].dims == (PRESENTATION,)} - kept
    if lost:
        log.info("%s differ between subjects and are dropped", listed(sorted(lost)))
    return kept | {STIMULUS_ID, "repetition"}


def _unique_neuroids(part: xr.DataArray) -> xr.DataArray:
    """``neuroid_id`` with the subject before the neuroid's own label, or its number."""
    own = next(
        (part[c].values for c in ("neuroid_id", "electrode", "voxel", "vertex", "unit") if c in part.coords), None
    )
    labels = list(range(part.sizes[NEUROID]) if own is None else own.tolist())
    if len(set(labels)) < len(labels):  # such as electrodes of two sessions
        labels = [f"{label}.{i}" for i, label in enumerate(labels)]
    ids = [f"{who}/{label}" for who, label in zip(part["subject"].values, labels, strict=True)]
    return part.assign_coords(neuroid_id=(NEUROID, np.array(ids, dtype=object)))


def _same(a: object, b: object) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool((a == b).all())
