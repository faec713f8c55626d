"""Read every byte of a store and say what is damaged."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from ..errors import StoreError
from .frame import activations_dataset, check_parts, open_hdf5, read_frame
from .part import part_path, read_header
from .seal import broken_seal
from .spec import ACTIVATIONS, SiteLayout
from .specfile import SPEC_FILE, parts_folder, read_spec


@dataclass
class Report:
    """What :func:`verify` found.

    Attributes
    ----------
    path : Path
    damage : list of str
        One sentence for each thing that is wrong, the first damaged place of a site first.
    n_stimuli, n_chunks, n_bytes : int
        What was read.
    """

    path: Path
    damage: list[str] = field(default_factory=list)
    n_stimuli: int = 0
    n_chunks: int = 0
    n_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damage

    def __str__(self) -> str:
        read = f"{self.n_stimuli} stimuli, {self.n_chunks} chunks, {self.n_bytes / 1e6:.1f} MB read"
        if self.ok:
            return f"{self.path} is sound: {read}"
        return "\n".join([f"{self.path} is damaged ({read}):", *(f"  {text}" for text in self.damage)])


def verify(path: str | os.PathLike[str]) -> Report:
    """Check a store, finished or not, against its checksums.

    Every chunk of activations is read through HDF5's fletcher32, every other byte is covered by the file's seal
    (:mod:`bltvs_neuro.store.seal`), and labels, counts and values are held against the spec.

    Parameters
    ----------
    path : path

    Returns
    -------
    Report

    Raises
    ------
    StoreError
        There is nothing that could be a store.
    """
    path = Path(path)
    folder = parts_folder(path)
    report = Report(path)
    if path.exists():
        _finished(path, report)
    elif (folder / SPEC_FILE).exists():
        spec = read_spec(folder)
        for block in spec.blocks():
            part = part_path(folder, block)
            if part.exists():
                _part(part, read_header(part, spec.digest(), block) is not None, spec.sites, report)
    else:
        raise StoreError(f"there is no store {path}")
    return report


def _finished(path: Path, report: Report) -> None:
    _sealed(path, report)
    try:
        with open_hdf5(path) as file:
            frame = read_frame(file, path)
            report.n_stimuli = len(frame.stimulus_ids)
            check_parts(path, frame)
            expected = dict(frame.provenance.get("nonfinite", {}))
            for layout in frame.spec.sites:
                try:
                    dataset = activations_dataset(file, frame, layout.site, path)
                except StoreError as error:
                    report.damage.append(str(error))
                    continue
                _read(dataset, layout, report, expected)
    except StoreError as error:
        report.damage.append(str(error))
        return
    digest = frame.spec.digest()
    for block in frame.spec.blocks() if frame.parts else ():
        part = part_path(path.parent / frame.folder, block)
        _sealed(part, report)
        with contextlib.suppress(StoreError):
            if read_header(part, digest, block) is not None:
                continue
        report.damage.append(f"{part.name}: it is no part of this extraction, or its labels cannot be read")


def _part(path: Path, readable: bool, sites: tuple[SiteLayout, ...], report: Report) -> None:
    _sealed(path, report)
    if not readable:
        report.damage.append(f"{path.name}: its labels cannot be read")
        return
    with open_hdf5(path) as file:
        report.n_stimuli += len(file["stimulus_id"])
        for layout in sites:
            try:
                dataset = file[f"{layout.site}/{ACTIVATIONS}"]
            except (KeyError, OSError, RuntimeError) as error:
                report.damage.append(f"{path.name}: {layout.site}: {error}")
                continue
            _read(dataset, layout, report, None)


def _sealed(path: Path, report: Report) -> None:
    try:
        wrong = broken_seal(str(path))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        wrong = f"its index cannot be read ({error})"
    if wrong:
        report.damage.append(f"{path.name}: {wrong}")


def _read(dataset: h5py.Dataset, layout: SiteLayout, report: Report, nonfinite: dict[str, int] | None) -> None:
    """Read a site chunk by chunk; only the first damaged chunk of a site and timestep is named."""
    step = (dataset.chunks or (8,))[0]
    where = Path(dataset.file.filename).name
    for index, timestep in enumerate(layout.timesteps):
        bad = 0
        for start in range(0, dataset.shape[0], step):
            stop = min(start + step, dataset.shape[0])
            try:
                values = dataset[start:stop, index]
            except (OSError, RuntimeError):
                report.damage.append(
                    f"{where}: {layout.site} at timestep {timestep}, stimuli {start} to {stop - 1}: checksum does not fit"
                )
                break
            report.n_chunks += 1
            report.n_bytes += values.nbytes
            bad += int(values.size - np.count_nonzero(np.isfinite(values)))
        else:
            known = bad if nonfinite is None else nonfinite.get(f"{layout.site}@{timestep}", 0)
            if bad != known:
                report.damage.append(
                    f"{where}: {layout.site} at timestep {timestep} has {bad} values that are not finite"
                )
