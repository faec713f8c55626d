"""Brain-Score assemblies saved as netCDF: presentation × neuroid [× time_bin].

References
----------
Schrimpf et al. 2020, Neuron 108:413-423, doi:10.1016/j.neuron.2020.07.040
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...errors import DataError, listed
from ...foreign.netcdf import load_netcdf
from ...schema import NEUROID, PRESENTATION, STIMULUS_ID
from ..labelled import make_responses
from ..reader import Match, Reader
from ..reading.files import kind, provenance, variables
from ..reading.ids import as_text

NAMES = ("data", "__xarray_dataarray_variable__")
MILLISECOND = 1e-3


def sniff(path: Path) -> Match:
    """An HDF5 file with the variable of an xarray.DataArray."""
    return 2 if kind(path) == "hdf5" and set(NAMES) & set(variables(path)) else 0


def read(path: Path) -> xr.DataArray:
    """Read an assembly.

    Returns
    -------
    xarray.DataArray
        (presentation, neuroid[, time]). ``stimulus_id`` comes from stimulus_id or image_id, ``roi`` from region,
        ``subject`` from subject or animal. ``time`` is the centre of each bin in seconds; its edges are time_bin_start
        and time_bin_end, also in seconds. Repetitions that are not counted from 0 are counted anew. Other coordinates
        are kept.
    """
    dataset = load_netcdf(path, what="an assembly")
    names = [name for name in NAMES if name in dataset]
    if not names:
        raise DataError(
            f"{path} holds {listed(dataset.variables)}; expected an assembly's variable {' or '.join(NAMES)}"
        )
    array = dataset[names[0]]
    dims = (PRESENTATION, NEUROID, "time_bin")
    if set(array.dims) not in (set(dims), set(dims[:2])):
        raise DataError(
            f"{path} is an assembly of dims {listed(array.dims)}; responses are presentation, neuroid[, time_bin]"
        )
    array = array.transpose(*(dim for dim in dims if dim in array.dims))
    labels = {str(dim): _labels(dataset, str(dim)) for dim in array.dims}
    presentation, neuroid = labels[PRESENTATION], labels[NEUROID]
    key = next((name for name in (STIMULUS_ID, "image_id") if name in presentation), None)
    if key is None:
        raise DataError(f"{path} has neither stimulus_id nor image_id on presentation; it has {listed(presentation)}")
    ids = as_text(presentation.pop(key))
    repetition = presentation.pop("repetition", None)
    if repetition is not None and not _counts_from_zero(repetition):
        repetition = None
    for ours, theirs in (("roi", "region"), ("subject", "animal")):
        if ours not in neuroid and theirs in neuroid:
            neuroid[ours] = neuroid.pop(theirs)
    time, edges = None, {}
    if "time_bin" in array.dims:
        for name in ("time_bin_start", "time_bin_end"):
            if name not in labels["time_bin"]:
                raise DataError(f"{path} has a time_bin dimension without {name}")
            edges[name] = np.asarray(labels["time_bin"][name], dtype=float) * MILLISECOND
        time = (edges["time_bin_start"] + edges["time_bin_end"]) / 2
    attrs = {str(key): value for key, value in array.attrs.items() if isinstance(value, str | int | float | np.number)}
    responses = make_responses(
        array.values,
        ids,
        neuroid_coords=neuroid,
        repetition=repetition,
        time=time,
        attrs={**attrs, **provenance(path)},
        **presentation,
    )
    return responses.assign_coords({name: ("time", value) for name, value in edges.items()})


def _labels(dataset: xr.Dataset, dim: str) -> dict[str, Any]:
    """One-dimensional variables on ``dim``, without the number of each row that old files add."""
    return {
        str(name): np.array(as_text(values.values), dtype=object) if values.dtype.kind in "OUS" else values.values
        for name, values in dataset.variables.items()
        if values.dims == (dim,) and name not in (dim, *NAMES)
    }


def _counts_from_zero(repetition: Any) -> bool:
    values = np.asarray(repetition)
    return values.dtype.kind in "iu" and values.size > 0 and int(values.min()) == 0


READERS = (Reader("brainscore", "responses", "Brain-Score assembly (.nc)", sniff, read),)
