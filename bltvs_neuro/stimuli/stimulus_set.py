"""StimulusSet: labelled pictures, read when they are asked for."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..datasets import KRIEGESKORTE92_IDS, sha256_file
from ..errors import StimulusError, counted, difference, listed, unknown
from ..notebook import card, thumbnails
from ..paths import not_a_file
from ..schema import NSD_PREFIX
from . import array_files as bricks
from . import listing, shapes, synthetic
from .decode import GREY, IMAGE_FORMATS, Background, Pixels, pixel_sha256, signature
from .sources import ArraySource, FileSource, Hdf5Source, PixelSource

_TABLES = (".csv", ".tsv", ".tab")
_HDF5 = (".h5", ".hdf5", ".hdf", ".he5")


class StimulusSet:
    """Stimuli with unique ids, in a fixed order.

    Make one with :meth:`open`, :meth:`from_folder`, :meth:`from_table`, :meth:`from_arrays`, :meth:`from_hdf5` or
    :meth:`from_mat92`. It can be sent to worker processes; pixels are decoded there, when they are asked for.

    Attributes
    ----------
    ids : tuple of str
        The stimulus ids, unique.
    metadata : DataFrame
        Indexed by stimulus id, one row per stimulus; may have no columns.
    source : dict
        Where the stimuli come from, JSON-safe.

    Examples
    --------
    >>> pictures = np.zeros((2, 8, 8, 3), np.uint8)
    >>> stimuli = StimulusSet.from_arrays(pictures, ids=["left", "right"])
    >>> stimuli.load(1).shape
    (8, 8, 3)
    >>> stimuli.subset(["right"]).ids
    ('right',)
    """

    def __init__(
        self,
        ids: Iterable[str],
        pixels: PixelSource,
        *,
        rows: Sequence[int] | np.ndarray | None = None,
        metadata: pd.DataFrame | Mapping[str, Sequence[Any]] | None = None,
        source: Mapping[str, Any],
    ) -> None:
        self.ids = _checked_ids(ids)
        self._pixels = pixels
        self._rows = np.arange(len(pixels)) if rows is None else np.array(rows, dtype=np.int64)
        if len(self.ids) != len(self._rows):
            raise StimulusError(f"{counted(len(self.ids), 'ids')} for {counted(len(self._rows), 'pictures')}")
        self._metadata = _aligned(metadata, self.ids)
        self._position = {stimulus_id: index for index, stimulus_id in enumerate(self.ids)}
        self.source = dict(source)

    @classmethod
    def open(cls, path: str | Path) -> StimulusSet:
        """Open what ``path`` names.

        A folder of images, one image, a table (.csv, .tsv), an HDF5 brick (.h5, .hdf5), the 92 objects' .mat file, or one of the
        names ``"kriegeskorte92"`` (fetched), ``"synthetic"`` and ``"shapes"`` (made by the package).
        """
        named: dict[str, Callable[[], StimulusSet]] = {
            "kriegeskorte92": cls.from_mat92,
            "synthetic": cls.synthetic,
            "shapes": cls.shapes,
        }
        if str(path) in named:
            return named[str(path)]()
        path = Path(path)
        suffix = path.suffix.lower()
        if path.is_dir():
            return cls.from_folder(path)
        if path.is_file():
            for suffixes, read in ((_TABLES, cls.from_table), (_HDF5, cls.from_hdf5), ((".mat",), cls.from_mat92)):
                if suffix in suffixes:
                    return read(path)
            if suffix in IMAGE_FORMATS or signature(path) is not None:
                source = {"kind": "image", "path": str(path), "background": _json(GREY)}
                return cls([listing.normalised(path.name)], FileSource([path]), source=source)
        what = "is of an unknown kind" if path.is_file() else (not_a_file(path) or "").removeprefix(f"{path} ")
        raise StimulusError(
            f"{path} {what if path.exists() else 'does not exist'}; stimuli are a folder of images, an image "
            f"({', '.join(IMAGE_FORMATS)}), a table ({', '.join(_TABLES)}), an HDF5 file ({', '.join(_HDF5)}), the 92 "
            f"objects' .mat file, or a name: {', '.join(named)}"
        )

    @classmethod
    def from_folder(
        cls, folder: str | Path, *, pattern: str = "*", recursive: bool = True, background: Background = GREY
    ) -> StimulusSet:
        """All images of a folder.

        Ids are relative paths with extension (``"faces/a.1.png"``), in natural order. Hidden files and other files
        are ignored and counted in the log; a warning counts pictures that cannot be read. Links are followed, unless they lead
        back to a folder they lie in.

        Pictures in a folder per class have the folder's name as ``category`` in their metadata. Pictures that lie two and more
        folders deep have the columns ``folder_1``, ``folder_2``, ... instead; where some lie deeper than others, none.

        Parameters
        ----------
        pattern : str
            Shell pattern that the relative path must match, ``*`` also across ``/``.
        recursive : bool
            Look into subfolders.
        background : three ints or None
            See :func:`bltvs_neuro.stimuli.decode_image`.
        """
        ids, paths = listing.list_images(Path(folder), pattern=pattern, recursive=recursive)
        source = {"kind": "folder", "path": str(folder), "pattern": pattern, "recursive": recursive}
        source |= {"background": _json(background)}
        return cls(ids, FileSource(paths, background), metadata=listing.folder_columns(ids) or None, source=source)

    @classmethod
    def from_table(
        cls,
        table: str | Path,
        *,
        id_column: str | None = None,
        path_column: str | None = None,
        background: Background = GREY,
    ) -> StimulusSet:
        """Image files listed in a CSV (comma) or TSV (tab) file; its other columns are the metadata.

        Paths in it are relative to its folder.

        Parameters
        ----------
        id_column : str, optional
            Default: ``stimulus_id`` if there is one, else the path column's text is the id.
        path_column : str, optional
            Default: the one column called path, filename, file, image, image_path or stimulus_path.
        """
        ids, paths, metadata = listing.read_table(Path(table), id_column=id_column, path_column=path_column)
        source = {"kind": "table", "path": str(table), "sha256": sha256_file(table), "background": _json(background)}
        return cls(ids, FileSource(paths, background), metadata=metadata, source=source)

    @classmethod
    def from_arrays(
        cls,
        images: np.ndarray | Sequence[np.ndarray],
        ids: Sequence[str] | None = None,
        metadata: pd.DataFrame | Mapping[str, Sequence[Any]] | None = None,
    ) -> StimulusSet:
        """Pictures in memory.

        Parameters
        ----------
        images : uint8 array of shape (n, height, width) or (n, height, width, 3)
            Values 0-255 before the model's transform. Kept, not copied: don't change it afterwards.
        ids : sequence of str, optional
            Default: ``stimulus_00000``, ``stimulus_00001``, ...
        metadata : DataFrame or mapping of columns, optional
            A frame that is indexed by stimulus id is aligned by id, any other by position.
        """
        pixels = ArraySource(np.asarray(images))
        chosen = bricks.brick_ids(np.arange(len(pixels)), len(pixels), "stimulus_") if ids is None else ids
        return cls(chosen, pixels, metadata=metadata, source={"kind": "arrays", "shape": list(pixels.images.shape)})

    @classmethod
    def from_hdf5(
        cls,
        path: str | Path,
        dataset: str | None = None,
        *,
        rows: Iterable[int] | slice | None = None,
        prefix: str | None = None,
        metadata: pd.DataFrame | Mapping[str, Sequence[Any]] | None = None,
    ) -> StimulusSet:
        """Rows of an HDF5 dataset (n, height, width[, 3]) uint8 such as NSD's ``imgBrick``, read lazily.

        Parameters
        ----------
        dataset : str, optional
            Default: ``imgBrick`` or the only dataset of that form.
        rows : ints or slice, optional
            Which rows, from 0, in this order; all unless given.
        prefix : str, optional
            An id is the prefix and the zero-padded row, ``nsd-00042`` (in NSD the row is the 0-based nsdId).
            Default: ``nsd-`` for ``imgBrick``, else ``stimulus_``.
        """
        path = Path(path)
        name = bricks.find_dataset(path, dataset)
        pixels = Hdf5Source(path, name)
        length = len(pixels)
        chosen = np.arange(length) if rows is None else _positions(rows, length, f"{path}:{name}")
        pixels.check_written(chosen)
        if prefix is None:
            prefix = NSD_PREFIX if name == bricks.NSD_DATASET else "stimulus_"
        source = {"kind": "hdf5", "path": str(path), "dataset": name}
        return cls(bricks.brick_ids(chosen, length, prefix), pixels, rows=chosen, metadata=metadata, source=source)

    @classmethod
    def from_mat92(cls, path: str | Path | None = None) -> StimulusSet:
        """The 92 objects of Kriegeskorte et al. 2008 (doi:10.1016/j.neuron.2008.10.043), 175 x 175 on grey.

        ``path`` is ``Kriegeskorte_Neuron2008_supplementalData.mat``; fetched unless given.
        """
        images, metadata, found = bricks.read_mat92(None if path is None else Path(path))
        source = {"kind": "kriegeskorte92", "path": str(found), "sha256": sha256_file(found)}
        return cls(KRIEGESKORTE92_IDS, ArraySource(images), metadata=metadata, source=source)

    @classmethod
    def synthetic(cls, n: int = 24, *, size: int = 224, seed: int = 0) -> StimulusSet:
        """Gratings, shapes and textures made by the package from a seed: no file needed.

        ``n`` pictures of ``size`` x ``size`` pixels; ``seed`` decides orientations, places and textures.
        """
        ids, images, metadata = synthetic.make_pictures(n, size, seed)
        source = {"kind": "synthetic", "n": n, "size": size, "seed": seed}
        return cls(ids, ArraySource(images), metadata=metadata, source=source)

    @classmethod
    def shapes(cls, n: int = 100, *, split: shapes.Split = "test", seed: int = 0, size: int = 128) -> StimulusSet:
        """Objects of ten drawn categories among clutter and partly covered, see :mod:`bltvs_neuro.stimuli.shapes`.

        ``n`` pictures of ``size`` x ``size`` pixels, drawn when they are asked for; the categories in turn. The checkpoint
        ``shapes`` was trained on pictures of the split ``"train"``; another seed is another data set.
        """
        pixels = shapes.DrawnSource(n, split, seed, size)
        ids = bricks.brick_ids(np.arange(n), max(n, 10**6), f"shapes_{split}_")
        category = [shapes.CATEGORIES[shapes.label_of(index)] for index in range(n)]
        source = {
            "kind": "shapes", "n": n, "split": split, "seed": seed, "size": size, "drawing_version": shapes.VERSION,
        }  # fmt: skip
        return cls(ids, pixels, metadata={"category": category}, source=source)

    @property
    def metadata(self) -> pd.DataFrame:
        """A copy of the metadata, indexed by stimulus id."""
        return self._metadata.copy()

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[str, Pixels]]:
        return ((stimulus_id, self.load(index)) for index, stimulus_id in enumerate(self.ids))

    def index(self, stimulus_id: str) -> int:
        """Position of an id."""
        if stimulus_id not in self._position:
            raise unknown("stimulus", stimulus_id, self.ids)
        return self._position[stimulus_id]

    def load(self, key: int | str) -> Pixels:
        """Decode one stimulus, given by position or id: uint8 RGB (height, width, 3), a new array at every call."""
        index = self.index(key) if isinstance(key, str) else range(len(self))[key]
        return self._pixels.load(int(self._rows[index]), self.ids[index])

    def digest(self, key: int | str) -> str:
        """sha256 of the decoded pixels of one stimulus, see :func:`bltvs_neuro.stimuli.pixel_sha256`."""
        return pixel_sha256(self.load(key))

    def subset(self, which: Iterable[str] | Iterable[int] | slice) -> StimulusSet:
        """Choose stimuli by ids, positions, a boolean mask of the set's length or a slice, in the order given."""
        chosen: Any = which if isinstance(which, slice) else [which] if isinstance(which, str) else list(which)
        if isinstance(chosen, list) and chosen and all(isinstance(item, str) for item in chosen):
            absent = [item for item in chosen if item not in self._position]
            if absent:
                raise StimulusError(f"{counted(len(absent), 'stimuli', 'are')} not in {self!r}: {listed(absent)}")
            chosen = [self._position[item] for item in chosen]
        positions = _positions(chosen, len(self), repr(self))
        return StimulusSet(
            [self.ids[position] for position in positions],
            self._pixels,
            rows=self._rows[positions],
            metadata=self._metadata.iloc[positions],
            source=self.source,
        )

    def __eq__(self, other: object) -> bool:
        """Same ids, metadata and pixels; pixels are compared one by one unless they come from the same place."""
        if not isinstance(other, StimulusSet):
            return NotImplemented
        if self.ids != other.ids or not self._metadata.equals(other._metadata):
            return False
        if self._pixels == other._pixels and np.array_equal(self._rows, other._rows):
            return True
        return all(np.array_equal(self.load(index), other.load(index)) for index in range(len(self)))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        where = self.source.get("path", "")
        columns = f", metadata: {listed(self._metadata.columns)}" if len(self._metadata.columns) else ""
        return f"StimulusSet({counted(len(self), 'stimulus')}, {self.source['kind']}{f' {where}' if where else ''}{columns})"

    def _repr_html_(self) -> str:
        """For notebooks: the first pictures, and the table of stimuli."""
        facts = {"stimuli": f"{len(self):,}", **{key: self.source.get(key) for key in ("kind", "path")}}
        first = self.ids[:6]
        try:
            pictures = thumbnails([self.load(row) for row in range(len(first))], first)
        except StimulusError as error:
            pictures, facts = "", {**facts, "pictures": error}
        return card("StimulusSet", facts, self.metadata.reset_index(), picture=pictures)


def _checked_ids(ids: Iterable[str]) -> tuple[str, ...]:
    checked = list(ids)
    for item in checked:
        if not isinstance(item, str):
            raise StimulusError(f"stimulus ids are strings; got {item!r} ({type(item).__name__})")
        if not item or not item.isprintable():
            raise StimulusError(f"a stimulus id is empty or holds characters that cannot be printed: {item!r}")
    repeated = [name for name, count in Counter(checked).items() if count > 1]
    if repeated:
        raise StimulusError(f"{counted(len(repeated), 'stimulus ids', 'are')} not unique: {listed(repeated)}")
    return tuple(str(item) for item in checked)


def _aligned(metadata: pd.DataFrame | Mapping[str, Sequence[Any]] | None, ids: tuple[str, ...]) -> pd.DataFrame:
    index = pd.Index(ids, name=listing.ID_COLUMN, dtype=object)
    if metadata is None:
        return pd.DataFrame(index=index)
    frame = pd.DataFrame(dict(metadata)) if not isinstance(metadata, pd.DataFrame) else metadata
    if isinstance(frame.index, pd.RangeIndex):
        if len(frame) != len(ids):
            raise StimulusError(f"the metadata has {len(frame)} rows for {counted(len(ids), 'stimuli')}")
        return frame.set_axis(index, axis=0)
    if not frame.index.is_unique:
        raise StimulusError(f"the metadata's index repeats {listed(frame.index[frame.index.duplicated()].unique())}")
    problem = difference("stimuli", ids, frame.index.astype(str), "the set", "the metadata")
    if problem:
        raise StimulusError(problem)
    return frame.loc[list(ids)].set_axis(index, axis=0)


def _positions(which: Iterable[int] | slice, length: int, what: str) -> np.ndarray:
    """Positions from 0 as int64; negative ones count from the end; a boolean mask must fit."""
    if isinstance(which, slice):
        return np.arange(length)[which]
    items = list(which)
    if items and all(isinstance(item, bool | np.bool_) for item in items):
        if len(items) != length:
            raise StimulusError(f"a mask of {len(items)} for {length} stimuli of {what}")
        return np.flatnonzero(items)
    if not all(hasattr(item, "__index__") for item in items):
        raise StimulusError(f"stimuli are chosen by ids, by positions, by a mask or by a slice; got {listed(items)}")
    positions = [operator.index(item) for item in items]
    outside = [position for position in positions if not -length <= position < length]
    if outside:
        raise StimulusError(f"{what} has {length} stimuli; there is no position {listed(outside)}")
    return np.array([position % length for position in positions], dtype=np.int64)


def _json(background: Background) -> list[int] | None:
    return None if background is None else [int(value) for value in background]
