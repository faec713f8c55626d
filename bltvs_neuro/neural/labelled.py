"""The two labelled forms in which all neural data travel: RDMs and responses.

**RDMs** are an :class:`xarray.DataArray` (rdm, pair), float64. ``pair`` carries the ids ``stimulus_a`` and
``stimulus_b`` in condensed order; ``rdm`` carries what tells the RDMs apart (subject, session, roi, time in seconds).

**Responses** are an :class:`xarray.DataArray` (presentation, neuroid[, time]). ``presentation`` carries
``stimulus_id`` and ``repetition`` (int from 0), ``neuroid`` carries subject, roi, voxel or electrode, ``time`` is in
seconds after stimulus onset.

Stimuli are always found by id, never by position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, argument, counted, listed, unknown
from ..schema import NEUROID, PAIR, PRESENTATION, RDM, STIMULUS_ID
from .align import rdm_stimulus_ids
from .condensed import as_real, condensed_to_square, n_pairs, refuse_infinite, square_to_condensed
from .reading.labels import count_repetitions, id_texts, pair_coords, unique_ids

Missing = Literal["raise", "keep"]


def make_rdms(
    dissimilarities: ArrayLike,
    stimulus_ids: Sequence[str],
    *,
    metric: str,
    attrs: Mapping[str, Any] | None = None,
    **rdm_coords: Any,
) -> xr.DataArray:
    """Label dissimilarities.

    Parameters
    ----------
    dissimilarities : array of shape (n_pairs,), (n_rdm, n_pairs), (n, n) or (n_rdm, n, n)
        Square matrices are checked to be symmetric with a zero diagonal. NaN is a missing value and is kept, infinite
        values are refused. Three stimuli have three pairs: (3, 3) then means three condensed RDMs; write (1, 3, 3) for
        a square one.
    stimulus_ids : sequence of str, length n
        Unique, in the order of the rows.
    metric : str
        How the dissimilarities were made, for example ``"correlation"``; kept in ``attrs["metric"]``.
    attrs : mapping, optional
        More attributes, such as source and sha256.
    **rdm_coords
        Coordinates on ``rdm``: one value per RDM, or one value for all. ``None`` means absent.

    Returns
    -------
    xarray.DataArray
        (rdm, pair), float64.

    Raises
    ------
    DataError
        The number of values does not fit the number of stimuli, ids repeat, or values are no dissimilarities.

    Examples
    --------
    >>> rdms = make_rdms([[1, 2, 3]], ["a", "b", "c"], metric="euclidean", subject="S1")
    >>> float(rdms.sel(rdm=0)[rdms.stimulus_b.values == "b"][0])
    1.0
    """
    ids = unique_ids(stimulus_ids)
    n, values = len(ids), as_real(dissimilarities, "an RDM")
    if n < 2:
        raise DataError(f"an RDM needs at least 2 stimuli; got {n}")
    if values.shape == (n_pairs(n),):
        values = values[None]
    elif values.ndim == 2 and values.shape[1] == n_pairs(n):
        pass
    elif values.shape[-2:] == (n, n) and values.ndim in (2, 3):
        values = square_to_condensed(values, what="an RDM").reshape(-1, n_pairs(n))
    else:
        raise DataError(
            f"{n} stimuli have RDMs of shape ({n}, {n}) or ({n_pairs(n)},), one or a stack of them; got {values.shape}"
        )
    refuse_infinite(values, "the RDMs hold")
    coords: dict[str, Any] = {key: (PAIR, value) for key, value in pair_coords(ids).items()}
    for name, value in rdm_coords.items():
        if value is not None:
            coords[name] = (RDM, _spread(name, value, len(values), "RDM"))
    rdms = xr.DataArray(
        np.array(values), dims=(RDM, PAIR), name="dissimilarity", attrs={"metric": metric, **(attrs or {})}
    )
    return rdms.assign_coords(coords)  # given at once, xarray copies the ids of all pairs one by one


def make_responses(
    values: ArrayLike,
    stimulus_ids: Sequence[str],
    *,
    neuroid_coords: Mapping[str, Any],
    repetition: ArrayLike | None = None,
    time: ArrayLike | None = None,
    attrs: Mapping[str, Any] | None = None,
    **presentation_coords: Any,
) -> xr.DataArray:
    """Label responses.

    Parameters
    ----------
    values : array of shape (n_presentation, n_neuroid) or (n_presentation, n_neuroid, n_time)
        float32 and float64 are kept, everything else becomes float32. NaN is a missing value and is kept.
    stimulus_ids : sequence of str, length n_presentation
        Which stimulus each presentation showed; repeats share the id.
    neuroid_coords : mapping
        Coordinates on ``neuroid`` (subject, roi, voxel, electrode, i, j, k, ...): one value per neuroid or for all.
    repetition : array of int, shape (n_presentation,), optional
        From 0 within a stimulus. Default: counted in the order of the presentations.
    time : array of shape (n_time,), optional
        Seconds after stimulus onset; given exactly when ``values`` has a time axis.
    attrs : mapping, optional
        Attributes, such as source and sha256.
    **presentation_coords
        More coordinates on ``presentation`` (run, session, ...). ``None`` means absent.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid[, time]).

    Raises
    ------
    DataError
        Shapes do not fit each other.

    Examples
    --------
    >>> responses = make_responses([[1.0], [3.0]], ["a", "a"], neuroid_coords={"voxel": [7], "subject": "S1"})
    >>> responses.repetition.values.tolist()
    [0, 1]
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DataError(f"responses should be real numbers; their type is {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    if array.ndim != (2 if time is None else 3):
        wanted = "(presentation, neuroid)" if time is None else "(presentation, neuroid, time)"
        raise DataError(f"responses {'without' if time is None else 'with'} time are {wanted}; got shape {array.shape}")
    ids = np.empty(len(stimulus_ids), dtype=object)
    ids[:] = id_texts(stimulus_ids)
    if len(ids) != len(array):
        raise DataError(f"{counted(len(array), 'presentations')} but {counted(len(ids), 'stimulus ids')}")
    number = (
        count_repetitions(ids) if repetition is None else _spread("repetition", repetition, len(ids), "presentation")
    )
    coords: dict[str, Any] = {STIMULUS_ID: (PRESENTATION, ids), "repetition": (PRESENTATION, number.astype(np.int64))}
    for name, value in presentation_coords.items():
        if value is not None:
            coords[name] = (PRESENTATION, _spread(name, value, len(ids), "presentation"))
    for name, value in neuroid_coords.items():
        if value is not None:
            coords[name] = (NEUROID, _spread(name, value, array.shape[1], "neuroid"))
    dims: tuple[str, ...] = (PRESENTATION, NEUROID)
    if time is not None:
        seconds = as_real(time, "time")
        if seconds.shape != (array.shape[2],):
            raise DataError(f"{array.shape[2]} samples in time but {seconds.size} times")
        coords["time"], dims = ("time", seconds), (*dims, "time")
    return xr.DataArray(array, dims=dims, coords=coords, name="response", attrs=dict(attrs or {}))


def average_repetitions(responses: xr.DataArray) -> xr.DataArray:
    """Mean over the presentations of each stimulus.

    One presentation per stimulus in the order of first appearance, with ``repetition`` 0 and ``n_repetitions``, the number
    averaged. A missing value (NaN) in any repetition is missing in the mean. Other coordinates of the presentations (run,
    session) are dropped.
    """
    check_responses(responses)
    check_one_subject(responses)
    ids = responses[STIMULUS_ID].values
    order = list(dict.fromkeys(ids))
    rows_of = pd.Series(range(len(ids))).groupby(ids.astype(object)).indices
    groups = [rows_of[stimulus] for stimulus in order]
    values = responses.values
    # one stimulus at a time: a sorted copy of all presentations would double the memory
    mean = np.stack([values[rows].mean(axis=0, dtype=np.float64) for rows in groups]).astype(values.dtype)
    first = responses.isel({PRESENTATION: [rows[0] for rows in groups]})
    extra = [name for name, c in first.coords.items() if PRESENTATION in c.dims and name != STIMULUS_ID]
    return (
        first.drop_vars(extra)
        .copy(data=mean)
        .assign_coords(
            repetition=(PRESENTATION, np.zeros(len(order), dtype=np.int64)),
            n_repetitions=(PRESENTATION, np.array([len(rows) for rows in groups])),
        )
    )


def check_one_subject(responses: xr.DataArray) -> None:
    """Raise a DataError where rows are presentations to several subjects, whose neuroids are not the same."""
    if "subject" in responses.coords and responses["subject"].dims == (PRESENTATION,):
        subjects = list(dict.fromkeys(responses["subject"].values.astype(str)))
        if len(subjects) > 1:
            raise DataError(
                f"the presentations are of subjects {listed(subjects)}, who do not share neuroids: choose one with "
                f"{argument('subject', subjects[0])}"
            )


def check_rdms(rdms: xr.DataArray, *, missing: Missing = "raise") -> None:
    """Raise a DataError unless ``rdms`` is (rdm, pair), float64, in condensed order, finite or NaN.

    ``missing="keep"`` accepts NaN; ``"raise"`` names the stimuli all of whose dissimilarities are missing.
    """
    if missing not in get_args(Missing):
        raise unknown("missing", missing, get_args(Missing))
    if not isinstance(rdms, xr.DataArray) or rdms.dims != (RDM, PAIR):
        got = rdms.dims if isinstance(rdms, xr.DataArray) else type(rdms).__name__
        raise DataError(f"RDMs are an xarray.DataArray with dims (rdm, pair); got {got}. make_rdms builds them")
    ids = rdm_stimulus_ids(rdms)
    if rdms.dtype != np.float64:
        raise DataError(f"RDMs are float64; got {rdms.dtype}")
    values = rdms.values
    if len(values) == 0:
        raise DataError("there is no RDM among the RDMs (the selection is empty)")
    refuse_infinite(values, "the RDMs hold")
    nan = np.isnan(values)
    if missing == "raise" and nan.any():
        square = condensed_to_square(nan.all(axis=0))
        gone = [ids[i] for i in np.flatnonzero(square.sum(axis=0) == len(ids) - 1)]
        rows = f"; without any value: {listed(gone)}" if gone else ""
        raise DataError(
            f"{int(nan.sum())} of {nan.size} dissimilarities are missing (NaN), in {int(nan.any(axis=1).sum())} of "
            f"{len(values)} RDMs{rows}. Drop these stimuli with select_stimuli, or pass {argument('missing', 'keep')}"
        )


def check_responses(responses: xr.DataArray) -> None:
    """Raise a DataError unless ``responses`` has the dims (presentation, neuroid[, time]), ids and repetitions."""
    dims = (PRESENTATION, NEUROID)
    if not isinstance(responses, xr.DataArray) or responses.dims not in (dims, (*dims, "time")):
        got = responses.dims if isinstance(responses, xr.DataArray) else type(responses).__name__
        raise DataError(
            f"responses are an xarray.DataArray with dims (presentation, neuroid) or (presentation, neuroid, time); "
            f"got {got}. make_responses builds them"
        )
    for name in (STIMULUS_ID, "repetition"):
        if name not in responses.coords or responses[name].dims != (PRESENTATION,):
            raise DataError(f"responses carry {name} as a coordinate on presentation; it is missing")
    if responses["repetition"].dtype.kind not in "iu" or (responses["repetition"].values < 0).any():
        raise DataError("repetition is an int that counts from 0")
    if "time" in responses.dims and not np.isfinite(responses["time"].values).all():
        raise DataError("time holds values that are not finite")
    if 0 in responses.shape:
        raise DataError(f"the responses are empty: {dict(zip(responses.dims, responses.shape, strict=True))}")


def _spread(name: str, value: Any, length: int, what: str) -> NDArray[Any]:
    """One value per item, from one per item or one for all; text becomes an object array of str."""
    array = np.asarray(value)
    if array.ndim == 0:
        array = np.full(length, array[()])
    if array.shape != (length,):
        raise DataError(f"the coordinate {name!r} needs one value per {what}, {length}; got shape {array.shape}")
    if array.dtype.kind in "US":
        return np.array([str(item) for item in array], dtype=object)
    return array
