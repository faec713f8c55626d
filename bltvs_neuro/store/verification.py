"""Read every byte of a store and say what is damaged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import StoreError
from .format.frame import read_frame
from .format.grid import grids
from .parts.folder import finished_blocks, parts_folder, unfinished
from .parts.part import part_path, read_header
from .seal import Damaged, Seal, read_seal
from .spec import Block, StoreSpec


@dataclass
class Report:
    """What :func:`verify` found: ``damage`` is one sentence for each thing that is wrong; the numbers say what was read."""

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
    """Check every byte of a store, finished or not, against its seal (:mod:`bltvs_neuro.store.seal`)."""
    path = Path(path)
    report = Report(path)
    spec = unfinished(path)
    if spec is None:
        _finished(path, report)
        return report
    folder = parts_folder(path)
    for block in finished_blocks(folder, spec):
        _labelled(part_path(folder, block), report, spec, block)
    return report


def _finished(path: Path, report: Report) -> None:
    try:
        frame = read_frame(path)
    except StoreError as error:
        report.damage.append(str(error))
        _unlabelled(path, report)
        return
    report.n_stimuli = len(frame.stimulus_ids)
    row = 0
    for source in frame.sources:
        ids = frame.stimulus_ids[row : row + source.n_stimuli].tolist()
        try:
            seal = source.seal
            seal.check_labels()
        except StoreError as error:
            reason = error.reason if isinstance(error, Damaged) else str(error)
            report.damage.append(
                f"{source.path.name}: it is no part of this store, or damaged: {reason} ({_stimuli(row, ids)})"
            )
        else:
            _chunks(seal, frame.spec, ids, row, frame.n_chunked, report)
        row += source.n_stimuli


def _labelled(path: Path, report: Report, spec: StoreSpec, block: Block) -> None:
    """A part that is not joined yet."""
    try:
        header = read_header(path, spec.digest(), block)
    except StoreError as error:
        report.damage.append(str(error))
        _unlabelled(path, report)
        return
    report.n_stimuli += len(header.ids)
    _chunks(header.seal, spec, header.ids, block.start, len(spec.stimulus_ids), report)


def _unlabelled(path: Path, report: Report) -> None:
    """Count damaged chunks of a file whose labels cannot be trusted to say what is in them."""
    try:
        seal = read_seal(path)
        bad = sum(1 for _ in seal.damaged_chunks())
    except StoreError:
        return  # it was said already
    if bad:
        report.damage.append(f"{path.name}: {bad} of its {len(seal.rows)} chunks of activations are damaged as well")
    _count(seal, report)


def _chunks(seal: Seal, spec: StoreSpec, ids: Sequence[str], start: int, n_asked: int, report: Report) -> None:
    """Read all chunks of a file; one sentence for each site and run of stimuli in which some are damaged."""
    _count(seal, report)
    found: dict[tuple[str, int, int], dict[int, None]] = {}
    bad = list(seal.damaged_chunks())
    for layout in spec.sites if bad else ():
        grid = grids(spec.sites, len(ids), n_asked)[layout.site]
        for number in bad:
            if grid.first <= number < grid.first + grid.n_chunks:
                row, step, *_ = grid.place(number)
                first = row * grid.chunk[0]
                last = min(first + grid.chunk[0], len(ids))
                found.setdefault((layout.site, first, last), {})[layout.timesteps[step]] = None
    for (site, first, last), steps in found.items():
        several = "s" if len(steps) > 1 else ""
        report.damage.append(
            f"{seal.path.name}: {site} at timestep{several} {', '.join(map(str, steps))}, "
            f"{_stimuli(start + first, ids[first:last])}: checksum does not fit"
        )


def _count(seal: Seal, report: Report) -> None:
    report.n_chunks += len(seal.rows)
    report.n_bytes += seal.nbytes


def _stimuli(start: int, ids: Sequence[str]) -> str:
    """``stimuli 8 to 15 (cat.png to dog.png)``: positions and ids."""
    if not ids:
        return "no stimuli"
    return f"stimuli {start} to {start + len(ids) - 1} ({ids[0]} to {ids[-1]})"
