"""Volumes: read the voxels of a mask from 4-D NIfTI images, and write maps back."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import xarray as xr
from isal import igzip
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError, listed
from ...schema import NEUROID
from .files import DEFLATE_RATIO
from .options import Kind, Misfit, as_path
from .rois import ATLASES

BLOCK_BYTES = 128 * 2**20


def _volume(value: Any) -> Path | NDArray[Any]:
    if isinstance(value, str | os.PathLike):
        return as_path(value)
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        raise Misfit("") from None
    if array.dtype.kind not in "biuf" or array.ndim < 1:
        raise Misfit("")
    return array


Mask = Annotated[str | os.PathLike[str] | ArrayLike, Kind("a volume (a NIfTI file or an array)", _volume)]


def open_nifti(path: Path) -> Any:
    """Open a NIfTI image without reading its values; refuse one that cannot hold what its header declares."""
    import nibabel

    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link that leads nowhere; fetch its content (datalad get), or remove it")
    try:
        image: Any = nibabel.load(path, keep_file_open=True)
    except Exception as error:  # nibabel raises several unrelated types
        raise DataError(f"{path} cannot be read as NIfTI, it is damaged or truncated: {error}") from error
    if getattr(image, "affine", None) is None or len(image.shape) not in (3, 4):
        raise DataError(f"{path} holds values of shape {image.shape}; a volume is (i, j, k), several (i, j, k, volume)")
    if image.get_data_dtype().kind not in "biuf":
        raise DataError(f"{path} holds {image.get_data_dtype()}: voxels are real numbers")
    if path.suffix == ".gz":
        _check_gzip(path)
    need = math.prod(image.shape) * image.get_data_dtype().itemsize
    ratio = DEFLATE_RATIO if path.suffix == ".gz" else 1
    if need > path.stat().st_size * ratio:
        raise DataError(f"{path} is truncated: its header declares {need} bytes {image.shape}, the file has fewer")
    return image


class Grid(NamedTuple):
    """Where the voxels of data lie: shape (i, j, k), affine to millimetres (None where the data do not say), and what says so."""

    shape: tuple[int, ...]
    affine: NDArray[Any] | None
    source: str

    @classmethod
    def of(cls, image: Any, source: object) -> Grid:
        """The grid of an image."""
        return cls(tuple(int(n) for n in image.shape[:3]), image.affine, str(source))

    def check(self, other: Grid) -> None:
        """Raise a DataError unless ``other`` has the same shape and affine."""
        if other.shape != self.shape:
            raise DataError(
                f"{other.source} has shape {other.shape}, but {self.source} has volumes of shape {self.shape}"
            )
        if self.affine is None or other.affine is None or np.allclose(other.affine, self.affine, atol=1e-3):
            return
        turned = not np.allclose(other.affine[:3, :3], self.affine[:3, :3], atol=1e-3)
        how = "its axes are flipped, turned or scaled" if turned else "it is shifted"
        raise DataError(
            f"{other.source} has another affine than the data, those of {self.source} ({how}): "
            "resample it to their grid first"
        )


def _check_gzip(path: Path) -> None:
    """Read a compressed file to its end, where its checksum stands; a partial read would never reach it."""
    try:
        with igzip.open(path, "rb") as stream:
            while stream.read(2**22):
                pass
    except Exception as error:  # the decoder has errors of its own
        raise DataError(f"{path} is damaged or truncated (gzip): {' '.join(str(error).split())}") from error


def read_labels(mask: Mask, grid: Grid) -> NDArray[np.int64]:
    """A mask or atlas as whole numbers of the shape of the data; 0 is outside. DataError for another grid or fractions."""
    values, own = read_volume(mask)
    grid.check(own)
    if values.dtype.kind not in "biuf":
        raise DataError(f"{own.source} holds {values.dtype}: a mask holds whole numbers")
    finite = np.nan_to_num(np.asarray(values, dtype=np.float64))
    if np.abs(finite).max(initial=0) > np.iinfo(np.int32).max or not np.allclose(finite, np.rint(finite), atol=1e-3):
        raise DataError(f"{own.source} holds values that are not whole numbers: threshold it first")
    return np.rint(finite).astype(np.int64)


def read_inside(mask: Mask, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A mask as :func:`read_labels` reads it, and the voxels (n, 3) inside of it; DataError where there are none."""
    numbers = read_labels(mask, grid)
    voxels = np.argwhere(numbers > 0)
    if not len(voxels):
        raise DataError("the mask is empty")
    return numbers, voxels


def volumes(image: Any) -> int:
    """How many volumes an image holds."""
    return int(image.shape[3]) if len(image.shape) == 4 else 1


def read_volume(volume: Mask) -> tuple[NDArray[Any], Grid]:
    """Values (i, j, k) of a file or an array, and its grid; an array has no affine."""
    if isinstance(volume, str | os.PathLike):
        image = open_nifti(Path(volume))
        values, affine, source = load(image, str(volume)), image.affine, str(volume)
    else:
        values, affine, source = np.asarray(volume), None, "the mask"
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    return values, Grid(values.shape, affine, source)


def load(image: Any, what: str, part: Any = ...) -> NDArray[Any]:
    """Values of an image; damage becomes a DataError."""
    try:
        return np.asarray(image.dataobj[part])
    except Exception as error:  # gzip and nibabel raise several unrelated types
        raise DataError(f"{what} is damaged or truncated: {error}") from error


def read_voxels(image: Any, voxels: NDArray[np.integer], what: str) -> NDArray[np.float32]:
    """Values of voxels (i, j, k from 0; (n_voxel, 3)) in every volume of an image: float32 (n_volume, n_voxel)."""
    i, j, k = np.asarray(voxels).T
    if len(image.shape) == 3:
        return load(image, what)[i, j, k].astype(np.float32)[None]
    out = np.empty((image.shape[3], len(i)), dtype=np.float32)
    # volumes lie one after the other in the file: blocks of volumes are read in order, also through gzip
    step = max(1, BLOCK_BYTES // (8 * math.prod(image.shape[:3])))
    for start in range(0, image.shape[3], step):
        part = (..., slice(start, start + step))
        out[start : start + step] = load(image, what, part)[i, j, k].T  # (i, j, k, volume) -> (volume, voxel)
    return out


def voxel_coords(voxels: NDArray[np.integer]) -> dict[str, NDArray[np.int64]]:
    """Coordinates i, j, k on neuroid, 0-based as nibabel indexes."""
    return {name: np.asarray(voxels)[:, axis].astype(np.int64) for axis, name in enumerate("ijk")}


def grid_attrs(grid: Grid) -> dict[str, Any]:
    """Attributes by which :func:`to_volume` finds the grid again."""
    shape = {"volume_shape": [int(n) for n in grid.shape]}
    return shape if grid.affine is None else {**shape, "affine": np.asarray(grid.affine, dtype=float).tolist()}


def label_names(
    family: str, labels: NDArray[np.integer], names: Mapping[int, str] | None = None
) -> NDArray[np.object_]:
    """Region of each voxel from its label ("" outside); atlases without a table are named ``atlas-3``."""
    table = names if names is not None else ATLASES.get(family, {})
    found = {int(label): table.get(int(label), f"{family}-{int(label)}") for label in np.unique(labels) if label > 0}
    out = np.full(len(labels), "", dtype=object)
    for label, name in found.items():
        out[labels == label] = name
    return out


def to_volume(values: ArrayLike, responses: xr.DataArray) -> Any:
    """Write one value per voxel into a volume: a float32 Nifti1Image, NaN outside of the voxels.

    ``values`` are (n_neuroid,) or (n_neuroid, n_map), in the order of ``responses``' neuroids, which were read from volumes
    of one subject: i, j, k on neuroid, ``affine`` and ``volume_shape`` in the attributes. DataError where they do not fit.
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
