"""Volumes: read the voxels of a mask from 4-D NIfTI images, and write maps back."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, listed
from ..schema import NEUROID
from .files import DEFLATE_RATIO
from .rois import ATLASES

BLOCK_BYTES = 128 * 2**20
"""Volumes are read in blocks of about this many bytes."""

Mask = str | os.PathLike[str] | ArrayLike


def open_nifti(path: Path) -> Any:
    """Open a NIfTI image without reading its values; refuse one that cannot hold what its header declares."""
    import nibabel

    try:
        image: Any = nibabel.load(path, keep_file_open=True)
    except Exception as error:  # nibabel raises several unrelated types
        raise DataError(f"{path} cannot be read as NIfTI, it is damaged or truncated: {error}") from error
    need = math.prod(image.shape) * image.get_data_dtype().itemsize
    ratio = DEFLATE_RATIO if path.suffix == ".gz" else 1
    if need > path.stat().st_size * ratio:
        raise DataError(f"{path} is truncated: its header declares {need} bytes {image.shape}, the file has fewer")
    return image


def read_labels(mask: Mask, shape: tuple[int, ...], affine: NDArray[Any] | None = None) -> NDArray[np.int64]:
    """A mask or atlas as whole numbers of ``shape``; 0 is outside.

    Raises
    ------
    DataError
        Another shape, another affine, or values that are not whole numbers.
    """
    what = "the mask"
    if isinstance(mask, str | os.PathLike):
        what = str(mask)
        image = open_nifti(Path(mask))
        values = load(image, what)
        if affine is not None and not np.allclose(image.affine, affine, atol=1e-3):
            raise DataError(f"{what} has another affine than the data: resample it to the grid of the data first")
    else:
        values = np.asarray(mask)
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.shape != tuple(shape):
        raise DataError(f"{what} has shape {values.shape}, the data have volumes of shape {tuple(shape)}")
    finite = np.nan_to_num(np.asarray(values, dtype=np.float64))
    whole = np.rint(finite).astype(np.int64)
    if not np.allclose(finite, whole, atol=1e-3):
        raise DataError(f"{what} holds values that are not whole numbers: threshold it first")
    return whole


def load(image: Any, what: str) -> NDArray[Any]:
    """All values of an image; damage becomes a DataError."""
    try:
        return np.asarray(image.dataobj)
    except Exception as error:  # gzip and nibabel raise several unrelated types
        raise DataError(f"{what} is damaged or truncated: {error}") from error


def read_voxels(image: Any, voxels: NDArray[np.integer], what: str) -> NDArray[np.float32]:
    """Values of some voxels in every volume of a 4-D image.

    Parameters
    ----------
    image : nibabel image
        (i, j, k, volume) or (i, j, k).
    voxels : array of int, shape (n_voxel, 3)
        0-based i, j, k.
    what : str
        Name for error messages.

    Returns
    -------
    array of float32, shape (n_volume, n_voxel)
    """
    shape = image.shape if len(image.shape) == 4 else (*image.shape, 1)
    if len(shape) != 4:
        raise DataError(f"{what} has shape {image.shape}; expected (i, j, k, volume)")
    i, j, k = np.asarray(voxels).T
    out = np.empty((shape[3], len(i)), dtype=np.float32)
    # volumes lie one after the other in the file: blocks of volumes are read in order, also through gzip
    step = max(1, BLOCK_BYTES // (8 * math.prod(shape[:3])))
    try:
        for start in range(0, shape[3], step):
            stop = min(start + step, shape[3])
            block = (
                np.asarray(image.dataobj[..., start:stop]) if len(image.shape) == 4 else load(image, what)[..., None]
            )
            out[start:stop] = block[i, j, k].T  # (i, j, k, volume) -> (volume, voxel)
    except DataError:
        raise
    except Exception as error:  # gzip and nibabel raise several unrelated types
        raise DataError(f"{what} is damaged or truncated: {error}") from error
    return out


def voxel_coords(voxels: NDArray[np.integer]) -> dict[str, NDArray[np.int64]]:
    """Coordinates i, j, k on neuroid, 0-based as nibabel indexes."""
    return {name: np.asarray(voxels)[:, axis].astype(np.int64) for axis, name in enumerate("ijk")}


def grid_attrs(shape: tuple[int, ...], affine: ArrayLike) -> dict[str, Any]:
    """Attributes by which :func:`to_volume` finds the grid again."""
    return {"volume_shape": [int(n) for n in shape[:3]], "affine": np.asarray(affine, dtype=float).tolist()}


def label_names(
    family: str, labels: NDArray[np.integer], names: Mapping[int, str] | None = None
) -> NDArray[np.object_]:
    """Region of each voxel from its label ("" outside); atlases without a table are named ``atlas-3``."""
    # JSON writes whole numbers as text
    table = {int(key): name for key, name in names.items()} if names is not None else ATLASES.get(family, {})
    found = {int(label): table.get(int(label), f"{family}-{int(label)}") for label in np.unique(labels) if label > 0}
    out = np.full(len(labels), "", dtype=object)
    for label, name in found.items():
        out[labels == label] = name
    return out


def to_volume(values: ArrayLike, responses: xr.DataArray) -> Any:
    """Write one value per voxel into a volume.

    Parameters
    ----------
    values : array of shape (n_neuroid,) or (n_neuroid, n_map)
        In the order of ``responses``' neuroids (scores, noise ceilings, ...).
    responses : xarray.DataArray
        Responses read from volumes: i, j, k on neuroid, ``affine`` and ``volume_shape`` in the attributes.

    Returns
    -------
    nibabel.Nifti1Image
        float32, NaN outside of the voxels.

    Raises
    ------
    DataError
        The responses carry no grid, hold several subjects, or the number of values differs.
    """
    import nibabel

    lacking = [name for name in "ijk" if name not in responses.coords]
    lacking += [name for name in ("affine", "volume_shape") if name not in responses.attrs]
    if lacking:
        raise DataError(f"these responses were not read from volumes: they lack {listed(lacking)}")
    if "subject" in responses.coords and len(set(np.ravel(responses["subject"].values))) > 1:
        raise DataError("these responses hold several subjects, whose volumes differ: select one first")
    array = np.asarray(values, dtype=np.float32)
    if array.ndim not in (1, 2) or len(array) != responses.sizes[NEUROID]:
        raise DataError(f"expected one value per neuroid, {responses.sizes[NEUROID]}; got shape {array.shape}")
    i, j, k = (responses[name].values for name in "ijk")
    volume = np.full((*responses.attrs["volume_shape"], *array.shape[1:]), np.nan, dtype=np.float32)
    volume[i, j, k] = array
    return nibabel.Nifti1Image(volume, np.asarray(responses.attrs["affine"], dtype=float))


def zscore_sessions(values: NDArray[np.float32], session: ArrayLike) -> NDArray[np.float32]:
    """Each neuroid to mean 0 and standard deviation 1 within each session; constant neuroids become 0."""
    out = np.empty_like(values)
    for name in np.unique(np.asarray(session)):
        rows = np.asarray(session) == name
        part = values[rows].astype(np.float64)
        spread = part.std(axis=0)
        out[rows] = (part - part.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return out
