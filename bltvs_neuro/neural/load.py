"""Load neural data: of one file, a folder, a data set known by name, or of several subjects as one labelled set."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from ..errors import DataError, SpecError, argument, listed, unknown
from .concat import concat, with_subject
from .labelled import Missing, check_rdms, check_responses
from .matching import OnMismatch
from .narrow import narrow
from .reading.ids import StimuliOrNames
from .reading.options import convert
from .registry import NAMED_RDMS, RDM_READERS, RESPONSE_READERS, is_named, read_one, recognise
from .registry import kind_of as kind_of_one
from .subjects import Part, parts_of

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def load_rdms(
    path_or_name: Paths,
    /,
    *,
    format: str | None = None,
    stimuli: StimuliOrNames = None,
    subject: str | Sequence[str] | None = None,
    session: str | int | Sequence[str | int] | None = None,
    roi: str | Sequence[str] | None = None,
    missing: Missing = "raise",
    on_mismatch: OnMismatch = "raise",
    allow_pickle: bool = False,
    **options: Any,
) -> xr.DataArray:
    """Load RDMs.

    Parameters
    ----------
    path_or_name : str or path, or a sequence of these
        A file or folder, or, as a str, the name of a data set, which goes before a path of the same name:
        ``"kriegeskorte92"`` (human IT), ``"kriegeskorte92:monkey"``, ``"kriegeskorte92:behaviour"``,
        ``"kriegeskorte92:models"``. Several, or a folder with a file for each subject (``sub-01_rdm.npy``), are joined by
        :func:`concat`.
    format : str, optional
        Name of the reader (:data:`RDM_READERS`). Default: the one that recognises the file.
    stimuli : sequence of str, path or dict, optional
        Ids in the order of the file, or the path of a list of them, for files that hold none; a dict renames the ids
        of a file that has them.
    subject, session, roi : optional
        Keep only these. ``roi="V1"`` also means V1v and V1d. Files of several subjects whose names do not tell the subjects
        get those of ``subject``, in their order. ``{subject}`` in other options, such as a path, stands for the subject.
    missing : "raise" or "keep"
        Whether NaN dissimilarities are an error (default) or kept as missing values.
    on_mismatch : {"raise", "intersect"}
        Where the stimuli of several subjects differ: refuse, naming them, or keep the common ones.
    allow_pickle : bool
        Read formats that are pickles. They are restricted to plain arrays, but load them only from those you trust.
    **options
        Options of the format, see its reader.

    Returns
    -------
    xarray.DataArray
        (rdm, pair), float64, with ``source`` and ``sha256`` among its attributes.

    Raises
    ------
    DataError
        No reader or several recognise the file, or what it holds are no RDMs.
    SpecError
        An unknown format or option.

    Examples
    --------
    >>> np.savez("lab.npz", rdm=[[0, 1, 2], [1, 0, 3], [2, 3, 0]], stimuli=["cat", "dog", "tree"])
    >>> rdms = load_rdms("lab.npz")
    >>> rdms["stimulus_a"].values.tolist(), rdms.values.tolist()
    (['cat', 'cat', 'dog'], [[1.0, 2.0, 3.0]])
    """
    given = dict(
        format=format, stimuli=stimuli, subject=subject, session=session, roi=roi, missing=missing,
        allow_pickle=allow_pickle,
    )  # fmt: skip
    parts = subject_parts(path_or_name, **given, **options)
    if not parts[0].alone:
        return join_parts(parts, load_rdms, on_mismatch)
    found, given, options = _apart(parts[0], given)
    common = convert(load_rdms, given)
    format, missing = common.pop("format"), common.pop("missing")
    name = os.fspath(found)
    if format is None and is_named(found):
        if name not in NAMED_RDMS:
            raise unknown("data set", name, list(NAMED_RDMS))
        if options:
            raise SpecError(
                f"{name} has no option {listed(options)}; choose by {argument('subject')}, {argument('session')} or "
                f"{argument('roi')}"
            )
        rdms = narrow(NAMED_RDMS[name](), common, set())
    else:
        rdms = read_one(Path(name), RDM_READERS, format, common, options, list(NAMED_RDMS))
    check_rdms(rdms, missing=missing)
    return rdms


def load_responses(
    path: Paths,
    /,
    *,
    format: str | None = None,
    stimuli: StimuliOrNames = None,
    subject: str | Sequence[str] | None = None,
    session: str | int | Sequence[str | int] | None = None,
    roi: str | Sequence[str] | None = None,
    on_mismatch: OnMismatch = "raise",
    allow_pickle: bool = False,
    **options: Any,
) -> xr.DataArray:
    """Load responses.

    Parameters
    ----------
    path : str or path, or a sequence of these
        A file or folder. Several, or a folder with a file for each subject (``sub-01_betas.npy``), are joined by
        :func:`concat`.
    stimuli : sequence of str, path or dict, optional
        The stimulus of each presentation in the order of the file, or the path of such a list, for files that hold
        none; a dict renames the ids of a file that has them.
    format, subject, session, roi, on_mismatch, allow_pickle, **options
        As for :func:`load_rdms`; the readers are :data:`RESPONSE_READERS`.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid[, time]), with ``source`` and ``sha256`` among its attributes. NaN is kept.

    Raises
    ------
    DataError, SpecError
        As for :func:`load_rdms`.

    Examples
    --------
    >>> np.save("betas.npy", np.arange(6.0).reshape(3, 2))
    >>> load_responses("betas.npy", stimuli=["cat", "dog", "cat"])["repetition"].values.tolist()
    [0, 0, 1]
    """
    given = dict(
        format=format, stimuli=stimuli, subject=subject, session=session, roi=roi, allow_pickle=allow_pickle,
    )  # fmt: skip
    parts = subject_parts(path, **given, **options)
    if not parts[0].alone:
        return join_parts(parts, load_responses, on_mismatch)
    found, given, options = _apart(parts[0], given)
    common = convert(load_responses, given)
    responses = read_one(Path(found), RESPONSE_READERS, common.pop("format"), common, options, [])
    check_responses(responses)
    return responses


def kind_of(path_or_name: Paths, format: str | None = None, **options: Any) -> Literal["rdms", "responses"]:
    """Whether files, or a data set known by name, hold RDMs or responses.

    ``format`` and ``options`` are those of :func:`load_rdms`. DataError where no reader recognises a file, readers of both kinds
    do, or some files hold RDMs and others responses.
    """
    parts = subject_parts(path_or_name, format=format, **options)
    kinds = {str(part.path): kind_of_one(part.path, **part.options) for part in parts}
    if len(set(kinds.values())) > 1:
        raise DataError(
            f"RDMs and responses are not joined: {listed(f'{path} holds {k}' for path, k in kinds.items())}"
        )
    return next(iter(kinds.values()))


def subject_parts(path_or_name: Paths, **options: Any) -> list[Part]:
    """What is read for each subject; one part where one file, folder or data set has them all."""
    given = {name: value for name, value in options.items() if value is not None}
    return parts_of(path_or_name, given, recognise)


def _apart(part: Part, given: Mapping[str, Any]) -> tuple[str | os.PathLike[str], dict[str, Any], dict[str, Any]]:
    """What to read, the options that all readers share, and the others."""
    shared = {name: part.options.get(name) for name in given}
    return part.path, shared, {name: value for name, value in part.options.items() if name not in given}


def join_parts(parts: Sequence[Part], load: Callable[..., xr.DataArray], on_mismatch: OnMismatch) -> xr.DataArray:
    """Load every part by ``load(path, **options)`` and join them; a part without a subject gets the one of its name."""
    named: dict[str, xr.DataArray] = {}
    for part in parts:
        array = with_subject(load(part.path, **part.options), part.subject)
        name = str(part.path)
        named[f"{name} ({part.subject})" if name in named else name] = array
    return concat(named, on_mismatch=on_mismatch)
