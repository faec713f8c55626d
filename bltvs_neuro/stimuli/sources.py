"""Where pixels come from: files, an array in memory, an HDF5 dataset. Each knows its length and loads one row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from ..errors import DataError, StimulusError, argument, listed
from ..foreign.hdf5 import check_dataset, open_hdf5, unwritten_rows
from .decode import GREY, MAX_PIXELS, Background, Pixels, decode_image


class PixelSource(Protocol):
    """A sequence of pictures that can be sent to another process; equal ones have equal pixels."""

    def __len__(self) -> int:
        """How many pictures there are."""
        ...

    def load(self, row: int, name: str) -> Pixels:
        """RGB pixels (height, width, 3) of one picture; errors call it ``name``."""
        ...


def as_rgb(picture: np.ndarray) -> Pixels:
    """(H, W) or (H, W, 3) uint8 to a new (H, W, 3)."""
    if picture.ndim == 2:
        return np.repeat(picture[:, :, None], 3, axis=2)  # (H, W) -> (H, W, 3)
    return np.array(picture, order="C")


def check_pictures(shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> None:
    """Refuse what is not uint8 of shape (n, height, width) or (n, height, width, 3)."""
    if dtype != np.uint8:
        raise StimulusError(
            f"{what} holds {dtype}; pixels are uint8 from 0 to 255 before the model's transform "
            "(from floats 0 to 1: (255 * images).round().astype('uint8'))"
        )
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)) or 0 in shape[1:]:
        raise StimulusError(f"{what} has the shape {shape}; expected (n, height, width) or (n, height, width, 3)")


def _check_size(shape: tuple[int, ...], what: str) -> None:
    if shape[1] * shape[2] > MAX_PIXELS:
        raise StimulusError(
            f"{what} declares pictures of {shape[2]} x {shape[1]}, more than the {MAX_PIXELS:,} pixels that are read"
        )


@dataclass(frozen=True)
class FileSource:
    """Image files, decoded when they are asked for."""

    paths: Sequence[Path]
    background: Background = GREY

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, row: int, name: str) -> Pixels:
        """See :class:`PixelSource`."""
        return decode_image(self.paths[row], name=name, background=self.background)


class ArraySource:
    """Pictures in memory, (n, H, W) or (n, H, W, 3) uint8."""

    def __init__(self, images: np.ndarray) -> None:
        check_pictures(images.shape, images.dtype, "the array")
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def load(self, row: int, name: str) -> Pixels:
        """See :class:`PixelSource`."""
        return as_rgb(self.images[row])


class Hdf5Source:
    """A dataset (n, H, W[, 3]) uint8 of an HDF5 file, read row by row, opened at the first read of each process."""

    def __init__(self, path: Path, dataset: str) -> None:
        self.path, self.dataset = path, dataset
        self._open: tuple[int, h5py.File] | None = None
        try:
            with open_hdf5(path) as file:
                pictures = file[dataset]
                check_pictures(pictures.shape, pictures.dtype, f"{path}:{dataset}")
                _check_size(pictures.shape, f"{path}:{dataset}")
                check_dataset(pictures, unwritten=True)
                self.length, self._unwritten = int(pictures.shape[0]), unwritten_rows(pictures)
        except DataError as error:
            raise StimulusError(str(error)) from None

    def __len__(self) -> int:
        return self.length

    def check_written(self, rows: np.ndarray) -> None:
        """Refuse rows that were never written, which would be read as black."""
        gone = np.intersect1d(rows, self._unwritten)
        if len(gone):
            raise StimulusError(
                f"{self.path}:{self.dataset}: {len(gone)} of {len(rows)} pictures were never written and would be read as "
                f"black (rows {listed(gone)}); complete the file, or choose others with {argument('rows')}"
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hdf5Source) and (self.path, self.dataset) == (other.path, other.dataset)

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}

    def load(self, row: int, name: str) -> Pixels:
        """See :class:`PixelSource`."""
        try:
            if self._open is None or self._open[0] != os.getpid():
                self._open = (os.getpid(), h5py.File(self.path, "r"))
            return as_rgb(self._open[1][self.dataset][row])
        except (OSError, KeyError, RuntimeError) as error:
            raise StimulusError(
                f"cannot read stimulus {name!r}: row {row} of {self.path}:{self.dataset}: {error}"
            ) from error
