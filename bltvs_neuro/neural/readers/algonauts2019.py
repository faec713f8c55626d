"""The Algonauts 2019 challenge: RDMs of 15 subjects, fMRI (EVC, IT) and MEG (early and late interval).

References
----------
Cichy et al. 2019, arXiv:1905.05675, doi:10.48550/arXiv.1905.05675
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from ...errors import DataError, argument, counted, listed
from ..condensed import square_to_condensed
from ..labelled import make_rdms
from ..reader import Match, Reader
from ..reading.files import kind, load_arrays, provenance, variables
from ..reading.ids import Stimuli, given_ids

FMRI = {"EVC_RDMs": "EVC", "IT_RDMs": "IT"}
MEG: dict[str, Literal["early", "late"]] = {"MEG_RDMs_early": "early", "MEG_RDMs_late": "late"}


def sniff(path: Path) -> Match:
    """target_fmri.mat or target_meg.mat, by the names of their arrays."""
    return 2 if kind(path) in ("matlab5", "matlab73") and set(variables(path)) & {*FMRI, *MEG} else 0


def read(
    path: Path, *, stimuli: Stimuli = None, time: Mapping[Literal["early", "late"], Sequence[float]] | None = None
) -> xr.DataArray:
    """Read target_fmri.mat or target_meg.mat.

    Parameters
    ----------
    stimuli : sequence of str or path, optional
        Ids in the order of the images. Default: their numbers from 1, ``image_01`` to ``image_92`` or ``image_001`` to
        ``image_118``.
    time : dict, optional
        For MEG: ``{"early": [...], "late": [...]}``, the seconds of the samples, which the file does not hold.

    Returns
    -------
    xarray.DataArray
        On rdm ``subject`` (1 to 15) and ``roi`` (EVC, IT), or ``interval`` (early, late), ``sample`` (from 0 within the
        interval) and ``time``.
    """
    found = [name for name in (*FMRI, *MEG) if name in variables(path)]
    if not found:
        raise DataError(f"{path} has {listed(variables(path))}; expected {listed([*FMRI, *MEG])}")
    rows: list[np.ndarray] = []
    coords: dict[str, list[Any]] = {"subject": []}
    n = 0
    for name, array in load_arrays(path, found).items():
        stack = np.asarray(array)  # (subject, n, n) or (subject, time, n, n), MATLAB's axis order
        if stack.ndim != (3 if name in FMRI else 4) or stack.shape[-1] != stack.shape[-2]:
            raise DataError(f"{path}: {name} has shape {stack.shape}; expected (15, n, n) or (15, time, n, n)")
        if n not in (0, stack.shape[-1]):
            raise DataError(f"{path}: {name} has {stack.shape[-1]} stimuli, the others {n}")
        n = stack.shape[-1]
        condensed = square_to_condensed(stack, what=f"{path}: {name}")
        subjects, samples = len(stack), stack.shape[1] if name in MEG else 1
        coords["subject"] += np.repeat(np.arange(1, subjects + 1), samples).astype(str).tolist()
        if name in FMRI:
            coords.setdefault("roi", []).extend([FMRI[name]] * subjects)
        else:  # rows of the reshape below: subject slow, sample fast
            coords.setdefault("interval", []).extend([MEG[name]] * subjects * samples)
            coords.setdefault("sample", []).extend([*range(samples)] * subjects)
        if name in MEG and time is not None:
            seconds = list(time.get(MEG[name], ()))
            if len(seconds) != samples:
                raise DataError(f"{name} has {samples} samples, {argument('time')} has {len(seconds)} for {MEG[name]}")
            coords.setdefault("time", []).extend(seconds * subjects)
        rows.append(condensed.reshape(-1, condensed.shape[-1]))
    ids = given_ids(stimuli, n, f"{path} has {counted(n, 'stimuli')}") or [
        f"image_{number:0{len(str(n))}d}" for number in range(1, n + 1)
    ]
    metric = "correlation" if "roi" in coords else "decoding accuracy"
    return make_rdms(np.concatenate(rows), ids, metric=metric, attrs=provenance(path), **coords)


READERS = (Reader("algonauts2019", "rdms", "Algonauts 2019 target_fmri.mat, target_meg.mat", sniff, read),)
