"""RDMs as MATLAB's RSA toolbox keeps them: a struct array with the fields RDM, name and colour (.mat, v5).

References
----------
Nili et al. 2014, PLOS Computational Biology 10:e1003553, doi:10.1371/journal.pcbi.1003553
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import DataError, argument, listed, unknown
from ..condensed import n_from_pairs, n_pairs, square_to_condensed
from ..labelled import make_rdms
from ..reader import Match, Reader
from ..reading.files import kind, load_arrays, provenance, variables
from ..reading.ids import Stimuli, as_text, find_ids


def sniff(path: Path) -> Match:
    """A v5 .mat file with a struct array that has a field RDM."""
    return 2 if kind(path) == "matlab5" and _structs(path) else 0


def read(path: Path, *, stimuli: Stimuli = None, key: str | None = None) -> xr.DataArray:
    """Read the struct array ``key`` (default: the only one), row by row; ``name`` is a coordinate on rdm."""
    found = _structs(path)
    if not found:
        raise DataError(f"{path} has no struct array with a field RDM; it has {listed(variables(path))}")
    if key is not None and key not in found:
        raise unknown("key", key, list(found))
    if key is None and len(found) > 1:
        raise DataError(f"{path} has several struct arrays of RDMs: {listed(found)}. Choose one with {argument('key')}")
    key = key or next(iter(found))
    rdms, names = read_struct(found[key], f"{path}: {key}")
    n = n_from_pairs(rdms.shape[1])
    others = load_arrays(path, [name for name in variables(path) if name != key])
    ids = find_ids(path, stimuli, others, {n})
    return make_rdms(rdms, ids, metric="unknown", attrs=provenance(path), name=names)


def read_struct(records: NDArray[np.void], what: str) -> tuple[NDArray[np.float64], list[str]]:
    """Condensed RDMs (n_rdm, n_pairs) and names of a struct array, in row-major order."""
    rows, names = [], []
    for number, record in enumerate(records.ravel()):
        values = np.asarray(record["RDM"])
        name = as_text(record["name"])[0] if "name" in (records.dtype.names or ()) else f"rdm {number}"
        is_vector = values.ndim == 2 and 1 in values.shape and values.size > 1
        if not is_vector:
            rows.append(square_to_condensed(values, what=f"{what}, {name}"))
        else:
            rows.append(values.ravel().astype(np.float64))
        names.append(name)
    if len({len(row) for row in rows}) != 1:
        sizes = listed([f"{name} {len(row)}" for name, row in zip(names, rows, strict=True)])
        raise DataError(f"the RDMs of {what} have different numbers of pairs: {sizes}")
    if n_pairs(n_from_pairs(len(rows[0]))) != len(rows[0]):
        raise DataError(f"{what} holds no RDMs")
    return np.stack(rows), names


def _structs(path: Path) -> dict[str, NDArray[np.void]]:
    names = [name for name, variable in variables(path).items() if variable.dtype == "struct"]
    loaded = load_arrays(path, names) if names else {}
    return {name: value for name, value in loaded.items() if value.size and "RDM" in (value.dtype.names or ())}


READERS = (Reader("rdm_struct", "rdms", "struct array with a field RDM, MATLAB RSA toolbox (.mat)", sniff, read),)
