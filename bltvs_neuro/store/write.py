"""Write a store block by block; killed at any moment, the same call goes on where it stopped."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ..durable import make_folder, told
from ..errors import SpecError, StoreError, argument, listed
from ..paths import nearest_folder
from .format.attributes import finished_attributes
from .format.frame import Frame
from .format.json_text import plain_json
from .join import Join, choose_join, join_parts
from .parts.folder import (
    LOCK_FILE,
    SPEC_FILE,
    discard,
    finished,
    mark,
    parts_folder,
    read_spec,
    remove_parts,
    sweep,
    write_spec,
)
from .parts.identity import refuse_other
from .parts.lock import FIRST_BLOCK, JOIN, SETUP, Busy, Claim, holding
from .parts.part import Part, PartHeader, find_parts, new_part, part_path, read_header
from .parts.shards import Shard, missing_shards, named
from .place import check_store_path
from .seal import Damaged
from .spec import Block, StoreSpec

log = logging.getLogger(__name__)

_EVERY = 1 << 40
_DISK_ERRORS = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS}


def open_writer(
    path: str | os.PathLike[str], spec: StoreSpec, *, resume: bool = True, share: Shard | range | None = None
) -> Writer:
    """Open a store for writing; a context manager. Its parts lie in the folder ``<path>.parts`` until they are joined.

    Parameters
    ----------
    path : path
        Of the finished file.
    spec : StoreSpec
    resume : bool
        Go on with what is there. False discards what was begun (only files that a writer made); a finished store stays
        until the new one is whole, unless it is virtual.
    share : Shard or range, optional
        Write only the blocks of this share (``spec.shards`` says into how many they are divided), or these blocks.
        Several processes may each write blocks of their own at once.

    Raises
    ------
    StoreError
        What is there is another extraction's (the differences are named), or no store, or otherwise divided, or another
        writer is at work on some of these blocks.
    """
    return Writer(Path(path), spec, resume=resume, share=share)


def join_store(path: str | os.PathLike[str], *, join: Join = "auto") -> Path:
    """Join the parts that shards have written, perhaps on several machines, into the finished file ``path``.

    ``join`` is that of :meth:`Writer.finish`. StoreError where there are no parts, shards are missing (they are named), or
    one is being written.
    """
    path = check_store_path(path)
    folder = parts_folder(path)
    if finished(path) is not None:
        return path
    if not (folder / SPEC_FILE).exists():
        raise StoreError(f"there is nothing to join: no {folder} with parts of {path}")
    with open_writer(path, read_spec(folder)) as writer:
        return writer.finish(join=join)


class Writer:
    """What :func:`open_writer` returns. It may be used from any one thread at a time.

    ``complete`` says whether the finished file is there. ``attributes``, the provenance (JSON) of what this process
    computes, go into each of its parts, and from them into the finished file, whoever joins it.
    """

    def __init__(self, path: Path, spec: StoreSpec, *, resume: bool, share: Shard | range | None) -> None:
        if isinstance(share, Shard) and share.count != spec.shards:
            raise SpecError(f"shard {share} does not fit a spec of {spec.shards} shards")
        if isinstance(share, Shard) and not resume:
            raise SpecError(
                "one shard cannot start anew, it would discard what the others have done; remove the store and its parts"
            )
        self.path, self.spec, self.complete = path, spec, False
        self.attributes: dict[str, Any] = {}
        self._share, self._resume = share, resume
        self._claim: Claim | None = None
        self._known: dict[int, PartHeader] | None = None

    # opening and closing

    def __enter__(self) -> Writer:
        self.path = check_store_path(self.path, resume=self._resume)
        self.folder = parts_folder(self.path)
        self._lock = self.folder / LOCK_FILE
        if self._resume and (frame := self._finished()) is not None:
            if not frame.parts:
                self._clear_leftovers()
            return self
        make_folder(self.folder)
        try:
            with told(self.folder), holding(self._lock, SETUP):
                self._begin()
            if self._finished() is not None:  # another shard joined just now
                self._release()
                self._clear_leftovers()
        except Busy:
            self._release()
            what = f"shard {self._share}" if isinstance(self._share, Shard) else "these stimuli"
            raise StoreError(
                f"another process is writing {what} of {self.path}; wait for it, or give each process a share of its own"
            ) from None
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _begin(self) -> None:
        """Claim the blocks of this writer; only one does so at a time."""
        if not self._resume:
            with Claim(self._lock, FIRST_BLOCK, _EVERY).acquire():
                discard(self.path)
        if (self.folder / SPEC_FILE).exists():
            stored = read_spec(self.folder)
            refuse_other(stored, self.spec, self.folder)
            self._check_share(stored)
            self.spec = replace(self.spec, block=stored.block, shards=stored.shards)
        else:
            write_spec(self.folder, self.spec, None if self._resume else mark(self.path))
        self._blocks = list(self.spec.blocks())
        chosen = range(len(self._blocks)) if self._share is None else self._share
        if isinstance(chosen, Shard):
            chosen = chosen.blocks(len(self._blocks))
        if not chosen or chosen.step != 1 or chosen.start < 0 or chosen.stop > len(self._blocks):
            raise SpecError(f"blocks must be a range within 0 to {len(self._blocks)}; got {chosen}")
        self._chosen = self._blocks[chosen.start : chosen.stop]
        self._claim = Claim(self._lock, FIRST_BLOCK + chosen.start, FIRST_BLOCK + chosen.stop).acquire()
        for block in self._chosen:
            sweep(part_path(self.folder, block))

    def _check_share(self, stored: StoreSpec) -> None:
        """Refuse a share that is counted in other blocks than those that are there."""
        if isinstance(self._share, range) and stored.block != self.spec.block:
            raise StoreError(
                f"{self.folder} has blocks of {stored.block} stimuli, this share counts in blocks of {self.spec.block}; use "
                f"{argument('block', stored.block)}"
            )
        if isinstance(self._share, Shard) and stored.shards != self._share.count:
            divided = f"divided into {stored.shards} shards" if stored.shards > 1 else "not divided into shards"
            raise StoreError(
                f"{self.folder} is {divided}, and shard {self._share} was asked for; go on with the same number "
                "(or without a shard, once no other job is at work), or write to another path"
            )

    def _finished(self) -> Frame | None:
        """The finished store, if it is there; StoreError where it is not this one."""
        frame = finished(self.path)
        if frame is not None:
            refuse_other(frame.spec, self.spec, self.path)
            self.complete = True
        return frame

    def _clear_leftovers(self) -> None:
        """Remove the parts that a writer had joined but, killed, could not remove."""
        if (self.folder / SPEC_FILE).exists() or self._lock.exists():
            # Busy: another writer still has its hands on them and will remove them
            with contextlib.suppress(Busy), Claim(self._lock, JOIN, _EVERY).acquire():
                remove_parts(self.folder)

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    # writing

    @property
    def _parts(self) -> dict[int, PartHeader]:
        """The finished parts of this writer's blocks, by block; each was read as a whole before it counts as done."""
        if self._known is None:
            self._known, damaged = self._find(self._chosen)
            for index, error in damaged.items():
                _, start, stop = self._blocks[index]
                log.warning("%s; stimuli %d to %d are done again", error, start, stop - 1)
        return self._known

    def _find(
        self, blocks: Iterable[Block], *, chunks: bool = True
    ) -> tuple[dict[int, PartHeader], dict[int, Damaged]]:
        return find_parts(self.folder, blocks, self.spec.digest(), self._known, chunks=chunks)

    def pending(self) -> Iterator[Block]:
        """The blocks of this writer that have no part yet, in order."""
        if not self.complete:
            yield from (block for block in self._chosen if block.index not in self._parts)

    @contextlib.contextmanager
    def part(self, block: Block) -> Iterator[Part]:
        """Write one block; on a clean exit the part is on disk for good, on an exception nothing of it remains."""
        if self._claim is None:
            raise StoreError(f"the writer of {self.path} is closed, or the store is complete")
        if block not in self._chosen or block.index in self._parts:
            raise SpecError(f"block {block.index} is not pending in this writer")
        outside: OSError | None = None
        try:
            with new_part(self.folder, self.spec, block, plain_json(self.attributes)) as part:
                try:
                    yield part
                except OSError as error:
                    outside = None if part.disk_failed else error
                    raise
        except OSError as error:
            if error is outside:  # an image that cannot be read, say: the caller's own affair
                raise
            left = (len(self.spec.stimulus_ids) - self._n_done()) * self.spec.bytes_per_stimulus
            raise self._disk_error(error, f"writing stimuli {block.start} to {block.stop - 1}", left) from error
        self._parts[block.index] = read_header(part_path(self.folder, block), self.spec.digest(), block)

    def recorded(self) -> dict[str, str]:
        """Stimulus id -> sha256 of its pixels, of all stimuli in this writer's finished parts."""
        if self.complete:
            frame = finished(self.path)
            assert frame is not None
            return dict(zip(frame.stimulus_ids.tolist(), frame.stimulus_sha256.tolist(), strict=True))
        return {i: s for _, part in sorted(self._parts.items()) for i, s in zip(part.ids, part.sha256s, strict=True)}

    # joining

    def missing_shards(self) -> list[Shard]:
        """The shards, this one or others, that have blocks without a part."""
        return [] if self.complete else missing_shards(self.folder, self.spec)

    def finish(self, *, join: Join = "auto") -> Path:
        """Join the parts into the finished file, and return its path; StoreError where blocks are missing, or the disk is full.

        "copy" copies the chunks and removes the parts, "virtual" keeps and refers to them; "auto" copies if the disk has
        room.
        """
        if self.complete:
            return self.path
        with holding(self._lock, JOIN):
            frame = self._finished()
            if frame is None:
                sweep(self.path)
                virtual = self._join(join) == "virtual"
            else:  # another shard joined meanwhile
                virtual = bool(frame.parts)
            if not virtual:
                remove_parts(self.folder)
        self._release()  # nothing is left to guard
        return self.path

    def _join(self, join: Join) -> Literal["copy", "virtual"]:
        how, parts = self._to_join(join)
        about = finished_attributes(self.spec, parts, how)
        try:
            join_parts(self.path, self.spec, parts, about, how)
        except Damaged as error:
            raise self._damaged([error]) from None
        except OSError as error:
            raise self._disk_error(error, "joining the parts", sum(part.seal.nbytes for part in parts)) from error
        self.complete = True
        return how

    def _to_join(self, join: Join) -> tuple[Literal["copy", "virtual"], list[PartHeader]]:
        """How to join, and all parts; those that are copied are checked while they are."""
        parts, damaged = self._find(self._blocks, chunks=False)
        missing = len(self._blocks) - len(parts) - len(damaged)
        if missing:
            shards = missing_shards(self.folder, self.spec)
            which = f"{named(shards)}: " if shards else ""
            raise StoreError(
                f"{which}{missing} of {len(self._blocks)} blocks of {self.path} are not written yet; "
                "run the same command for them, then again to join"
            )
        how = choose_join(join, self.path, list(parts.values()))
        if how == "virtual" and not damaged:
            parts, damaged = self._find(self._blocks)
        if damaged:
            raise self._damaged(list(damaged.values()))
        return how, [parts[index] for index in sorted(parts)]

    def _damaged(self, found: list[Damaged]) -> StoreError:
        """What to do about damaged parts: whoever has the model can do them again, who joins cannot."""
        names = {part_path(self.folder, block): block.index for block in self._blocks}
        which = ""
        if self.spec.shards > 1:
            shards = [Shard(number, self.spec.shards) for number in range(1, self.spec.shards + 1)]
            hit = {names[error.path] for error in found}
            which = " of " + named([shard for shard in shards if hit & set(shard.blocks(len(self._blocks)))])
        reasons = listed(f"{error.path.name} ({error.reason})" for error in found)
        return StoreError(
            f"{self.path} is not joined, and all parts are kept: damaged in {self.folder}: {reasons}; run the same "
            f"`bltvs extract`{which} again, which does the stimuli of damaged parts again, and joins"
        )

    def _n_done(self) -> int:
        return sum(len(part.ids) + len(part.skipped) for part in (self._known or {}).values())

    def _disk_error(self, error: OSError, doing: str, needed: int) -> StoreError:
        """What stopped the work, how far it is, and how many bytes are still needed."""
        safe = f"{self._n_done()} of {len(self.spec.stimulus_ids)} stimuli are finished and safe in {self.folder}"
        if error.errno not in _DISK_ERRORS:
            return StoreError(f"{doing} failed: {error}; {safe}; run the same command again to go on")
        free = shutil.disk_usage(nearest_folder(self.folder)).free
        return StoreError(
            f"{error.strerror} while {doing}: {safe}, about {needed / 1e9:.3g} GB more are needed and {free / 1e9:.3g} GB are "
            "free; make room (or raise the limit) and run the same command again"
        )
