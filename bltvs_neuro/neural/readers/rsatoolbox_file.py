"""RDMs saved by rsatoolbox 0.2 and 0.3, read without rsatoolbox.

References
----------
van den Bosch et al. 2025, rsatoolbox, doi:10.1101/2025.05.22.655542
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import DataError, argument, listed, unknown
from ...foreign.hdf5 import open_hdf5, read_dataset
from ..condensed import n_from_pairs
from ..labelled import make_rdms
from ..reader import Match, Reader
from ..reading.files import kind, provenance, variables
from ..reading.ids import ID_KEYS, Stimuli, as_text, given_ids
from ..reading.pickles import check_keys, load_pickle

PREFERRED = (*ID_KEYS, "stim", "stims", "conds", "condition", "name", "image", "img")
"""Pattern descriptors taken as stimulus ids when there are several."""


def sniff_hdf5(path: Path) -> Match:
    """An HDF5 file with dissimilarities and pattern descriptors."""
    if kind(path) != "hdf5":
        return 0
    held = variables(path)
    return 2 if "dissimilarities" in held and any(name.startswith("pattern_descriptors/") for name in held) else 0


def sniff_pickle(path: Path) -> Match:
    """A file that looks like a pickle; what is in it is not looked at."""
    return 1 if kind(path) == "pickle" else 0


def read_hdf5(path: Path, *, stimuli: Stimuli = None, pattern_descriptor: str | None = None) -> xr.DataArray:
    """Read a .hdf5 file; descriptors of RDMs and of the whole object become coordinates on rdm.

    Parameters
    ----------
    stimuli : sequence of str, optional
        Ids in the order of the patterns, instead of a descriptor.
    pattern_descriptor : str, optional
        The descriptor that holds the stimulus ids. Default: the only one besides ``index``, or the first of :data:`PREFERRED`.
    """
    with open_hdf5(path) as file:
        if "dissimilarities" not in file:
            raise DataError(f"{path} is no rsatoolbox file: it has {listed(file)}, not dissimilarities")
        data: dict[str, Any] = {"dissimilarities": read_dataset(file["dissimilarities"])}
        data["dissimilarity_measure"] = _plain(file.attrs.get("dissimilarity_measure"))
        for group in ("descriptors", "rdm_descriptors", "pattern_descriptors"):
            node = file.get(group, {})
            data[group] = {name: _plain(value) for name, value in getattr(node, "attrs", {}).items()}
            data[group] |= {
                name: read_dataset(node[name]) for name in node if getattr(node[name], "shape", None) is not None
            }
    return _label(data, path, stimuli, pattern_descriptor)


def read_pickle(
    path: Path, *, stimuli: Stimuli = None, pattern_descriptor: str | None = None, allow_pickle: bool = False
) -> xr.DataArray:
    """Read a .pkl file, with the options of :func:`read_hdf5`; needs ``allow_pickle=True``."""
    data = load_pickle(path, allow_pickle=allow_pickle, reader="rsatoolbox_pkl")
    check_keys(data, ["dissimilarities"], path)
    return _label(data, path, stimuli, pattern_descriptor)


def _label(data: Mapping[str, Any], path: Path, stimuli: Stimuli, descriptor: str | None) -> xr.DataArray:
    values = np.atleast_2d(np.asarray(data["dissimilarities"]))
    n = n_from_pairs(values.shape[-1])
    patterns = {name: as_text(value) for name, value in data.get("pattern_descriptors", {}).items()}
    ids = given_ids(stimuli)
    if ids is None:
        ids = patterns[_choose(patterns, descriptor, n, path)]
    coords: dict[str, Any] = {}
    for name, value in {**data.get("descriptors", {}), **data.get("rdm_descriptors", {})}.items():
        array = np.asarray(value)
        # descriptors of other shapes (an array per RDM) have no place among labels
        if name not in ("index", "metric", "attrs") and array.shape in ((), (len(values),)) and array.dtype.kind != "O":
            coords[name] = array
        elif array.shape == (len(values),) and array.dtype.kind == "O":
            coords[name] = np.array(as_text(array))
    measure = data.get("dissimilarity_measure")
    return make_rdms(values, ids, metric=str(measure or "unknown"), attrs=provenance(path), **coords)


def _choose(patterns: Mapping[str, list[str]], descriptor: str | None, n: int, path: Path) -> str:
    if descriptor is not None:
        if descriptor not in patterns:
            raise unknown("pattern_descriptor", descriptor, list(patterns))
        return descriptor
    named = [name for name, ids in patterns.items() if name != "index" and len(ids) == n and len(set(ids)) == n]
    for name in (*(key for key in PREFERRED if key in named), *(named if len(named) == 1 else ())):
        return name
    if named:
        raise DataError(
            f"{path}: any of {listed(named)} could be the stimulus ids; choose with {argument('pattern_descriptor')}"
        )
    raise DataError(
        f"{path} does not name its stimuli (pattern descriptors: {listed(patterns)}). Pass {argument('stimuli')}, or "
        f"{argument('pattern_descriptor', 'index')} where positions are the ids"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if type(value).__name__ == "Empty":  # how h5py reads None
        return None
    return value.decode() if isinstance(value, bytes) else value


READERS = (
    Reader("rsatoolbox", "rdms", "RDMs saved by rsatoolbox (.hdf5)", sniff_hdf5, read_hdf5),
    Reader("rsatoolbox_pkl", "rdms", "RDMs saved by rsatoolbox (.pkl, pickles)", sniff_pickle, read_pickle),
)
